//! `POST /v1/verifications/{id}/check` and `GET /v1/verifications/{id}` behind API Gateway.

use lambda_http::{Error, run};
use shared::checking::Checks;
use shared::config::{CheckConfig, environment};
use shared::store::Store;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let config = CheckConfig::read(&environment)?;
    let store = Store::redis(config.redis.expose(), config.policy)?;
    let health = http::health_router(store.clone(), None);
    let checks = Checks { store, secrets: config.secrets, code_length: config.code_length };
    run(http::app(http::check_router(checks).merge(health))).await
}
