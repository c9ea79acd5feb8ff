//! `POST /v1/verifications/{id}/check`, `GET` and `DELETE /v1/verifications/{id}`, and the keys of
//! tokens, behind API Gateway; with `SMS_DSN` also `POST /v1/receipts/{provider}`, and with
//! `CHALLENGE=picture` `GET /v1/pictures/{uuid}`.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use sms_app::check::CheckCode;
use sms_app::eviction_watch::EvictionWatch;
use sms_config::{CheckConfig, environment};
use sms_http::Receipts;
use sms_lambda::flush::flush_metrics_after;
use sms_lambda::function::{Event, Function};
use sms_store::Store;

#[tokio::main]
async fn main() -> Result<(), Error> {
    sms_telemetry::init(sms_telemetry::xray::layer());
    let config = sms_telemetry::needed(CheckConfig::read(&environment));
    let store = sms_telemetry::needed(Store::redis(config.redis.expose(), config.store.policy));
    EvictionWatch::new(store.clone(), config.store.accepts_eviction).once();
    // There is more of a processor now than for the first request.
    store.warm_up().await;
    let CheckConfig { codes, limits, challenge, provider, http: settings, .. } = config;
    let mut routes = sms_http::store_health_router(store.clone())
        .merge(sms_http::pictures_router(store.clone(), challenge))
        .merge(sms_http::specification_router());
    if let Some(provider) = provider {
        let receipts = Receipts { store: store.clone(), secrets: codes.secrets.clone(), provider };
        routes = routes.merge(sms_http::receipts_router(receipts));
    }
    let checks = CheckCode { store, codes, limits };
    let check = sms_http::check_router(checks, settings.region, settings.callers);
    let app = sms_http::with_defaults(check.merge(routes), &settings.origins);
    let function = &Function::new(flush_metrics_after(app), settings.base_path);
    run(service_fn(async |event: LambdaEvent<Event>| {
        function.answer(event.payload, event.context.xray_trace_id).await.map_err(Error::from)
    }))
    .await
}
