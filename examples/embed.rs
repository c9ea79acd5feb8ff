//! A product with sms-verify inside: its own routes and those of the API in one axum program, a
//! worker beside them, store and queue in memory, and an inbox in the place of a gateway.
//!
//! ```text
//! cargo run --example embed
//! curl http://127.0.0.1:8090/v1/verifications --json '{"to":"13800138000"}'
//! curl http://127.0.0.1:8090/inbox.json
//! curl http://127.0.0.1:8090/login --json '{"id":"…","to":"13800138000","code":"…"}'
//! ```

use std::env;
use std::error::Error;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Json, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, serve};
use serde::Deserialize;
use sms_app::abuse_settings::AbuseSettings;
use sms_app::check_code::CheckCode;
use sms_app::request_code::RequestCode;
use sms_app::send_sms::{DeliveryPolicy, SendSms};
use sms_domain::code::Code;
use sms_domain::code_settings::CodeSettings;
use sms_domain::limits::Limits;
use sms_domain::message::AllowedAutofill;
use sms_domain::phone::{Countries, PhoneNumber, Region};
use sms_domain::random::{random_bytes, random_u64};
use sms_domain::retry_schedule::Schedule;
use sms_domain::secrets::Secrets;
use sms_domain::test_numbers::TestNumbers;
use sms_domain::verification::Policy;
use sms_domain::verification_id::VerificationId;
use sms_gateways::{Gateways, Inbox};
use sms_http::{HttpSettings, RequestApi, check_router, request_router, with_defaults};
use sms_queue::Queue;
use sms_queue::message::Consumer;
use sms_store::{CheckResult, Store};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `Store::redis`, `Queue::from_url` and `Gateways::from_dsn` in production, and a secret that
    // outlives the process.
    let (store, queue, inbox) =
        (Store::memory(Policy::default()), Queue::memory(), Inbox::default());
    let codes = CodeSettings::new(Secrets::from_random(random_bytes()));
    let limits = Limits::default();

    let sender = SendSms {
        store: store.clone(),
        gateways: Gateways::inbox(inbox.clone()),
        codes: codes.clone(),
        schedule: Schedule::default(),
        policy: DeliveryPolicy::default(),
    };
    tokio::spawn(work(queue.consumer(1)?, queue.clone(), sender));

    let checks = CheckCode { store: store.clone(), codes: codes.clone(), limits: limits.clone() };
    let countries = Countries::only(Region::default());
    let requests = RequestApi {
        request_code: RequestCode {
            store,
            queue,
            secrets: codes.secrets,
            abuse: AbuseSettings { limits, countries, ..AbuseSettings::none() },
            meiduo_keys: None,
        },
        test_numbers: TestNumbers::default(),
        autofill: AllowedAutofill::default(),
        settings: HttpSettings::default(),
    };
    let settings = HttpSettings::default();
    let api = request_router(requests).merge(check_router(checks.clone(), &settings));
    let product = Router::new()
        .route("/login", post(login))
        .with_state(checks)
        .route("/inbox.json", get(async move || Json(inbox.messages())));

    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8090".to_owned());
    let listener = TcpListener::bind(address).await?;
    announce(listener.local_addr()?);
    let app = product.merge(with_defaults(api, &settings.origins));
    serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

/// Delivers one message after the other. Several tasks can share a queue; so can processes, on
/// RabbitMQ.
async fn work(mut consumer: Consumer, queue: Queue, sender: SendSms) {
    loop {
        let message = consumer.receive().await;
        let outcome = sender.deliver(&message.body, 1, random_u64()).await;
        match outcome.apply(&queue, &message.body).await {
            Ok(()) => message.ack(),
            Err(_) => message.requeue(),
        }
    }
}

#[derive(Deserialize)]
struct Login {
    id: String,
    to: String,
    code: String,
}

/// Checks a code without HTTP in between: no token is needed where the answer is at hand.
async fn login(
    State(checks): State<CheckCode>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(Login { id, to, code }): Json<Login>,
) -> Result<String, StatusCode> {
    let id = VerificationId::parse(&id).ok_or(StatusCode::UNAUTHORIZED)?;
    let number = PhoneNumber::parse(&to, Region::default()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let code = Code::parse(&code, checks.codes.length).ok_or(StatusCode::BAD_REQUEST)?;
    let (ip, request) = (Some(peer.ip()), random_u64());
    let result = if checks.is_of(&id, &number) {
        checks.check(&id, &code, ip, request).await
    } else {
        checks.wrong_number(&id, ip, request).await
    };
    match result {
        Ok(CheckResult::Approved) => Ok(format!("welcome, {number}")),
        Ok(_) => Err(StatusCode::UNAUTHORIZED),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

#[expect(clippy::print_stdout, reason = "whoever starts the program wants to know where it is")]
fn announce(address: SocketAddr) {
    println!("http://{address}/v1/verifications");
}
