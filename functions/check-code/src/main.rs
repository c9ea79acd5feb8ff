//! `POST /v1/verifications/{id}/check` and `GET /v1/verifications/{id}` behind API Gateway; with `SMS_DSN` also
//! `POST /v1/receipts/{provider}`, and with `CHALLENGE=picture` `GET /v1/pictures/{uuid}`.

use lambda_http::{Error, run};
use shared::checking::Checks;
use shared::config::{CheckConfig, environment};
use shared::http::Receipts;
use shared::store::Store;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let config = CheckConfig::read(&environment)?;
    let store = Store::redis(config.redis.expose(), config.policy)?;
    let mut routes = http::store_health_router(store.clone());
    routes = routes.merge(http::pictures_router(store.clone(), config.challenge));
    if let Some(provider) = config.provider {
        let receipts = Receipts { store: store.clone(), secrets: config.secrets.clone(), provider };
        routes = routes.merge(http::receipts_router(receipts));
    }
    let CheckConfig { secrets, code_length, test_numbers, limits, .. } = config;
    let checks = Checks { store, secrets, code_length, test_numbers, limits };
    run(http::app(http::check_router(checks, config.callers).merge(routes))).await
}
