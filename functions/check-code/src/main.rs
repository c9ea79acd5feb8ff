//! `POST /v1/verifications/{id}/check`, `GET` and `DELETE /v1/verifications/{id}`, and the keys of tokens, behind API Gateway; with `SMS_DSN` also
//! `POST /v1/receipts/{provider}`, and with `CHALLENGE=picture` `GET /v1/pictures/{uuid}`.

use lambda_http::{Error, run};
use shared::checking::Checks;
use shared::config::{CheckConfig, environment};
use shared::eviction::EvictionWatch;
use shared::http::Receipts;
use shared::store::Store;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init(telemetry::xray::layer());
    let config = CheckConfig::read(&environment)?;
    let store = Store::redis(config.redis.expose(), config.policy)?;
    EvictionWatch::new(store.clone(), config.accepts_eviction).once();
    let mut routes = http::store_health_router(store.clone())
        .merge(http::pictures_router(store.clone(), config.challenge))
        .merge(http::specification_router());
    if let Some(provider) = config.provider {
        let receipts = Receipts { store: store.clone(), secrets: config.secrets.clone(), provider };
        routes = routes.merge(http::receipts_router(receipts));
    }
    let CheckConfig { secrets, code_length, test_numbers, limits, region, callers, origins, .. } = config;
    let checks = Checks { store, secrets, code_length, test_numbers, limits };
    run(http::measured(http::app(http::check_router(checks, region, callers).merge(routes), &origins))).await
}
