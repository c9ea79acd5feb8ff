//! `POST /v1/verifications` behind API Gateway: throttle check and store write in one round trip,
//! then one queue call.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use shared::admission::Admissions;
use shared::config::{RequestConfig, environment};
use shared::eviction::EvictionWatch;
use shared::guard::Guard;
use shared::http::{Event, Function, RequestApi};
use shared::queue::Queue;
use shared::store::Store;
use shared::{http, phone, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init(telemetry::xray::layer());
    let config = telemetry::needed(RequestConfig::read(&environment));
    config.budget.warn_of_assumed(&config.countries);
    let store = telemetry::needed(Store::redis(config.redis.expose(), config.policy));
    EvictionWatch::new(store.clone(), config.accepts_eviction).once();
    let queue = telemetry::needed(Queue::from_url(config.queue.expose(), None));
    // There is more of a processor now than for the first request.
    let challenge = async {
        if let Some(challenge) = &config.challenge {
            challenge.prepare().await;
        }
    };
    tokio::join!(phone::prepared(config.region), store.prepare(), queue.prepare(), challenge);
    let health = http::health_router(store.clone(), queue.clone());
    let RequestConfig { secrets, limits, countries, challenge, budget, meiduo_keys, .. } = config;
    let guard = Guard::new(config.guard);
    let admissions = Admissions {
        store,
        queue,
        secrets,
        limits,
        countries,
        guard,
        challenge,
        budget,
        meiduo_keys,
    };
    let RequestConfig { region, test_numbers, autofill, callers, origins, base_path, .. } = config;
    let asking = RequestApi {
        admissions,
        region,
        test_numbers,
        autofill,
        callers,
        origins: origins.clone(),
    };
    let routes = http::request_router(asking);
    let function =
        &Function::new(http::measured(http::app(routes.merge(health), &origins)), base_path);
    run(service_fn(async |event: LambdaEvent<Event>| {
        function.answer(event.payload, event.context.xray_trace_id).await.map_err(Error::from)
    }))
    .await
}
