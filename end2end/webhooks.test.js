// Our deliveries against the official Standard Webhooks verifiers, our own signature rule, and the published schemas.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { Webhook } from 'standardwebhooks';
import typescript from 'typescript';

import { callTools } from './support/agent.js';
import { unescaped } from './support/html.js';
import { startServer } from './support/server.js';

const PATIENCE_MS = 5_000;

let server;
let receiver;
let endpoint;
before(async () => {
  server = await startServer({ AGENTFRAMER_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES: 'true' });
  receiver = await receive();
  endpoint = await rest('POST', '/webhooks', { url: receiver.url, format: 'generic' });
});
after(async () => {
  receiver?.close();
  await server?.stop();
});

test('a generation is delivered within a second of its settlement and verifies everywhere', async () => {
  const began = Date.now();
  const [image] = await callTools(server.made, [['generate_image', { prompt: 'a fox', width: 64, height: 64 }]]);
  const got = await receiver.next((event) => event.request_id === image.request_id);
  assert.ok(got.at - began < 1_000 + PATIENCE_MS / 5, `delivered after ${got.at - began} ms`);
  assert.equal(got.event.event, 'generation.completed');
  assert.equal(got.event.balance_after_usd, image.balance_after_usd);
  assertOurs(got, [endpoint.secret]);
  await assertStandard(got, endpoint.secret);
});

test('while a secret is rotated both verify, and a stranger’s does not', async () => {
  const { secret } = await rest('POST', `/webhooks/${endpoint.id}/rotate-secret`, {});
  const got = await receiver.next((event) => event.event === 'webhook.secret_rotated');
  assertOurs(got, [secret, endpoint.secret]);
  await assertStandard(got, secret);
  await assertStandard(got, endpoint.secret);
  const strange = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  assert.throws(() => new Webhook(strange).verify(got.body, got.headers));
  await assert.rejects(python(got, strange));
});

test('every event that was delivered has the shape that is published', async () => {
  await rest('POST', '/top-ups', { amount_usd: 5, reference: 'invoice 7' });
  await rest('PATCH', '/settings', { cost_centre: 'marketing' });
  await rest('POST', '/members', { email: 'vera@example.com', role: 'viewer' });
  await rest('POST', '/mcp-url/rotate', { grace_hours: 1 });
  await rest('POST', `/webhooks/${endpoint.id}/test`);
  await receiver.next((event) => event.event === 'webhook.test');
  // The test event overtakes; the others come in the log's order, so the last one is the last.
  await receiver.next((event) => event.event === 'mcp_url.rotated');
  const schemas = await (await fetch(`${server.base}/reference/events.json`)).json();
  const ajv = addFormats(new Ajv2020({ strict: false, allErrors: true }));
  ajv.addSchema(schemas, 'events');
  const names = new Set();
  for (const { event } of receiver.all) {
    const isValid = ajv.getSchema(`events#/$defs/${event.event}`);
    assert.ok(isValid, `${event.event} is not in the schemas`);
    assert.ok(isValid(event), JSON.stringify([event, isValid.errors]));
    names.add(event.event);
  }
  for (const name of ['balance.topped_up', 'settings.changed', 'member.invited', 'mcp_url.rotated']) {
    assert.ok(names.has(name), `${name} was not delivered`);
  }
});

test('the verifiers that the reference shows accept what we deliver, and nothing else', async () => {
  const page = await (await fetch(`${server.base}/reference`)).text();
  const shown = Object.fromEntries(
    [...page.matchAll(/data-verify="(\w+)"[^>]*>([^<]*)</g)].map(([, language, code]) => [language, unescaped(code)]),
  );
  assert.deepEqual(Object.keys(shown), ['Python', 'TypeScript', 'Rust']);
  const { secret } = await rest('POST', '/webhooks', { url: receiver.url, format: 'generic' });
  await rest('PATCH', '/settings', { cost_centre: 'shown' });
  const fits = (got) => got.headers['x-agentframer-signature'].includes(v1(secret, got));
  const got = await receiver.where((got) => got.event.event === 'settings.changed' && fits(got));
  const header = got.headers['x-agentframer-signature'];
  const script = `import sys\n${shown.Python}\nsys.exit(0 if is_ours(sys.argv[1], sys.argv[2], sys.stdin.buffer.read()) else 1)`;
  await pythonCode(script, [secret, header], got.body);
  await assert.rejects(pythonCode(script, ['whsec_strange', header], got.body));
  const { outputText } = typescript.transpileModule(shown.TypeScript, {
    reportDiagnostics: true,
    compilerOptions: { module: typescript.ModuleKind.ESNext, target: typescript.ScriptTarget.ES2022, strict: true },
  });
  const { isOurs } = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);
  assert.ok(isOurs(secret, header, Buffer.from(got.body)));
  assert.ok(!isOurs('whsec_strange', header, Buffer.from(got.body)));
  assert.ok(!isOurs(secret, header, Buffer.from(`${got.body} `)));
});

/** A receiver that keeps what comes. */
async function receive() {
  const all = [];
  const http = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    all.push({ at: Date.now(), headers: request.headers, body, event: JSON.parse(body) });
    response.end();
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return { all, url: `http://127.0.0.1:${http.address().port}/hook`, next: (wanted) => next(all, ({ event }) => wanted(event)), where: (wanted) => next(all, wanted), close: () => http.close() };
}

async function next(all, wanted) {
  const late = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = all.find(wanted);
    if (found) return found;
    assert.ok(Date.now() < late, `did not come; came: ${all.map(({ event }) => event.event)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Contract §4: HMAC-SHA256 over `<t>.<raw body>`, keyed with the secret's bytes as shown. */
function assertOurs({ headers, body }, secrets) {
  const [, ...signed] = headers['x-agentframer-signature'].split(',');
  assert.deepEqual(signed, secrets.map((secret) => v1(secret, { headers, body })));
  assert.equal(headers['x-agentframer-event-id'], headers['webhook-id']);
}

function v1(secret, { headers, body }) {
  const at = headers['x-agentframer-signature'].split(',')[0].replace('t=', '');
  return `v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;
}

async function assertStandard(got, secret) {
  new Webhook(secret).verify(got.body, got.headers);
  await python(got, secret);
}

function python({ headers, body }, secret) {
  const script = fileURLToPath(new URL('clients/verify_webhook.py', import.meta.url));
  return pythonRun([script], JSON.stringify({ headers, body, secret }));
}

const pythonCode = (code, given, input) => pythonRun(['-c', code, ...given], input);

function pythonRun(given, input) {
  return new Promise((resolve, reject) => {
    const child = execFile(process.env.PYTHON, given, (error) => (error ? reject(error) : resolve()));
    child.stdin.end(input);
  });
}

async function rest(method, path, body) {
  const answer = await fetch(`${server.base}/api/v1/workspaces/${server.made.workspace_id}${path}`, {
    method,
    headers: { Authorization: `Bearer ${server.made.api_key}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}
