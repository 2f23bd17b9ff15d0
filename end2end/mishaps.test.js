// What goes wrong between a page and its form: sent twice, gone back, signed out, no longer allowed. Each is told in a
// sentence, and nothing is done twice.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { launch } from './support/browser.js';
import { ADMIN, startServer } from './support/server.js';
import { context, DEVELOPER, send, signIn, startWorld } from './support/world.js';

/** So long, the same form from the same session counts as the same act. */
const REMEMBERED_MS = 3_100;

let world, browser, page, ws;

before(async () => {
  world = await startWorld();
  browser = await launch();
  ws = world.made.workspace_id;
});
beforeEach(async () => {
  await page?.context().close();
  page = await (await context(browser, world.base, await signIn(world.base, ADMIN))).newPage();
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test('a form that is sent twice is done once, and both answers say so', async () => {
  const cookie = world.sessions.Admin;
  const fields = { workspace: ws, amount_usd: '5', reference: 'INV-twice' };
  const answers = await Promise.all([1, 2].map(() => send(world.base, 'top_up', fields, cookie, `/w/${ws}/billing`)));
  assert.deepEqual(answers.map((answer) => answer.status), [303, 303]);
  assert.equal(await topUps('INV-twice'), 1);
});

test('a double click adds to the balance once', async () => {
  await typeTopUp('INV-double');
  await page.getByRole('button', { name: 'Add to the balance' }).dblclick();
  await page.getByText('$5.00 added').waitFor();
  assert.equal(await topUps('INV-double'), 1);
});

test('a double click makes one agent, and its token is shown', async () => {
  await page.goto(`/w/${ws}/agents`);
  await page.getByText('New agent').click();
  await page.getByLabel('Name').fill('clicked-twice');
  await page.getByRole('button', { name: 'Create agent' }).dblclick();
  assert.match(await page.locator('#secret').innerText(), /^af_agent_/);
});

test('the same again, later, is another act, which is asked about first', async () => {
  await typeTopUp('INV-again');
  await page.getByRole('button', { name: 'Add to the balance' }).click();
  await page.getByText('$5.00 added').waitFor();
  await page.waitForTimeout(REMEMBERED_MS);
  await typeTopUp('INV-again');
  await page.getByRole('button', { name: 'Add to the balance' }).click();
  await page.getByRole('status').getByText('Nothing was added now').waitFor();
  assert.equal(await topUps('INV-again'), 1);
  await page.getByLabel('Add it once more').check();
  await page.getByRole('button', { name: 'Add to the balance' }).click();
  await page.getByText('$5.00 added').waitFor();
  assert.equal(await topUps('INV-again'), 2);
});

test('going back, forward and loading again sends nothing', async () => {
  await typeTopUp('INV-back');
  await page.getByRole('button', { name: 'Add to the balance' }).click();
  await page.getByText('$5.00 added').waitFor();
  await page.reload();
  assert.equal(await page.getByText('$5.00 added').count(), 0, 'said once');
  await page.goBack();
  await page.goForward();
  await page.goBack();
  await page.reload();
  assert.equal(await topUps('INV-back'), 1);
});

test('an ended session: nothing is done, signing in leads back to what was typed', async () => {
  await typeTopUp('INV-ended');
  await endSession();
  await page.getByRole('button', { name: 'Add to the balance' }).click();
  await page.getByText('Your session has ended').waitFor();
  assert.equal(await topUps('INV-ended'), 0);
  await page.getByLabel('E-mail').fill(ADMIN.email);
  await page.getByLabel('Password').fill(ADMIN.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`**/w/${ws}/billing`);
  assert.equal(await page.getByLabel('Reference', { exact: true }).inputValue(), 'INV-ended');
  assert.equal(await topUps('INV-ended'), 0);
});

test('an ended session: a page leads to signing in and back', async () => {
  await page.goto(`/w/${ws}`);
  await endSession();
  await page.getByRole('link', { name: 'Usage' }).click();
  await page.waitForURL('**/login?next=*');
  await page.getByText('Sign in to go on').waitFor();
});

test('a role that is lost in the middle: a sentence, and nothing is done', async () => {
  const members = (await world.rest('GET', '/members')).items;
  const { id } = members.find((member) => member.email === DEVELOPER.email);
  const dev = await (await context(browser, world.base, await signIn(world.base, DEVELOPER))).newPage();
  await dev.goto(`/w/${ws}/agents`);
  await dev.getByText('New agent').click();
  await dev.getByLabel('Name').fill('too-late');
  await world.rest('PATCH', `/members/${id}`, { role: 'viewer' });
  const answer = dev.waitForResponse((response) => response.request().method() === 'POST');
  await dev.getByRole('button', { name: 'Create agent' }).click();
  assert.equal((await answer).status(), 404);
  await dev.getByRole('heading', { name: 'This was not done' }).waitFor();
  await dev.getByText('Your role may have changed').waitFor();
  const agents = (await world.rest('GET', '/agents')).items;
  assert.ok(!agents.some((agent) => agent.name === 'agent.too-late'));
  await dev.context().close();
});

test('the set-up link works once', async () => {
  const bare = await startServer({}, { bare: true });
  const first = { token: new URL(bare.setup).searchParams.get('token'), name: 'Ada', email: ADMIN.email, password: ADMIN.password, workspace_name: 'Growth', region: 'eu-west-1' };
  try {
    const answers = await Promise.all([1, 2].map(() => send(bare.base, 'set_up', first, undefined, '/setup')));
    const led = answers.map((answer) => answer.headers.get('location').startsWith('/w/'));
    assert.deepEqual(led.sort(), [false, true]);
  } finally {
    await bare.stop();
  }
});

async function typeTopUp(reference) {
  await page.goto(`/w/${ws}/billing`);
  await page.getByLabel('Amount in US dollars').fill('5');
  await page.getByLabel('Reference', { exact: true }).fill(reference);
}

/** How many entries of the ledger bear the reference. */
async function topUps(reference) {
  const { items } = await world.rest('GET', '/ledger?limit=200');
  return items.filter((entry) => entry.reference === reference).length;
}

/** As another window would: the page does not know. */
async function endSession() {
  const [cookie] = (await page.context().cookies()).filter(({ name }) => name === 'af');
  await send(world.base, 'sign_out', {}, `${cookie.name}=${cookie.value}`);
}
