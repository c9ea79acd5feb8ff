// Takes jobs from the queue and calls the CCP gateway for each: the request of its REST interface
// 2013-12-26. A job is acknowledged after the call, or tried again.
//
//     node worker.mjs classic|quorum PREFETCH
//
// Environment: QUEUE_URL, and CCP_URL (nothing: no call).

import { createHash } from 'node:crypto';
import { Pool } from 'undici';
import { openQueue } from './queue.mjs';

const [queueType, prefetch] = process.argv.slice(2);
const { CCP_URL } = process.env;
const gateway = CCP_URL && new Pool(CCP_URL, { connections: 64 });

async function send({ mobile, code }) {
  const now = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  const signature = createHash('md5').update(`sidtoken${now}`).digest('hex').toUpperCase();
  const { body } = await gateway.request({
    method: 'POST',
    path: `/2013-12-26/Accounts/sid/SMS/TemplateSMS?sig=${signature}`,
    headers: {
      Accept: 'application/json',
      'Content-Type': 'application/json;charset=utf-8',
      Authorization: Buffer.from(`sid:${now}`).toString('base64'),
    },
    body: JSON.stringify({ to: mobile, appId: 'app', templateId: '1', datas: [code, 5] }),
  });
  const { statusCode } = await body.json();
  if (statusCode !== '000000') throw new Error(`CCP answered ${statusCode}`);
}

const { channel, queue } = await openQueue(queueType);
await channel.prefetch(Number(prefetch));
await channel.consume(queue, async (message) => {
  try {
    const job = JSON.parse(message.content);
    if (gateway) await send(job);
    channel.ack(message);
  } catch (error) {
    console.error(error);
    channel.nack(message);
  }
});
