//! The function `request-code`: `POST /v1/verifications` behind API Gateway. One store call decides
//! and writes, one queue call sends the job.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use sms_app::eviction_watch::EvictionWatch;
use sms_app::request_code::RequestCode;
use sms_config::{RequestConfig, environment};
use sms_domain::phone;
use sms_http::RequestApi;
use sms_lambda::flush::flush_metrics_after;
use sms_lambda::function::{Event, Function};
use sms_outbound::blocking::run_on_own_thread;
use sms_queue::Queue;
use sms_store::Store;

#[tokio::main]
async fn main() -> Result<(), Error> {
    sms_telemetry::init(sms_telemetry::xray::layer());
    let config = sms_telemetry::or_exit(RequestConfig::read(&environment));
    config.abuse.warn_of_assumed_prices();
    config.http.warn_of_missing_keys();
    let store = sms_telemetry::or_exit(Store::redis(config.redis.expose(), config.store.policy));
    EvictionWatch::new(store.clone(), config.store.accepts_eviction).once();
    let queue = sms_telemetry::or_exit(Queue::from_url(config.queue.expose(), None));
    // Lambda gives more CPU time to the start than to the first request.
    let region = config.http.region;
    let numbers = run_on_own_thread(async move { phone::warm_up(region) });
    tokio::join!(numbers, store.warm_up(), queue.warm_up(), config.abuse.warm_up());
    let health = sms_http::health_router(store.clone(), queue.clone());
    let RequestConfig { codes, abuse, http: settings, autofill, meiduo_keys, .. } = config;
    let request_code = RequestCode { store, queue, secrets: codes.secrets, abuse, meiduo_keys };
    let (base_path, origins) = (settings.base_path.clone(), settings.origins.clone());
    let api = RequestApi { request_code, test_numbers: codes.test_numbers, autofill, settings };
    let app = sms_http::with_defaults(sms_http::request_router(api).merge(health), &origins);
    let function = &Function::new(flush_metrics_after(app), base_path);
    run(service_fn(async |event: LambdaEvent<Event>| {
        function.answer(event.payload, event.context.xray_trace_id).await.map_err(Error::from)
    }))
    .await
}
