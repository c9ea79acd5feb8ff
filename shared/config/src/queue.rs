//! `QUEUE_URL` and `DEAD_QUEUE_URL`: a URL that can never work is an error at start, not one for
//! each request.

use url::Url;

use crate::address::Address;
use crate::settings::{self, Setting};
use crate::vars::Vars;

/// The form of AWS's queue URLs, for error messages.
const FORM: &str = "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, \
    as `aws sqs get-queue-url --queue-name NAME` prints it";

/// The settings that name an SQS server that is not AWS's.
const ENDPOINTS: [&Setting; 2] = [&settings::AWS_ENDPOINT_URL_SQS, &settings::AWS_ENDPOINT_URL];

impl Vars<'_> {
    /// `QUEUE_URL`.
    pub(super) fn queue(&mut self) -> Option<Address> {
        self.queue_address(&settings::QUEUE_URL, &["amqp", "amqps", "https", "http"])
    }

    /// `DEAD_QUEUE_URL`: a queue beside that of `QUEUE_URL`.
    pub(super) fn dead_queue(&mut self) -> Option<Address> {
        let dead = self.queue_address(&settings::DEAD_QUEUE_URL, &["https", "http"])?;
        let jobs = self.get(&settings::QUEUE_URL).and_then(|url| Url::parse(&url).ok())?;
        if &jobs == dead.url() {
            self.problem(
                &settings::DEAD_QUEUE_URL,
                "is the same as QUEUE_URL: dead letters need their own queue",
            );
        } else if sms_queue::differ_in_region(jobs.as_str(), dead.url().as_str()) {
            self.problem(
                &settings::DEAD_QUEUE_URL,
                "is in another region than QUEUE_URL: SQS requires both in one region",
            );
        }
        Some(dead)
    }

    fn queue_address(&mut self, setting: &Setting, schemes: &[&str]) -> Option<Address> {
        if self.get(setting).is_some_and(|url| url.starts_with("arn:")) {
            self.problem(setting, &format!("is an ARN; use the queue's URL: {FORM}"));
            return None;
        }
        let address = self.address(setting, schemes, sms_queue::check_url)?;
        if address.is_http() {
            let elsewhere = ENDPOINTS.iter().any(|variable| self.get(variable).is_some());
            if let Some(problem) = sqs_problem(address.url(), elsewhere) {
                self.problem(setting, &problem);
            }
        }
        Some(address)
    }
}

/// Returns the problem of a URL that cannot be that of an SQS queue. `elsewhere`: the server is not
/// AWS's, and has its own form of URLs.
fn sqs_problem(url: &Url, elsewhere: bool) -> Option<String> {
    let host = url.host_str().unwrap_or_default();
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let named = segments.len() > 1 && segments.iter().all(|segment| !segment.is_empty());
    let user = !url.username().is_empty() || url.password().is_some();
    let bare = !user && url.query().is_none() && url.fragment().is_none();
    if segments.last().is_some_and(|name| name.ends_with(".fifo")) {
        let why = "is a FIFO queue, which supports no delay per message and requires groups";
        Some(format!("{why}; use a standard queue, whose name does not end in .fifo"))
    } else if !named || !bare {
        Some(format!("is not the URL of a queue: {FORM}"))
    } else if elsewhere {
        None
    } else if !is_aws(host) {
        Some(format!(
            "is not a URL of AWS: set {}=http://HOST:PORT for another server, or use {FORM}",
            ENDPOINTS[0]
        ))
    } else if url.scheme() != "https"
        || url.port().is_some()
        || segments.len() != 2
        || !is_account(segments[0])
    {
        Some(format!("is not in the form of AWS's queue URLs: {FORM}"))
    } else {
        None
    }
}

/// Returns true for a host of AWS: those of all partitions and kinds of endpoints have the label
/// `sqs` or `sqs-fips`, some old ones `queue`.
fn is_aws(host: &str) -> bool {
    host.split('.').any(|label| matches!(label, "sqs" | "sqs-fips" | "queue"))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::{ConfigError, Lookup, RequestConfig, SendConfig};

    const JOBS: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs";
    const DEAD: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead";

    fn problem<T>(
        read: impl Fn(Lookup<'_>) -> Result<T, ConfigError>,
        queues: &[(&str, &str)],
    ) -> String {
        let lookup = |name: &str| {
            let others = [
                ("REDIS_URL", "redis://cache.example"),
                ("CODE_SECRET", "hunter2hunter2hunter2hunter2hunter2"),
                ("SMS_DSN", "null://default"),
            ];
            queues
                .iter()
                .chain(&others)
                .find(|(other, _)| *other == name)
                .map(|(_, value)| (*value).to_owned())
        };
        read(&lookup).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn asked(queue: &str) -> String {
        problem(RequestConfig::read, &[("QUEUE_URL", queue)])
    }

    fn sent(queue: &str, dead: &str) -> String {
        problem(SendConfig::read, &[("QUEUE_URL", queue), ("DEAD_QUEUE_URL", dead)])
    }

    #[test]
    fn the_urls_of_queues_are_taken() {
        for url in [
            JOBS,
            "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/jobs",
            "https://sqs-fips.us-east-1.amazonaws.com/123456789012/jobs",
            "https://sqs.us-east-1.api.aws/123456789012/jobs",
            "https://us-west-2.queue.amazonaws.com/123456789012/jobs",
            "https://vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com/123456789012/jobs",
            "amqps://user:password@mq.example/%2f",
        ] {
            assert_eq!(asked(url), "", "{url}");
        }
        assert_eq!(sent(JOBS, DEAD), "");
        for url in [
            "http://127.0.0.1:4566/000000000000/jobs",
            "http://queues:4566/queue/us-east-1/000000000000/jobs",
        ] {
            for variable in super::ENDPOINTS {
                assert_eq!(
                    problem(
                        RequestConfig::read,
                        &[("QUEUE_URL", url), (variable.name, "http://queues:4566")]
                    ),
                    ""
                );
            }
        }
    }

    #[test]
    fn a_url_that_can_never_work_is_an_error_at_start() {
        for (url, words) in [
            ("https://sqs.eu-central-1.amazonaws.com/123456789012/jobs.fifo", "is a FIFO queue"),
            ("arn:aws:sqs:eu-central-1:123456789012:jobs", "is an ARN"),
            (
                "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs/",
                "is not the URL of a queue",
            ),
            ("https://sqs.eu-central-1.amazonaws.com", "is not the URL of a queue"),
            ("https://sqs.eu-central-1.amazonaws.com/jobs", "is not the URL of a queue"),
            (
                "https://user:password@sqs.eu-central-1.amazonaws.com/123456789012/jobs",
                "is not the URL of a queue",
            ),
            (
                "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs#x",
                "is not the URL of a queue",
            ),
            (
                "https://console.aws.amazon.com/sqs/v3/home?region=eu-central-1#/queues",
                "is not the URL of a queue",
            ),
            ("https://b-1.mq.eu-central-1.amazonaws.com/api/queues", "is not a URL of AWS"),
            (
                "http://queues.example:4566/000000000000/jobs",
                "set AWS_ENDPOINT_URL_SQS=http://HOST:PORT",
            ),
            (
                "http://sqs.eu-central-1.amazonaws.com/123456789012/jobs",
                "is not in the form of AWS's queue URLs",
            ),
            (
                "https://sqs.eu-central-1.amazonaws.com:8443/123456789012/jobs",
                "is not in the form of AWS's queue URLs",
            ),
            (
                "https://sqs.eu-central-1.amazonaws.com/ACCOUNT/jobs",
                "is not in the form of AWS's queue URLs",
            ),
            (
                "https://sqs.eu-central-1.amazonaws.com/queue/123456789012/jobs",
                "is not in the form of AWS's queue URLs",
            ),
        ] {
            let error = asked(url);
            assert!(
                error.contains(&format!("QUEUE_URL {words}")) || error.contains(words),
                "{url}: {error}"
            );
            let error = sent(JOBS, url);
            assert!(error.contains("DEAD_QUEUE_URL") && error.contains(words), "{url}: {error}");
        }
    }

    #[test]
    fn dead_letters_have_a_queue_of_their_own_beside_the_jobs() {
        assert!(sent(JOBS, JOBS).contains("DEAD_QUEUE_URL is the same as QUEUE_URL"));
        let elsewhere = "https://sqs.us-east-1.amazonaws.com/123456789012/dead";
        assert!(sent(JOBS, elsewhere).contains("DEAD_QUEUE_URL is in another region"));
        assert_eq!(sent("amqp://mq.example", DEAD), "", "which is not read there");
        assert_eq!(
            sent("https://eu-central-1.queue.amazonaws.com/123456789012/jobs", DEAD),
            "",
            "an older name"
        );
    }
}
