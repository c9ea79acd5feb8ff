//! `POST /v1/verifications/{id}/check`, `GET` and `DELETE /v1/verifications/{id}`, and the keys of
//! tokens, behind API Gateway; with `SMS_DSN` also `POST /v1/receipts/{provider}`, and with
//! `CHALLENGE=picture` `GET /v1/pictures/{uuid}`.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use shared::checking::Checks;
use shared::config::{CheckConfig, environment};
use shared::eviction::EvictionWatch;
use shared::http::{Event, Function, Receipts};
use shared::store::Store;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init(telemetry::xray::layer());
    let config = telemetry::needed(CheckConfig::read(&environment));
    let store = telemetry::needed(Store::redis(config.redis.expose(), config.policy));
    EvictionWatch::new(store.clone(), config.accepts_eviction).once();
    // There is more of a processor now than for the first request.
    store.prepare().await;
    let mut routes = http::store_health_router(store.clone())
        .merge(http::pictures_router(store.clone(), config.challenge))
        .merge(http::specification_router());
    if let Some(provider) = config.provider {
        let receipts = Receipts { store: store.clone(), secrets: config.secrets.clone(), provider };
        routes = routes.merge(http::receipts_router(receipts));
    }
    let CheckConfig {
        secrets,
        code_length,
        test_numbers,
        limits,
        region,
        callers,
        origins,
        base_path,
        ..
    } = config;
    let checks = Checks { store, secrets, code_length, test_numbers, limits };
    let routes = http::check_router(checks, region, callers).merge(routes);
    let function = &Function::new(http::measured(http::app(routes, &origins)), base_path);
    run(service_fn(async |event: LambdaEvent<Event>| {
        function.answer(event.payload, event.context.xray_trace_id).await.map_err(Error::from)
    }))
    .await
}
