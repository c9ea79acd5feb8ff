//! Requests at a fixed rate, and how long each took: to its answer, and to its arrival at the
//! gateway, which is this program too.
//!
//! ```text
//! load RATE SECONDS ours|peer URL GATEWAY FIRST
//! ```
//! Each request has its time, whether or not earlier ones are answered (an open loop), and its
//! latency counts from then: what waits behind a slow answer is not left out. GATEWAY is where to
//! listen as the CCP gateway (`-`: nowhere); FIRST is the first number asked for. Prints JSON;
//! times in milliseconds.

use std::env;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use sms_domain::sync::lock;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Longest time that the last messages may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arrival of the SMS of each number, by its place in the sequence.
type Arrivals = Arc<Mutex<Vec<Option<Instant>>>>;

#[derive(Clone)]
struct Gateway {
    first: u64,
    arrivals: Arrivals,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [rate, seconds, side, url, gateway, first] = &args[..] else {
        return Err("load RATE SECONDS ours|peer URL GATEWAY FIRST".into());
    };
    let (rate, seconds, first) =
        (rate.parse::<u32>()?, seconds.parse::<u32>()?, first.parse::<u64>()?);
    let count = rate * seconds;
    let arrivals: Arrivals = Arc::new(Mutex::new(vec![None; count as usize]));
    if gateway != "-" {
        let app = Router::new()
            .fallback(post(take))
            .with_state(Gateway { first, arrivals: Arc::clone(&arrivals) });
        let listener = tokio::net::TcpListener::bind(gateway).await?;
        tokio::spawn(async move { axum::serve(listener, app).await });
    }

    sms_outbound::tls::install();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    // The connections are there before the first request counts.
    let warm: JoinSet<_> = (0..16).map(|_| client.get(format!("{url}/healthz")).send()).collect();
    warm.join_all().await;
    let (mut tasks, start) = (JoinSet::new(), Instant::now() + Duration::from_millis(50));
    let mut times = Vec::new();
    for index in 0..count {
        let time = start + Duration::from_secs(1) * index / rate;
        tokio::time::sleep_until(time.into()).await;
        times.push(time);
        let number = format!("1{:010}", first + u64::from(index));
        let request = if side == "ours" {
            client.post(format!("{url}/v1/verifications")).json(&json!({ "to": number }))
        } else {
            client.get(format!("{url}/sms_codes/{number}/"))
        };
        tasks.spawn(async move {
            let accepted = match request.send().await {
                Ok(response) => response.status().is_success() && response.bytes().await.is_ok(),
                Err(_) => false,
            };
            accepted.then(|| time.elapsed())
        });
    }
    let answers: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let mut report =
        json!({ "asked": count, "accepted": answers.len(), "answer": percentiles(answers) });
    if gateway != "-" {
        let deadline = Instant::now() + PATIENCE;
        while lock(&arrivals).iter().any(Option::is_none) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let arrivals = lock(&arrivals);
        let waits = arrivals
            .iter()
            .zip(&times)
            .filter_map(|(at, time)| Some(at.as_ref()?.duration_since(*time)));
        let waits: Vec<Duration> = waits.collect();
        report["arrived"] = json!(waits.len());
        report["arrival"] = percentiles(waits);
    }
    #[expect(clippy::print_stdout, reason = "what this program is for")]
    {
        println!("{report}");
    }
    Ok(())
}

/// CCP's answer to a message that it takes.
async fn take(State(gateway): State<Gateway>, Json(body): Json<Value>) -> Json<Value> {
    let now = Instant::now();
    let digits: String = body["to"].as_str().unwrap_or_default().chars().rev().take(10).collect();
    let number = digits.chars().rev().collect::<String>().parse::<u64>().unwrap_or_default();
    let index = usize::try_from(number.wrapping_sub(gateway.first)).unwrap_or(usize::MAX);
    if let Some(arrival) = lock(&gateway.arrivals).get_mut(index) {
        arrival.get_or_insert(now);
    }
    Json(json!({ "statusCode": "000000", "templateSMS": { "smsMessageSid": format!("{number}") } }))
}

fn percentiles(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |percent: usize| {
        let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(index).map(|time| (time.as_secs_f64() * 1e6).round() / 1e3)
    };
    json!({ "p50": at(50), "p99": at(99), "max": at(100) })
}
