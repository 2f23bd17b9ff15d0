// A data subject's requests from outside: the archive and the certificates, checked by a Python program of their own.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { callTools } from './support/agent.js';
import { startServer } from './support/server.js';

const PNG = '89504e470d0a1a0a';
const ENDS_MS = 20_000;

let server;
let folder;
before(async () => {
  [server, folder] = await Promise.all([startServer(), mkdtemp(join(tmpdir(), 'agentframer-data-'))]);
  const portrait = (prompt, subject) => ['generate_image', { prompt, subject, width: 64, height: 64 }];
  await callTools(server.made, [portrait('a portrait of Grace', 'customer-42'), portrait('a fox', 'customer-7')]);
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('the archive holds what is hers and its certificate is signed', async () => {
  const done = await ended('access');
  const archive = Buffer.from(await (await fetch(done.archive_url)).arrayBuffer());
  const seen = await verified(done, archive);
  assert.deepEqual(seen.archive, { data_request_id: done.id, prompts: ['a portrait of Grace'], png: [PNG] });
});

test('an erasure ends in a certificate that anybody can check', async () => {
  const done = await ended('erasure');
  const seen = await verified(done);
  assert.deepEqual([seen.signed, seen.forged, seen.stranger], [true, false, false]);
  const gone = await ended('access');
  assert.deepEqual([gone.matches.prompts, gone.matches.media], [0, 0]);
});

test('the log without what was erased is whole', async () => {
  const { workspace_id, api_key } = server.made;
  const log = await fetch(`${server.base}/api/v1/workspaces/${workspace_id}/audit`, {
    headers: { Accept: 'application/x-ndjson', Authorization: `Bearer ${api_key}` },
  });
  const file = join(folder, 'log.ndjson');
  const text = await log.text();
  assert.match(text, /data_request\.completed/);
  await writeFile(file, text);
  // It ends with 0 where the chain is whole.
  await server.command(['audit', 'verify', file]);
});

test('the books are clean', async () => {
  assert.match(await server.command(['check']), /^Clean/);
});

/** Files, approves and waits. */
async function ended(kind) {
  const today = new Date().toISOString().slice(0, 10);
  const filed = await rest('POST', '/data-requests', {
    kind, match: { subject: 'customer-42' }, received_on: today, requested_by: 'Grace Hopper',
  });
  await rest('POST', `/data-requests/${filed.id}/approve`, { identity: 'passport' });
  for (const late = Date.now() + ENDS_MS; Date.now() < late;) {
    const now = await rest('GET', `/data-requests/${filed.id}`);
    if (now.state === 'done') return now;
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
  throw new Error(`the ${kind} request did not end`);
}

async function verified(request, archive) {
  const certificate = await rest('GET', `/data-requests/${request.id}/certificate`);
  const keys = await (await fetch(`${server.base}/reference/keys.json`)).json();
  const file = (name) => join(folder, `${request.id}-${name}`);
  await writeFile(file('certificate.json'), JSON.stringify(certificate));
  await writeFile(file('keys.json'), JSON.stringify(keys));
  if (archive) await writeFile(file('archive.tar'), archive);
  const files = ['certificate.json', 'keys.json', ...(archive ? ['archive.tar'] : [])].map(file);
  const program = new URL('clients/verify_certificate.py', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.env.PYTHON, [program, ...files], { timeout: 30_000 });
  const seen = JSON.parse(stdout);
  assert.equal(seen.signed, true);
  return seen;
}

async function rest(method, path, body) {
  const { workspace_id, api_key } = server.made;
  const answer = await fetch(`${server.base}/api/v1/workspaces/${workspace_id}${path}`, {
    method,
    headers: { Authorization: `Bearer ${api_key}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
