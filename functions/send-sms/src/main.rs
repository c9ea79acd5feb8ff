//! The function `send-sms`: delivers jobs of SQS (or of Amazon MQ for RabbitMQ) to the SMS gateway,
//! and names those that need a redelivery.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use sms_app::eviction_watch::EvictionWatch;
use sms_app::send_sms::SendSms;
use sms_config::{Address, SendConfig, environment};
use sms_domain::message;
use sms_lambda::batch::{Event, deliver_event};
use sms_queue::Queue;
use sms_store::Store;
use sms_telemetry::emf;

#[tokio::main]
async fn main() -> Result<(), Error> {
    sms_telemetry::init(sms_telemetry::xray::layer());
    emf::install();
    let config = sms_telemetry::or_exit(SendConfig::read(&environment));
    message::warm_up(config.codes.length);
    let dead_queue = config.dead_queue.as_ref().map(Address::expose);
    let queue = sms_telemetry::or_exit(Queue::from_url(config.queue.expose(), dead_queue));
    let store = sms_telemetry::or_exit(Store::redis(config.redis.expose(), config.store.policy));
    EvictionWatch::new(store.clone(), config.store.accepts_eviction).once();
    let SendConfig { gateways, codes, schedule, policy, .. } = config;
    let send_sms = SendSms { store, gateways, codes, schedule, policy };
    // Lambda gives more CPU time to the start than to the first message.
    tokio::join!(send_sms.store.warm_up(), send_sms.gateways.warm_up());
    let (send_sms, queue) = (&send_sms, &queue);
    run(service_fn(async |event: LambdaEvent<Event>| {
        let response = deliver_event(send_sms, queue, event.payload).await;
        emf::flush();
        response.map_err(Error::from)
    }))
    .await
}
