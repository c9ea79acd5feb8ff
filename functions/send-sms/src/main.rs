//! Takes jobs from SQS (or Amazon MQ for RabbitMQ) and brings them to the SMS gateway; names those
//! that are to be handed out again.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use sms_app::delivery::SendSms;
use sms_app::eviction_watch::EvictionWatch;
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
    let config = sms_telemetry::needed(SendConfig::read(&environment));
    message::warm_up(config.codes.length);
    let dead_queue = config.dead_queue.as_ref().map(Address::expose);
    let queue = sms_telemetry::needed(Queue::from_url(config.queue.expose(), dead_queue));
    let store = sms_telemetry::needed(Store::redis(config.redis.expose(), config.store.policy));
    EvictionWatch::new(store.clone(), config.store.accepts_eviction).once();
    let SendConfig { provider, codes, schedule, policy, .. } = config;
    let deliveries = SendSms { store, provider, codes, schedule, policy };
    // There is more of a processor now than for the first message.
    tokio::join!(deliveries.store.warm_up(), deliveries.provider.warm_up());
    let (deliveries, queue) = (&deliveries, &queue);
    run(service_fn(async |event: LambdaEvent<Event>| {
        let response = deliver_event(deliveries, queue, event.payload).await;
        emf::flush();
        response.map_err(Error::from)
    }))
    .await
}
