//! The function `check-code`: `POST /v1/verifications/{id}/check`, `GET` and
//! `DELETE /v1/verifications/{id}`, and the keys of tokens, behind API Gateway; with `SMS_DSN` also
//! `POST /v1/receipts/{provider}`, and with `CHALLENGE=picture` `GET /v1/pictures/{uuid}`.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use sms_app::check_code::CheckCode;
use sms_app::eviction_watch::EvictionWatch;
use sms_config::{CheckConfig, environment};
use sms_http::DeliveryReports;
use sms_lambda::flush::flush_metrics_after;
use sms_lambda::function::{Event, Function};
use sms_store::Store;

#[tokio::main]
async fn main() -> Result<(), Error> {
    sms_telemetry::init(sms_telemetry::xray::layer());
    let config = sms_telemetry::or_exit(CheckConfig::read(&environment));
    let store = sms_telemetry::or_exit(Store::redis(config.redis.expose(), config.store.policy));
    EvictionWatch::new(store.clone(), config.store.accepts_eviction).once();
    // Lambda gives more CPU time to the start than to the first request.
    store.warm_up().await;
    let CheckConfig { codes, limits, challenge, gateways, http: settings, .. } = config;
    let mut routes = sms_http::store_health_router(store.clone())
        .merge(sms_http::pictures_router(store.clone(), challenge))
        .merge(sms_http::specification_router());
    if let Some(gateways) = gateways {
        let receipts =
            DeliveryReports { store: store.clone(), secrets: codes.secrets.clone(), gateways };
        routes = routes.merge(sms_http::delivery_reports_router(receipts));
    }
    let check_code = CheckCode { store, codes, limits };
    let check = sms_http::check_router(check_code, &settings);
    let app = sms_http::with_defaults(check.merge(routes), &settings.origins);
    let function = &Function::new(flush_metrics_after(app), settings.base_path);
    run(service_fn(async |event: LambdaEvent<Event>| {
        function.answer(event.payload, event.context.xray_trace_id).await.map_err(Error::from)
    }))
    .await
}
