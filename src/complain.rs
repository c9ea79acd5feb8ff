//! The last word of a command that failed: what went wrong, why, and what to do next.

use std::error::Error;

use shared::config::ConfigError;
use shared::queue::QueueError;
use shared::telemetry::causes;

const CONFIG: &str = "docs/reference/configuration.md has every variable";
const SERVICES: &str = "`docker compose up --detach --wait` starts Redis and RabbitMQ; \
                        docs/reference/configuration.md has every variable";
const RABBITMQ: &str = "is it running where QUEUE_URL says, with that user, password and vhost? `docker compose up --detach --wait` starts \
    one; `rabbitmqctl add_user` makes users, and guest may connect from its own machine alone";
const TIMEOUT: &str = "is it under load, or far off? What was not done yet is still a dead letter: run the command again";
const SQS: &str = "are QUEUE_URL and DEAD_QUEUE_URL right, and AWS_REGION and credentials set (`aws sts get-caller-identity`)?";

/// Tells it.
#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
pub fn complain(error: &(dyn Error + 'static)) {
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
