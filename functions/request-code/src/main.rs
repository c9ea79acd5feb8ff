//! `POST /v1/verifications` behind API Gateway: throttle check and store write in one round trip,
//! then one queue call.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use shared::admission::Admissions;
use shared::config::{RequestConfig, environment};
use shared::eviction::EvictionWatch;
use shared::http::{Event, Function, RequestApi};
use shared::queue::Queue;
use shared::store::Store;
use shared::{http, phone, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init(telemetry::xray::layer());
    let config = telemetry::needed(RequestConfig::read(&environment));
    config.abuse.warn_of_assumed_prices();
    let store = telemetry::needed(Store::redis(config.redis.expose(), config.store.policy));
    EvictionWatch::new(store.clone(), config.store.accepts_eviction).once();
    let queue = telemetry::needed(Queue::from_url(config.queue.expose(), None));
    // There is more of a processor now than for the first request.
    let numbers = phone::prepared(config.http.region);
    tokio::join!(numbers, store.prepare(), queue.prepare(), config.abuse.prepare());
    let health = http::health_router(store.clone(), queue.clone());
    let RequestConfig { codes, abuse, http: settings, autofill, meiduo_keys, .. } = config;
    let admissions = Admissions { store, queue, secrets: codes.secrets, abuse, meiduo_keys };
    let (base_path, origins) = (settings.base_path.clone(), settings.origins.clone());
    let api = RequestApi { admissions, test_numbers: codes.test_numbers, autofill, settings };
    let app = http::app(http::request_router(api).merge(health), &origins);
    let function = &Function::new(http::measured(app), base_path);
    run(service_fn(async |event: LambdaEvent<Event>| {
        function.answer(event.payload, event.context.xray_trace_id).await.map_err(Error::from)
    }))
    .await
}
