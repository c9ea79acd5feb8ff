//! The function `cognito-sms`: sends the codes of an Amazon Cognito user pool, whose custom SMS
//! sender it is. It decrypts the code with the pool's key and hands it to `RequestCode`, as a code
//! that somebody else made and will check.

mod decryption;
mod sender;
mod trigger;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use sms_app::eviction_watch::EvictionWatch;
use sms_app::request_code::RequestCode;
use sms_config::{CognitoConfig, environment};
use sms_domain::phone;
use sms_outbound::blocking::run_on_own_thread;
use sms_queue::Queue;
use sms_store::Store;
use sms_telemetry::emf;

use self::decryption::Decryption;
use self::sender::Sender;
use self::trigger::Event;

#[tokio::main]
async fn main() -> Result<(), Error> {
    sms_telemetry::init(sms_telemetry::xray::layer());
    emf::install();
    let config = sms_telemetry::or_exit(CognitoConfig::read(&environment));
    config.abuse.warn_of_assumed_prices();
    let store = sms_telemetry::or_exit(Store::redis(config.redis.expose(), config.store.policy));
    EvictionWatch::new(store.clone(), config.store.accepts_eviction).once();
    let queue = sms_telemetry::or_exit(Queue::from_url(config.queue.expose(), None));
    let decryption = sms_telemetry::or_exit(Decryption::by_kms(&config.key).await);
    let CognitoConfig { secrets, abuse, region, .. } = config;
    // Lambda gives more CPU time to the start than to the first code.
    let numbers = run_on_own_thread(async move { phone::warm_up(region) });
    tokio::join!(numbers, store.warm_up(), queue.warm_up());
    let request_code = RequestCode { store, queue, secrets, abuse, meiduo_keys: None };
    let sender = &Sender { request_code, decryption };
    run(service_fn(async |event: LambdaEvent<Event>| sender.invoke(event).await)).await
}
