//! The queue: its contract on every backend, and RabbitMQ and SQS alone.

/// On every backend: acknowledgement, delay, dead letters, redrive, purge.
mod contract;

/// RabbitMQ's types of queues.
mod rabbitmq;

/// RabbitMQ's messages with several jobs.
mod jobs_per_message;

/// SQS: attributes, batches, redrive policy.
mod sqs;

use sms_domain::job::{Job, JobCode};
use sms_domain::locale::Locale;
use sms_domain::trace_context::RequestContext;

use crate::support::{TestNumber, number};

/// A job for the number of this index.
fn job(index: u32) -> Job {
    Job {
        id: TestNumber::new().request().id,
        sms_number: 1,
        to: number(index),
        code: JobCode::Derived,
        locale: Locale::ZhCn,
        autofill: None,
        attempts: 0,
        rate_slot: None,
        not_here: Vec::new(),
        requested_at: None,
        tenant: None,
        context: RequestContext::default(),
    }
}
