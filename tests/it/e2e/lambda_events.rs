//! Every event that AWS's crate and tools have a sample of, into all functions.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::e2e::runtime_emulator::{environment, event};
use crate::support::gateway::{Gateway, Reply};
use crate::support::lambda::Traced;
use crate::support::process::Environment;
use crate::support::services::redis_url;
use crate::support::sqs::{Queues, client};

/// All that `sam local generate-event` can generate, as it does without options, in one process: it
/// takes a second to start.
const GENERATE: &str = r#"
import json
from samcli.lib.generated_sample_events.events import Events

events = Events()

def sample(service, kind, tags):
    values = {name: tag["default"] for name, tag in tags.items()}
    return json.loads(events.generate_event(service, kind, values))

print(json.dumps([
    sample(service, kind, mapping["tags"])
    for service, kinds in events.event_mapping.items()
    for kind, mapping in kinds.items()
]))
"#;

fn output(command: &mut Command) -> Value {
    let output = command.output().expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The folder of samples in the source of the crate `aws_lambda_events`.
fn fixtures() -> PathBuf {
    // Without this, cargo asks for what only other systems need, and was never downloaded.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = output(
        Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version",
                "1",
                "--offline",
                "--filter-platform",
                &platform,
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    let packages = metadata["packages"].as_array().expect("packages");
    let package =
        packages.iter().find(|package| package["name"] == "aws_lambda_events").expect("the crate");
    let manifest = package["manifest_path"].as_str().expect("a path");
    PathBuf::from(manifest).with_file_name("src").join("fixtures")
}

pub(super) fn samples() -> Vec<(String, Value)> {
    let files =
        std::fs::read_dir(fixtures()).expect("a folder").map(|entry| entry.expect("a file").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let crates = files.map(|path| {
        let text = std::fs::read_to_string(&path).expect("text");
        (path.display().to_string(), serde_json::from_str(&text).expect("JSON"))
    });
    let generated = output(Command::new("python").args(["-c", GENERATE]));
    let generated = generated.as_array().expect("a list").clone();
    let generated =
        generated.into_iter().enumerate().map(|(index, event)| (format!("sam, {index}"), event));
    crates.chain(generated).collect()
}

/// Invokes a function with everything, and then with an event of its own: nothing starts it again
/// if it ends.
pub(super) async fn survives(
    function: &str,
    environment: &Environment,
    samples: &[(String, Value)],
    own: &str,
) -> Vec<Value> {
    let mut running = Traced::start(function, environment).await;
    let mut answers = Vec::new();
    for (name, sample) in samples {
        let answer =
            running.invoke(sample, "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0").await;
        assert!(answer["errorMessage"] != "", "{name}: an error says what is wrong");
        answers.push(answer);
    }
    answers.push(
        running.invoke(&event(own), "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0").await,
    );
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_ends_a_function() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = environment(&redis_url(), &queues, &gateway);
    let samples = samples();
    assert!(samples.len() > 200, "{}", samples.len());
    let (request, check, send) = tokio::join!(
        survives("request-code", &environment, &samples, "request-code/http-api.json"),
        survives("check-code", &environment, &samples, "check-code/keys.json"),
        survives("send-sms", &environment, &samples, "send-sms/one-job.json"),
    );
    assert_eq!(request.last().expect("an answer")["statusCode"], 202);
    assert_eq!(check.last().expect("an answer")["statusCode"], 200);
    assert_eq!(send.last(), Some(&json!({ "batchItemFailures": [] })));
    // A request has a response, whatever it asks for; of anything else that is no warm-up it is
    // said what it is.
    for answers in [&request, &check] {
        for (answer, (name, sample)) in answers.iter().zip(&samples) {
            let responded = answer["statusCode"].is_u64() || *answer == json!({ "status": "ok" });
            let told = answer["errorMessage"]
                .as_str()
                .is_some_and(|error| error.contains("takes HTTP requests"));
            assert!(responded || told, "{name}: {answer}");
            let context = &sample["requestContext"];
            let of_an_authorizer = !sample["routeArn"].is_null() || !sample["methodArn"].is_null();
            let of_http =
                (context["elb"].is_object() || context["http"].is_object()) && !of_an_authorizer;
            assert!(!of_http || responded, "{name}: {answer}");
        }
    }
}
