// The queue that server.mjs fills and worker.mjs empties.

import amqp from 'amqplib';

export async function openQueue(type, publishes) {
  const connection = await amqp.connect(process.env.QUEUE_URL, { noDelay: true });
  const channel = await (publishes === 'confirmed'
    ? connection.createConfirmChannel()
    : connection.createChannel());
  const queue = 'sms_codes';
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } });
  return { channel, queue };
}
