//! The report of a command that failed: the error, its causes, and a hint.

use std::error::Error;

use sms_config::ConfigError;
use sms_queue::error::QueueError;
use sms_telemetry::causes;

const CONFIG: &str = "docs/reference/configuration.md lists every setting";
const SERVICES: &str = "`docker compose up --detach --wait` starts Redis and RabbitMQ; \
    docs/reference/configuration.md lists every setting";
const RABBITMQ: &str = "check that it runs at QUEUE_URL, with this user, password and vhost; \
    `docker compose up --detach --wait` starts one, `rabbitmqctl add_user` adds users, \
    and guest may connect from its own machine only";
const TIMEOUT: &str = "the queue is slow, or far away. Run the command again: \
    what was not done yet is still a dead letter";
const SQS: &str = "check QUEUE_URL and DEAD_QUEUE_URL, and that AWS_REGION and credentials are set \
    (`aws sts get-caller-identity`)";

/// Prints the error with its causes, and a hint, to stderr.
#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
pub fn print_error(error: &(dyn Error + 'static)) {
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        eprintln!("error: the configuration has problems");
        config.problems().for_each(|problem| eprintln!("  {problem}"));
    } else {
        eprintln!("error: {}", causes(error));
    }
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
}

/// Prints a hint to stderr, where nothing went wrong.
#[expect(clippy::print_stderr, reason = "standard output is the command's result")]
pub fn hint_at(better: &str) {
    eprintln!("hint: {better}");
}

fn hint(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        let services = config
            .problems()
            .any(|problem| problem.starts_with("REDIS_URL") || problem.starts_with("QUEUE_URL"));
        return Some(if services { SERVICES } else { CONFIG });
    }
    match error.downcast_ref::<QueueError>()? {
        QueueError::Timeout => Some(TIMEOUT),
        QueueError::RabbitMq(_) => Some(RABBITMQ),
        QueueError::Sqs(_) => Some(SQS),
        _ => None,
    }
}
