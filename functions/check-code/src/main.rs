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
    let store = telemetry::needed(Store::redis(config.redis.expose(), config.store.policy));
    EvictionWatch::new(store.clone(), config.store.accepts_eviction).once();
    // There is more of a processor now than for the first request.
    store.prepare().await;
    let CheckConfig { codes, limits, challenge, provider, http: settings, .. } = config;
    let mut routes = http::store_health_router(store.clone())
        .merge(http::pictures_router(store.clone(), challenge))
        .merge(http::specification_router());
    if let Some(provider) = provider {
        let receipts = Receipts { store: store.clone(), secrets: codes.secrets.clone(), provider };
        routes = routes.merge(http::receipts_router(receipts));
    }
    let checks = Checks { store, codes, limits };
    let check = http::check_router(checks, settings.region, settings.callers);
    let app = http::app(check.merge(routes), &settings.origins);
    let function = &Function::new(http::measured(app), settings.base_path);
    run(service_fn(async |event: LambdaEvent<Event>| {
        function.answer(event.payload, event.context.xray_trace_id).await.map_err(Error::from)
    }))
    .await
}
