//! `POST /v1/verifications` behind API Gateway: throttle check and store write in one round trip, then one queue call.

use lambda_http::{Error, run};
use shared::admission::Admissions;
use shared::config::{RequestConfig, environment};
use shared::eviction::EvictionWatch;
use shared::guard::Guard;
use shared::http::RequestApi;
use shared::queue::Queue;
use shared::store::Store;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init(telemetry::xray::layer());
    let config = RequestConfig::read(&environment)?;
    let store = Store::redis(config.redis.expose(), config.policy)?;
    EvictionWatch::new(store.clone(), config.accepts_eviction).once();
    let queue = Queue::from_url(config.queue.expose(), None)?;
    queue.prepare();
    let health = http::health_router(store.clone(), queue.clone());
    let RequestConfig { secrets, limits, countries, challenge, budget, meiduo_keys, .. } = config;
    let guard = Guard::new(config.guard);
    let admissions = Admissions { store, queue, secrets, limits, countries, guard, challenge, budget, meiduo_keys };
    let RequestConfig { region, test_numbers, autofill, callers, origins, .. } = config;
    let asking = RequestApi { admissions, region, test_numbers, autofill, callers, origins: origins.clone() };
    let routes = http::request_router(asking);
    run(http::measured(http::app(routes.merge(health), &origins))).await
}
