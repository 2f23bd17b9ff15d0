// Every flow with JavaScript off: forms are forms. Wrong input comes back as it was typed, is named beside its field and
// in a summary that leads there.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch } from './support/browser.js';
import { ADMIN, startServer } from './support/server.js';
import { context, fill, startWorld } from './support/world.js';

let world, browser, page, ids;

before(async () => {
  world = await startWorld();
  browser = await launch();
  ids = await fill(world);
  page = await (await context(browser, world.base, world.sessions.Admin, { javaScriptEnabled: false })).newPage();
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test('topping up', async () => {
  await open('/billing');
  await fillIn({ 'Amount in US dollars': '12,50 euros', Reference: 'INV-plain' });
  await send('Add to the balance');
  await isBack('Amount in US dollars', '12,50 euros', { Reference: 'INV-plain' });
  await fillIn({ 'Amount in US dollars': '12.50' });
  await send('Add to the balance');
  await says('$12.50 added');
});

test('creating an agent, whose token is shown once', async () => {
  await open('/agents');
  await page.getByText('New agent').click();
  await fillIn({ Name: 'not a name!' });
  await send('Create agent');
  await isBack('Name', 'not a name!');
  await fillIn({ Name: 'plain-bot' });
  await send('Create agent');
  assert.match(await page.locator('#secret').innerText(), /^af_agent_/);
  await page.reload();
  assert.equal(await page.locator('#secret').count(), 0);
});

test('editing a policy, by controls and as JSON', async () => {
  await open(`/agents/${ids.agent}`);
  await fillIn({ 'Networks that calls may come from': '10.0.0.0/8\noffice', 'Cap a day (USD)': '7' });
  await page.getByRole('button', { name: 'Save policy' }).first().click();
  await isBack('Networks that calls may come from', '10.0.0.0/8\noffice', { 'Cap a day (USD)': '7' });
  await fillIn({ 'Networks that calls may come from': '127.0.0.0/8' });
  await page.getByRole('button', { name: 'Save policy' }).first().click();
  await says('Saved');
  const json = 'The same as JSON. Saving either form replaces the whole policy.';
  await fillIn({ [json]: '{"permissions": [' });
  await page.getByRole('button', { name: 'Save policy' }).last().click();
  await isBack(json, '{"permissions": [');
});

test('inviting a member', async () => {
  await open('/members');
  await page.getByText('Invite a person').click();
  await fillIn({ 'E-mail': ADMIN.email });
  await page.getByRole('radio', { name: /Developer/ }).check();
  await send('Send invitation');
  await isBack('E-mail', ADMIN.email);
  assert.ok(await page.getByRole('radio', { name: /Developer/ }).isChecked());
  await fillIn({ 'E-mail': 'plain@example.com' });
  await send('Send invitation');
  await says('plain@example.com is invited as Developer');
});

test('inviting a list', async () => {
  await open('/members');
  await page.getByText('Invite a list').click();
  const list = 'One person a line: email,role';
  await fillIn({ [list]: 'one@example.com,king' });
  await send('Check the list');
  await isBack(list, 'one@example.com,king');
  await fillIn({ [list]: 'one@example.com,viewer' });
  await send('Check the list');
  await send('Send 1 invitation');
  await says('1 invitation is on its way');
});

test('adding a webhook', async () => {
  await open('/webhooks');
  await page.getByText('Add a webhook').click();
  await fillIn({ Address: 'ftp://siem.example.com/', Headers: 'X-Team: growth' });
  await page.getByRole('radio', { name: /Datadog/ }).check();
  await send('Add webhook');
  await isBack('Address', 'ftp://siem.example.com/', { Headers: 'X-Team: growth' });
  assert.ok(await page.getByRole('radio', { name: /Datadog/ }).isChecked());
  await page.getByRole('radio', { name: /Generic/ }).check();
  await fillIn({ Address: 'https://siem.example.com/' });
  await send('Add webhook');
  assert.match(await page.locator('#secret').innerText(), /^whsec_/);
});

test('filing a data request', async () => {
  await open('/data-requests');
  await page.getByText('File a request').click();
  await page.getByRole('radio', { name: /A copy/ }).check();
  await fillIn({ 'Who asked': 'Grace Hopper' });
  await send('Show what it matches');
  assert.equal(await page.locator('[role=status] a').getAttribute('href'), '#match');
  assert.match(await page.locator('#match .error').first().innerText(), /^The request names nothing/);
  assert.equal(await page.locator('[autofocus]').getAttribute('id'), 'match');
  await fillIn({ 'From day': '2026-02-02', 'To day': '2026-02-01' });
  await send('Show what it matches');
  await isBack('To day', '2026-02-01', { 'Who asked': 'Grace Hopper' });
  await fillIn({ 'From day': '', 'To day': '', Subject: 'customer-42' });
  await send('Show what it matches');
  await page.getByText('Not filed yet').waitFor();
  await send('File request');
  await page.getByText('waits for approval').first().waitFor();
});

test('changing a cap', async () => {
  await open('/caps');
  await fillIn({ 'Workspace, per month (US dollars)': 'four hundred', 'A single call (US dollars)': '4' });
  await send('Save');
  await isBack('Workspace, per month (US dollars)', 'four hundred', { 'A single call (US dollars)': '4' });
  await fillIn({ 'Workspace, per month (US dollars)': '400' });
  await send('Save');
  await page.getByText('of $400.00').waitFor();
});

test('making an API key, and what must be typed to delete a workspace', async () => {
  await open('/settings');
  await page.getByText('Make a key').click();
  await fillIn({ 'Ends after days': '99999' });
  await page.getByLabel('Name', { exact: true }).last().fill('nightly');
  await send('Make key');
  await isBack('Ends after days', '99999');
  await open('/settings');
  await page.getByText('Rotate a key').click();
  await fillIn({ 'Hours that the old key still works': '999' });
  await send('Make a new key');
  await isBack('Hours that the old key still works', '999');
  await open('/settings');
  await page.getByText('Delete this workspace').click();
  await fillIn({ 'Type the workspace’s name': 'Another' });
  await send('Delete for good');
  await isBack('Type the workspace’s name', 'Another');
});

test('how long data is kept', async () => {
  await open('/retention');
  await fillIn({ 'Media and prompts, in days': '9999' });
  await send('Show what this deletes');
  await isBack('Media and prompts, in days', '9999');
  await fillIn({ 'Media and prompts, in days': '20' });
  await send('Show what this deletes');
  await page.getByText('not saved yet').waitFor();
});

test('setting up, signing in and out', async () => {
  const bare = await startServer({}, { bare: true });
  const stranger = await (await context(browser, bare.base, undefined, { javaScriptEnabled: false })).newPage();
  try {
    await stranger.goto(bare.setup);
    await fillIn({ 'Your name': 'Ada', 'E-mail': 'ada@example.com', Password: 'short', 'First workspace': 'Growth' }, stranger);
    await stranger.getByRole('radio', { name: /eu-west-1/ }).check();
    await stranger.getByRole('button', { name: 'Create account and workspace' }).click();
    await isBack('Password', '', { 'E-mail': 'ada@example.com', 'First workspace': 'Growth' }, stranger);
    await fillIn({ Password: 'a long enough passphrase' }, stranger);
    await stranger.getByRole('button', { name: 'Create account and workspace' }).click();
    await stranger.getByRole('heading', { name: 'Growth' }).waitFor();
    await stranger.getByRole('button', { name: 'Sign out' }).click();
    await fillIn({ 'E-mail': 'ada@example.com', Password: 'a long enough passphrase' }, stranger);
    await stranger.getByRole('button', { name: 'Sign in' }).click();
    await stranger.getByRole('heading', { name: 'Workspaces', exact: true }).waitFor();
  } finally {
    await stranger.context().close();
    await bare.stop();
  }
});

function open(below) {
  return page.goto(`/w/${ids.ws}${below}`);
}

async function fillIn(fields, on = page) {
  for (const [label, text] of Object.entries(fields)) await on.getByLabel(label, { exact: true }).first().fill(text);
}

function send(name) {
  return page.getByRole('button', { name, exact: true }).first().click();
}

function says(text) {
  return page.getByRole('status').getByText(text).waitFor();
}

/** The form came back: `label` is marked, holds what was typed, has its error beside it and in the summary, and the focus. */
async function isBack(label, typed, others = {}, on = page) {
  const field = on.getByLabel(label, { exact: true }).first();
  await on.locator('[role=status] .note.bad').waitFor();
  assert.equal(await field.inputValue(), typed, label);
  assert.equal(await field.getAttribute('aria-invalid'), 'true', `${label} is not marked`);
  const beside = on.locator(`#${(await field.getAttribute('aria-describedby')).split(' ').at(-1)}`);
  assert.ok(await beside.isVisible(), `no error beside ${label}`);
  const said = (await beside.innerText()).replace(/^This /, '').trim();
  const summary = on.locator('[role=status] .note.bad');
  const id = await field.getAttribute('id');
  assert.ok((await summary.innerText()).includes(said.split(' ').slice(-3).join(' ')), `${await summary.innerText()} / ${said}`);
  assert.equal(await summary.getByRole('link').getAttribute('href'), `#${id}`);
  assert.equal(await on.locator('[autofocus]').first().getAttribute('id'), id, `${label} has no focus`);
  for (const [other, text] of Object.entries(others)) {
    assert.equal(await on.getByLabel(other, { exact: true }).first().inputValue(), text, other);
  }
}
