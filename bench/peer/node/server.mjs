// The tutorial's two steps as a careful Node engineer would write them: a Fastify route that
// throttles, writes the code to Redis and queues. Like the tutorial's, it has no limits but the
// resend interval.
//
//     node server.mjs PORT 1|2 classic|quorum confirmed|unconfirmed
//
// The second argument is the number of processes. Environment: REDIS_URL, QUEUE_URL.

import cluster from 'node:cluster';
import { randomInt } from 'node:crypto';
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import { openQueue } from './queue.mjs';

const [port, processes, queueType, publishes] = process.argv.slice(2);

async function serve() {
  const redis = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });
  const publish = await publisher();
  const app = Fastify();

  app.get('/sms_codes/:mobile/', async (request, reply) => {
    const { mobile } = request.params;
    if (!(await redis.set(`send_flag_${mobile}`, 1, 'EX', 60, 'NX'))) {
      return reply.code(429).send({ code: 4002, errmsg: '发送短信过于频繁' });
    }
    const code = String(randomInt(1_000_000)).padStart(6, '0');
    await redis.setex(`sms_code_${mobile}`, 300, code);
    await publish({ mobile, code });
    return reply.code(202).send({ code: 0, errmsg: 'OK' });
  });

  await app.listen({ host: '127.0.0.1', port, backlog: 2048 });
}

// Queues a persistent job; resolves when RabbitMQ has it, or, unconfirmed, at once.
async function publisher() {
  const { channel, queue } = await openQueue(queueType, publishes);
  const options = { persistent: true };
  if (publishes === 'unconfirmed') {
    return async (job) => channel.sendToQueue(queue, Buffer.from(JSON.stringify(job)), options);
  }
  return (job) =>
    new Promise((resolve, reject) => {
      channel.sendToQueue(queue, Buffer.from(JSON.stringify(job)), options, (error) =>
        error ? reject(error) : resolve(),
      );
    });
}

if (cluster.isPrimary && processes > 1) {
  for (let index = 0; index < processes; index += 1) cluster.fork();
} else {
  await serve();
}
