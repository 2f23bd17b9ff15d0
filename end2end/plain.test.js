// Every flow with JavaScript off: forms are forms. Wrong input comes back as it was typed, is named beside its field and
// in a summary that leads there.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch } from './support/browser.js';
import { ADMIN, startServer } from './support/server.js';
import { filled } from './support/table.js';
import { context, fill, mailed, startWorld, VIEWER } from './support/world.js';

/** Longer than any input takes. */
const LONG = 'x'.repeat(2_001);
const NEW_PASSWORD = 'a phrase without scripts';
const SECRET = 'https://hooks.slack.com/services/T0/B0/s3cret';

let world, browser, page, viewer, ids;

before(async () => {
  world = await startWorld();
  browser = await launch();
  ids = { ...await fill(world), ...await more(world) };
  const plain = async (session) => (await context(browser, world.base, session, { javaScriptEnabled: false })).newPage();
  [page, viewer] = [await plain(world.sessions.Admin), await plain(world.sessions.Viewer)];
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
  await send('Save');
  await says('Saved. What is past its time');
});

test('changing a role, and removing a member', async () => {
  await open('/members');
  const row = (text) => page.getByRole('row').filter({ hasText: text });
  const change = async (text, role) => {
    await row(text).getByRole('combobox').selectOption(role);
    await row(text).getByRole('button', { name: 'Change', exact: true }).click();
  };
  await change('(you)', 'Viewer');
  await page.locator('[role=status] .note.bad').getByText('The last Admin of a workspace cannot be').waitFor();
  await change('Dev Patel', 'Viewer');
  await says('Dev Patel is Viewer now');
  await row('Dev Patel').getByText('Remove', { exact: true }).click();
  await row('Dev Patel').getByRole('button', { name: 'Remove now' }).click();
  await says('Removed. The person has no access any more');
});

// What is done and where; the text that opens the form; what is wrong, its first input, and what stands beside it, which
// comes back as it was; what is typed instead; the button; and what the next page says. Where `by` is the Viewer, she does it.
const FLOWS = [
  { does: 'setting an allowance', at: '/w/{ws}/billing',
    wrong: { 'Balance on the first, in US dollars': 'plenty' }, right: { 'Balance on the first, in US dollars': '250' },
    press: 'Save', says: 'brought up to $250.00' },
  { does: 'who is told of alerts', at: '/w/{ws}/caps',
    wrong: { 'Further thresholds, per cent of a typical month': 'ninety', Recipients: 'ada@example.com', Slack: SECRET },
    asks: 'Slack was not kept, being secret: type it again.', right: { 'Further thresholds, per cent of a typical month': '90' },
    press: 'Save alerts', says: 'Saved.' },
  { does: 'replacing the MCP address', at: '/w/{ws}/settings', opens: 'Replace it',
    wrong: { 'Hours that the old address still works': '999' }, right: { 'Hours that the old address still works': '24' },
    press: 'Make a new address', says: 'The MCP address is new' },
  { does: 'making an API key', at: '/w/{ws}/settings', opens: 'Make a key',
    wrong: { 'Ends after days': '99999', Name: 'plain-key' }, right: { 'Ends after days': '30' },
    press: 'Make key', says: 'The key is ready' },
  { does: 'ending it', at: '/w/{ws}/settings', opens: 'End plain-key', press: 'End this key now', says: 'The key does not work any more' },
  { does: 'rotating an agent’s token', at: '/w/{ws}/agents/{spare}', opens: 'Rotate token',
    wrong: { 'Hours that the old token still works': '999' }, right: { 'Hours that the old token still works': '1' },
    press: 'Make a new token', says: 'This is the new token' },
  { does: 'pausing an agent', at: '/w/{ws}/agents/{spare}', opens: 'Pause', press: 'Pause', says: 'Paused. Its calls are refused' },
  { does: 'resuming it', at: '/w/{ws}/agents/{spare}', opens: 'Resume', press: 'Resume', says: 'Resumed.' },
  { does: 'revoking it', at: '/w/{ws}/agents/{spare}', opens: 'Revoke', press: 'Revoke for good', says: 'Revoked.' },
  { does: 'placing a legal hold', at: '/w/{ws}/retention', opens: 'Place a hold', chooses: /^Data subject/,
    wrong: { 'Agent or subject': LONG, Reason: 'case 9' }, right: { 'Agent or subject': 'customer-9' },
    press: 'Place hold', says: 'A legal hold keeps subject customer-9' },
  { does: 'lifting it', at: '/w/{ws}/retention', opens: 'Lift',
    wrong: { 'Why it is lifted': LONG }, right: { 'Why it is lifted': 'closed' }, press: 'Lift the hold', says: 'Lifted.' },
  { does: 'rejecting a data request', at: '/w/{ws}/data-requests/{rejected}', opens: 'Reject',
    wrong: { Reason: LONG }, right: { Reason: 'not the person' }, press: 'Reject', says: 'Rejected.' },
  { does: 'approving a data request', at: '/w/{ws}/data-requests/{approved}',
    wrong: { 'How the person’s identity was verified': LONG }, right: { 'How the person’s identity was verified': 'passport' },
    press: 'Approve and run', says: 'Approved.' },
  { does: 'changing a webhook', at: '/w/{ws}/webhooks/{webhook}', opens: 'Change',
    wrong: { Address: 'ftp://siem.example.com/', 'New token': 's3cret', Headers: 'X-Team: growth' },
    asks: 'Token was not kept, being secret: type it again.', right: { Address: 'http://127.0.0.1:9/other' },
    press: 'Save', says: 'Saved. What waits is delivered now.' },
  { does: 'rotating its secret', at: '/w/{ws}/webhooks/{webhook}', opens: 'Rotate secret',
    wrong: { 'Hours that the old secret still signs': '999' }, right: { 'Hours that the old secret still signs': '1' },
    press: 'Make a new secret', says: 'This is the new secret' },
  { does: 'deleting it', at: '/w/{ws}/webhooks/{webhook}', opens: 'Delete', press: 'Delete this webhook', says: 'Deleted, with its delivery log' },
  { does: 'saving a search', at: '/w/{ws}/audit?tab=calls&q=tool%3Agenerate_image', opens: 'Saved searches',
    wrong: { 'Save this search as': LONG }, right: { 'Save this search as': 'plain search' }, press: 'Save', says: '“plain search” is saved.' },
  { does: 'removing it', at: '/w/{ws}/audit', opens: 'Saved searches', press: 'Remove plain search', says: 'The saved search is removed.' },
  { does: 'one’s own name', by: 'Viewer', at: '/account',
    wrong: { 'Your name': LONG }, right: { 'Your name': 'Vera S.' }, press: 'Save', says: 'Saved.' },
  { does: 'one’s own time zone', by: 'Viewer', at: '/account',
    wrong: { 'Times are shown in': 'Mars/Olympus' }, right: { 'Times are shown in': 'Asia/Tokyo' },
    press: 'Save', says: 'Times are shown in Asia/Tokyo now' },
  { does: 'asking for another address', by: 'Viewer', at: '/account',
    wrong: { 'Your password': 'wrong', 'New address': 'vera@elsewhere.example.com' }, right: { 'Your password': VIEWER.password },
    press: 'Send the link', says: 'A link went to vera@elsewhere.example.com' },
  { does: 'following its link', by: 'Viewer', at: () => mailed(world, /(\/account\?confirm=\S+)/),
    press: 'Use this address', says: 'You sign in as vera@elsewhere.example.com' },
  { does: 'one’s own password', by: 'Viewer', at: '/account',
    wrong: { 'Password now': 'wrong', 'New password': NEW_PASSWORD }, right: { 'Password now': VIEWER.password, 'New password': NEW_PASSWORD },
    press: 'Change password', says: 'Every other session of yours has ended' },
  { does: 'deleting one’s account', by: 'Viewer', at: '/account', opens: 'Delete this account',
    wrong: { 'Your password': 'wrong' }, right: { 'Your password': NEW_PASSWORD }, press: 'Delete for good', says: 'Your account is deleted.' },
];

test('the flows of every page', async (each) => {
  for (const flow of FLOWS) await each.test(flow.does, () => follow(flow));
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

/** What else the flows need: an agent, and two open requests. */
async function more({ rest }) {
  const file = (subject) => rest('POST', '/data-requests', {
    kind: 'access', match: { subject }, received_on: new Date().toISOString().slice(0, 10), requested_by: 'Grace Hopper',
  });
  const [spare, rejected, approved] = [await rest('POST', '/agents', { name: 'spare' }), await file('customer-8'), await file('customer-9')];
  return { spare: spare.id, rejected: rejected.id, approved: approved.id };
}

async function follow({ by, at, opens, chooses, wrong, asks, right = {}, press, says: text }) {
  const on = by ? viewer : page;
  await on.goto(typeof at === 'string' ? filled(at, ids) : await at());
  if (opens) await on.getByText(opens, { exact: true }).or(on.getByLabel(opens, { exact: true })).first().click();
  const form = formOf(on, Object.keys({ ...wrong, ...right })[0], press);
  const button = form.getByRole('button', { name: press, exact: true });
  if (chooses) await form.getByRole('radio', { name: chooses }).check();
  if (wrong) {
    await fillIn(wrong, form);
    await button.click();
    await comesBack(wrong, on, form);
    if (asks) await says(asks, on);
    if (chooses) assert.ok(await form.getByRole('radio', { name: chooses }).isChecked());
  }
  await fillIn(right, form);
  await button.click();
  await says(text, on);
}

/** The form with the input called `label`, where there is one, and the button. */
function formOf(on, label, press) {
  const forms = on.locator('form').filter({ has: on.getByRole('button', { name: press, exact: true }) });
  return (label ? forms.filter({ has: on.getByLabel(label, { exact: true }) }) : forms).first();
}

/** The first input is wrong, the others are as they were; passwords are empty. */
async function comesBack(typed, on, form) {
  await on.locator('[role=status] .note.bad').waitFor();
  const kept = async ([label, text]) => {
    const kind = await form.getByLabel(label, { exact: true }).first().getAttribute('type');
    return [label, kind === 'password' ? '' : text];
  };
  const [[label, text], ...others] = await Promise.all(Object.entries(typed).map(kept));
  await isBack(label, text, Object.fromEntries(others), on, form);
}

function open(below) {
  return page.goto(`/w/${ids.ws}${below}`);
}

async function fillIn(fields, on = page) {
  for (const [label, text] of Object.entries(fields)) await on.getByLabel(label, { exact: true }).first().fill(text);
}

function send(name) {
  return page.getByRole('button', { name, exact: true }).first().click();
}

function says(text, on = page) {
  return on.getByRole('status').getByText(text).waitFor();
}

/** The form came back: `label` is marked, holds what was typed, has its error beside it and in the summary, and the focus. */
async function isBack(label, typed, others = {}, on = page, form = on) {
  const field = form.getByLabel(label, { exact: true }).first();
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
    assert.equal(await form.getByLabel(other, { exact: true }).first().inputValue(), text, other);
  }
}
