// A server with people of each role, and workspaces with something and with nothing in them.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { callTools } from './agent.js';
import { PATIENCE_MS } from './browser.js';
import { ADMIN, startServer } from './server.js';

export const DEVELOPER = { email: 'dev@example.com', name: 'Dev Patel', password: 'another long passphrase' };
export const VIEWER = { email: 'vera@example.com', name: 'Vera Stone', password: 'a third long passphrase' };
/** Column by column of `pages.table`. */
export const PEOPLE = { Admin: ADMIN, Developer: DEVELOPER, Viewer: VIEWER };
const ENDS_MS = 20_000;

/** Starts it: Ada is Admin, Dev is Developer and Vera is Viewer of Growth. `sessions` are their cookies. */
export async function startWorld() {
  const server = await startServer({ AGENTFRAMER_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES: 'true' });
  const world = { ...server, rest: (...call) => rest(server, ...call) };
  try {
    await joins(world, DEVELOPER, 'developer');
    await joins(world, VIEWER, 'viewer');
    const sessions = Object.entries(PEOPLE).map(async ([role, person]) => [role, await signIn(server.base, person)]);
    return { ...world, sessions: Object.fromEntries(await Promise.all(sessions)) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Fills Growth until each of its pages has something to show; answers with the ids that the pages' paths need. */
export async function fill(world) {
  const { made, rest } = world;
  const long = 'a very long name of a data subject, as agents make them up themselves when nobody stops them, number 42';
  const image = (more) => ['generate_image', { prompt: 'a fox', width: 64, height: 64, ...more }];
  const [call] = await callTools(made, [
    image({ subject: 'customer-42' }), image({ subject: long, prompt: 'unbroken'.repeat(60) }), image({ count: 2 }),
    ['generate_video', { prompt: 'waves', width: 64, height: 64, duration_s: 1 }],
  ]);
  await callTools(made, [['invite_team_member', { email: 'x@example.com', role: 'viewer' }]]).catch(() => 'refused');
  const today = new Date().toISOString().slice(0, 10);
  const asked = (subject, kind) => rest('POST', '/data-requests', {
    kind, match: { subject }, received_on: today, requested_by: 'Grace Brewster Murray Hopper', note: 'By letter.',
  });
  const done = await asked('customer-42', 'access');
  await rest('POST', `/data-requests/${done.id}/approve`, { identity: 'passport' });
  const open = await asked(long, 'erasure');
  const url = 'http://127.0.0.1:9/services/collector/event/of/a/receiver/that/is/away';
  const webhook = await rest('POST', '/webhooks', { url, format: 'generic' });
  await rest('POST', '/holds', { kind: 'subject', target: 'customer-7', reason: 'Case 7' });
  await rest('PUT', '/caps', { workspace_month_usd: 500, call_usd: 5 });
  await rest('POST', '/members', { email: 'somebody.with.a.long.address@department.example.com', role: 'viewer' });
  const paused = await rest('POST', '/agents', { name: 'an-agent-with-a-name-that-is-as-long-as-names-may-be' });
  await rest('POST', `/agents/${paused.id}/pause`);
  await until(async () => (await rest('GET', `/data-requests/${done.id}`)).state === 'done');
  await until(async () => (await rest('GET', `/webhooks/${webhook.id}/deliveries`)).items.length > 0);
  return {
    ws: made.workspace_id, agent: made.agent_id, request: call.request_id, webhook: webhook.id,
    data_request: open.id, done: done.id, model: 'sketch-image-1', invite: await invitation(world),
  };
}

/** One more workspace, with nothing in it. */
export async function emptyWorkspace(world, name = 'Empty') {
  const answer = await send(world.base, 'create_workspace', { workspace_name: name, region: 'us-east-1' }, world.sessions.Admin);
  return answer.headers.get('location').replace('/w/', '');
}

/** Erases a subject; answers with the request's id once it is done. */
export async function erased({ rest }, subject) {
  const today = new Date().toISOString().slice(0, 10);
  const { id } = await rest('POST', '/data-requests', { kind: 'erasure', match: { subject }, received_on: today, requested_by: 'Grace Hopper' });
  await rest('POST', `/data-requests/${id}/approve`, { identity: 'passport' });
  await until(async () => (await rest('GET', `/data-requests/${id}`)).state === 'done');
  return id;
}

/** The session's cookie. */
export async function signIn(base, { email, password }) {
  const answer = await send(base, 'sign_in', { email, password });
  return answer.headers.getSetCookie().find((cookie) => cookie.startsWith('af=')).split(';')[0];
}

/** A browser's context in which the session's person is signed in. */
export async function context(browser, base, cookie, options = {}) {
  const made = await browser.newContext({ baseURL: base, ...options });
  made.setDefaultTimeout(PATIENCE_MS);
  const [name, value] = cookie ? cookie.split('=') : [];
  if (cookie) await made.addCookies([{ name, value, url: base }]);
  return made;
}

/** Sends a form as a browser without scripts does. */
export function send(base, endpoint, fields, cookie, from = '/') {
  const headers = { Accept: 'text/html', Origin: base, Referer: `${base}${from}`, ...(cookie && { Cookie: cookie }) };
  return fetch(`${base}/api/${endpoint}`, { method: 'POST', headers, body: new URLSearchParams(fields), redirect: 'manual' });
}

async function rest({ base, made }, method, path, body) {
  const answer = await fetch(`${base}/api/v1/workspaces/${made.workspace_id}${path}`, {
    method,
    headers: { Authorization: `Bearer ${made.api_key}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? undefined : answer.json();
}

async function joins(world, { email, name, password }, role) {
  await world.rest('POST', '/members', { email, role });
  const answer = await send(world.base, 'accept_invitation', { token: await invitation(world), name, password });
  if (answer.status !== 303) throw new Error(`${email} could not join: ${answer.status}`);
}

const taken = new Set();

/** The token of the invitation that was mailed last. */
const invitation = (world) => mailed(world, /\/invite\/(\S+)/);

/** What a mail says where it fits `pattern`; each only once. */
export async function mailed({ data }, pattern) {
  const folder = join(data, 'mail');
  const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
  const plain = (text) => text.replace(/=\r\n/g, '').replaceAll('=3D', '=');
  const found = texts.map((text) => plain(text).match(pattern)?.[1]).find((said) => said && !taken.has(said));
  taken.add(found);
  return found;
}

async function until(holds) {
  for (const late = Date.now() + ENDS_MS; Date.now() < late;) {
    if (await holds()) return;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error('what was waited for did not come');
}
