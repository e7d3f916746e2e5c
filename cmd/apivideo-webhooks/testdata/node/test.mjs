// Uses the fake at the URL in the first argument with the official client for Node.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import ApiVideoClient from '@api.video/nodejs-client';

const fake = process.argv[2];
const client = new (ApiVideoClient.default ?? ApiVideoClient)({ baseUri: fake, apiKey: process.env.APIVIDEO_API_KEY });
const control = (path, body) => fetch(`${fake}/_fake/${path}`, { method: 'POST', body: JSON.stringify(body) });

const received = [];
const receiver = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  received.push({ headers: request.headers, body: Buffer.concat(chunks) });
  response.writeHead(received.length === 1 ? 500 : 202).end();
});
receiver.listen(0, '127.0.0.1');
await once(receiver, 'listening');
const url = `http://127.0.0.1:${receiver.address().port}/hook`;

const created = await client.webhooks.create({ url, events: ['video.source.recorded'] });
assert.match(created.webhookId, /^webhook_/);
const got = await client.webhooks.get(created.webhookId);
assert.equal(got.url, url);
assert.deepEqual(got.events, ['video.source.recorded']);
const list = await client.webhooks.list({ events: 'video.source.recorded' });
assert.deepEqual(list.data.map((w) => w.webhookId), [created.webhookId]);
assert.equal(list.pagination.itemsTotal, 1);

const deliveries = await (await control('deliver', { type: 'video.source.recorded', videoId: 'vi1' })).json();
assert.deepEqual(deliveries[0].attempts, [{ status: 500 }, { status: 202 }]);
assert.equal(received.length, 2);
const secret = got.signatureSecret ?? created.signatureSecret;
for (const { headers, body } of received) {
  assert.equal(headers['x-api-video-webhookid'], created.webhookId);
  assert.equal(headers['x-api-video-signature'], createHmac('sha256', secret).update(body).digest('hex'));
}

assert.equal((await control('faults', { method: 'GET', status: 503 })).status, 204);
await assert.rejects(client.webhooks.get(created.webhookId));
await client.webhooks.delete(created.webhookId);
await assert.rejects(client.webhooks.get(created.webhookId), (error) => /404|not found/i.test(`${error.code} ${error.problemDetails?.status} ${error.message}`));
assert.equal((await control('reset')).status, 204);
receiver.close();
console.log('ok');
