//! Cost of one request and of one delivery in this process alone: store and queue are the embedded
//! ones, the gateway is none. Times, and the bytes that are allocated.
//!
//! ```text
//! cargo bench -p bench
//! ```
//! Compare with the numbers before a change: a regression shows here long before it shows in
//! requests a second.

#![expect(clippy::expect_used, reason = "what is prepared here cannot fail")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use divan::{AllocProfiler, Bencher, black_box};
use sms_app::abuse_settings::AbuseSettings;
use sms_app::challenge::Challenge;
use sms_app::conversion_guard::ConversionGuard;
use sms_app::request_code::RequestCode;
use sms_app::send_sms::SendSms;
use sms_config::{LocalConfig, Role};
use sms_domain::budget::Budget;
use sms_domain::code::CodeLength;
use sms_domain::code_settings::CodeSettings;
use sms_domain::conversion_test::GuardMode;
use sms_domain::job::{Job, JobCode};
use sms_domain::limits::Limits;
use sms_domain::locale::Locale;
use sms_domain::message;
use sms_domain::phone::{Countries, PhoneNumber, Region};
use sms_domain::secrets::Secrets;
use sms_domain::trace_context::RequestContext;
use sms_domain::verification::Policy;
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_gateways::Gateways;
use sms_http::{RequestApi, request_router, with_defaults};
use sms_queue::Queue;
use sms_store::{AdmissionKind, AdmissionRequest, Store};
use tokio::runtime::{Builder, Runtime};
use tower::Service;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn secrets() -> Secrets {
    Secrets::parse("a secret of thirty-two characters").expect("long enough")
}

fn number(national: u64) -> PhoneNumber {
    PhoneNumber::parse(&format!("1{national:010}"), Region::default()).expect("a mobile number")
}

fn id() -> VerificationId {
    VerificationId::new(
        secrets().newest_key_id(),
        secrets().tag(&number(3_800_138_000)),
        [7; 16],
        &Purpose::default(),
    )
}

fn job(to: PhoneNumber, id: VerificationId) -> Job {
    Job {
        id,
        sms_number: 1,
        to,
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

/// Numbers that were not used before.
fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(3_000_000_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[divan::bench(args = ["13800138000", "+86 138 0013 8000", "+447400123456"])]
fn parse_number(bencher: Bencher<'_, '_>, text: &str) {
    bencher.bench(|| PhoneNumber::parse(black_box(text), Region::default()));
}

#[divan::bench]
fn tag_of_a_number(bencher: Bencher<'_, '_>) {
    let (secrets, number) = (secrets(), number(3_800_138_000));
    bencher.bench(|| secrets.tag(black_box(&number)));
}

#[divan::bench]
fn derive_a_code(bencher: Bencher<'_, '_>) {
    let (secrets, id) = (secrets(), id());
    bencher.bench(|| secrets.derive(black_box(&id), CodeLength::default()));
}

#[divan::bench]
fn text_of_a_message(bencher: Bencher<'_, '_>) {
    let code = secrets().derive(&id(), CodeLength::default()).expect("a code");
    let purpose = Purpose::default();
    bencher.bench(|| {
        message::text(
            black_box(&code),
            Some(Duration::from_secs(300)),
            Locale::ZhCn,
            &purpose,
            None,
        )
    });
}

#[divan::bench]
fn encode_a_job(bencher: Bencher<'_, '_>) {
    let job = job(number(3_800_138_000), id());
    bencher.bench(|| black_box(&job).encode());
}

#[divan::bench]
fn decode_a_job(bencher: Bencher<'_, '_>) {
    let body = job(number(3_800_138_000), id()).encode();
    bencher.bench(|| Job::decode(black_box(body.as_bytes())));
}

/// `POST /v1/verifications` from axum's router to its answer.
#[divan::bench(args = ["accepted", "throttled"])]
fn request(bencher: Bencher<'_, '_>, case: &str) {
    let runtime = runtime();
    // As by default, but for the blocks of numbers: there would soon be no room in one.
    let request_code = RequestCode {
        store: Store::memory(Policy::default()),
        queue: Queue::memory(),
        secrets: secrets(),
        abuse: AbuseSettings {
            limits: Limits::parse("prefix=3600000/hour").expect("a limit"),
            countries: Countries::only(Region::default()),
            guard: ConversionGuard::new(GuardMode::default()),
            challenge: Some(Challenge::default()),
            budget: Budget::none(),
        },
        meiduo_keys: None,
    };
    let (test_numbers, autofill, settings) = Default::default();
    let api = RequestApi { request_code, test_numbers, autofill, settings };
    let mut app: Router = with_defaults(request_router(api), &Default::default());
    let to = fresh();
    let request = |national: u64| {
        Request::post("/v1/verifications")
            .header("content-type", "application/json")
            .body(Body::from(format!(r#"{{"to":"1{national:010}"}}"#)))
            .expect("a request")
    };
    let mut ask =
        |national| runtime.block_on(app.call(request(national))).expect("an answer").status();
    let (next, expected): (fn(u64) -> u64, _) = match case {
        "accepted" => (|_| fresh(), StatusCode::ACCEPTED),
        _ => (|number| number, StatusCode::TOO_MANY_REQUESTS),
    };
    ask(to);
    bencher.bench_local(|| assert_eq!(ask(next(to)), expected));
}

/// A job from its message to its outcome.
#[divan::bench]
fn deliver(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let (store, secrets) = (Store::memory(Policy::default()), secrets());
    let config = LocalConfig::read(&|_| None, Role::All).expect("defaults");
    let send_sms = SendSms {
        store: store.clone(),
        gateways: Gateways::from_dsn("null://default").expect("a gateway"),
        codes: CodeSettings::new(secrets.clone()),
        schedule: config.schedule,
        policy: config.policy,
    };
    let prepare = || {
        let (to, random) = (number(fresh()), fresh());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&random.to_le_bytes());
        let id = VerificationId::new(
            secrets.newest_key_id(),
            secrets.tag(&to),
            bytes,
            &Purpose::default(),
        );
        let candidate = AdmissionRequest {
            id: id.clone(),
            scope: String::new(),
            to: to.masked(),
            windows: Vec::new(),
            quotas: Vec::new(),
            guarded: Vec::new(),
            kind: AdmissionKind::Verification,
        };
        runtime.block_on(store.admit(&candidate)).expect("admitted");
        job(to, id).encode()
    };
    bencher
        .with_inputs(prepare)
        .bench_local_values(|body| runtime.block_on(send_sms.deliver(body.as_bytes(), 1, 1)));
}
