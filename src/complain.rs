//! The last word of a command that failed: what went wrong, why, and what to do next.

use std::error::Error;

use shared::config::ConfigError;
use shared::queue::QueueError;

const CONFIG: &str =
    "docs/configuration.md has every variable; `docker compose up --detach --wait` starts Redis and RabbitMQ";
const RABBITMQ: &str = "is it running where QUEUE_URL says, with that user, password and vhost? `docker compose up --detach --wait` starts \
    one; `rabbitmqctl add_user` makes users, and guest may connect from its own machine alone";
const SQS: &str =
    "are QUEUE_URL and DEAD_QUEUE_URL right, and AWS_REGION and credentials set (`aws sts get-caller-identity`)?";

/// Tells it.
#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
pub fn complain(error: &(dyn Error + 'static)) {
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        eprintln!("error: the configuration has problems");
        config.problems().for_each(|problem| eprintln!("  {problem}"));
    } else {
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        // Some errors repeat their cause in their own words.
        let told = causes.map(ToString::to_string).fold(error.to_string(), |told, cause| {
            if told.contains(&cause) { told } else { format!("{told}: {cause}") }
        });
        eprintln!("error: {told}");
    }
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
}

fn hint(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if error.is::<ConfigError>() {
        return Some(CONFIG);
    }
    match error.downcast_ref::<QueueError>()? {
        QueueError::RabbitMq(_) | QueueError::Timeout => Some(RABBITMQ),
        QueueError::Sqs(_) => Some(SQS),
        _ => None,
    }
}
