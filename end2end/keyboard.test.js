// Each flow by keyboard alone: what is used can be reached with the tab key, shows its focus, and is not covered.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { launch, watched } from './support/browser.js';
import { context, fill, startWorld } from './support/world.js';

/** No page has more stops than this. */
const MOST_STOPS = 200;

let world, browser, page, complaints, ids;

before(async () => {
  world = await startWorld();
  browser = await launch();
  ids = await fill(world);
  const admin = await context(browser, world.base, world.sessions.Admin);
  await admin.grantPermissions(['clipboard-read', 'clipboard-write']);
  page = await admin.newPage();
  complaints = watched(page);
});
afterEach(() => assert.deepEqual(complaints.splice(0), []));
after(async () => {
  await browser?.close();
  await world?.stop();
});

test('topping up, with an error on the way', async () => {
  await open('/billing');
  await type('Amount in US dollars', 'a lot');
  await type('Reference', 'INV-keyboard');
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('Amount').waitFor();
  assert.equal((await focused()).name, 'Amount in US dollars');
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('25');
  await page.keyboard.press('Enter');
  await page.getByText('$25.00 added').waitFor();
});

test('creating an agent and copying its token', async () => {
  await open('/agents');
  await press('New agent');
  await type('Name', 'typed-bot');
  await page.keyboard.press('Enter');
  const token = await page.locator('#secret').innerText();
  await press('Copy');
  await page.getByRole('button', { name: 'Copied' }).first().waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), token);
});

test('editing a policy', async () => {
  await open(`/agents/${ids.agent}`);
  await tabTo(/^generate_video: /);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  const { name } = await focused();
  await press('Save policy');
  await page.getByText('Saved').first().waitFor();
  assert.ok(await page.getByRole('radio', { name }).isChecked(), name);
});

test('inviting a member', async () => {
  await open('/members');
  await press('Invite a person');
  await type('E-mail', 'keys@example.com');
  await tabTo(/^Viewer/);
  await page.keyboard.press('ArrowUp');
  await press('Send invitation');
  await page.getByText('keys@example.com is invited as Developer').waitFor();
});

test('adding a webhook, with an error on the way', async () => {
  await open('/webhooks');
  await press('Add a webhook');
  await type('Address', 'ftp://siem.example.com/');
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('Address').waitFor();
  assert.equal((await focused()).name, 'Address');
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('https://siem.example.com/in');
  await page.keyboard.press('Enter');
  await page.locator('#secret').waitFor();
});

test('filing a data request', async () => {
  await open('/data-requests');
  await press('File a request');
  await tabTo(/^A copy/);
  await page.keyboard.press('Space');
  await type('Who asked', 'Grace Hopper');
  await type('Subject', 'customer-42');
  await press('Show what it matches');
  await page.getByText('Not filed yet').waitFor();
  await press('File request');
  await page.getByText('waits for approval').first().waitFor();
});

test('changing a cap', async () => {
  await open('/caps');
  await type('Workspace, per month (US dollars)', '321');
  await page.keyboard.press('Enter');
  await page.getByText('of $321.00').waitFor();
});

test('making, rotating and ending an API key', async () => {
  await open('/settings');
  await press('Make a key');
  await type('Name', 'typed-key');
  await page.keyboard.press('Enter');
  const first = await page.locator('#secret').innerText();
  await open('/settings');
  await press('Rotate a key');
  await type('Hours that the old key still works', '0');
  await page.keyboard.press('Enter');
  await page.getByText('This is the new key').waitFor();
  assert.notEqual(await page.locator('#secret').innerText(), first);
  await open('/settings');
  await press('End typed-key');
  await press('End this key now');
  await page.getByText('The key does not work any more').waitFor();
});

test('placing a hold and lifting it', async () => {
  await open('/retention');
  await press('Place a hold');
  await type('Reason', 'case 7');
  await page.keyboard.press('Enter');
  await page.getByText('case 7').first().waitFor();
});

test('from the palette to a page, and back out of it', async () => {
  await open('');
  await page.getByRole('button', { name: /^Find/ }).waitFor();
  await page.keyboard.press('ControlOrMeta+k');
  await page.keyboard.press('Escape');
  await page.keyboard.press('ControlOrMeta+k');
  await page.keyboard.type('billing');
  await page.getByRole('option', { name: /Billing/ }).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL('**/billing');
});

test('the chart’s legend and bars', async () => {
  await open('/usage');
  await press(/growth-bot$/);
  await page.getByRole('link', { name: 'growth-bot (hidden)' }).waitFor();
  await press(/growth-bot \(hidden\)$/);
  await page.waitForURL((url) => !url.search.includes('hide='));
  await tabTo(/\d{4}.*\$/);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/audit?q=*');
});

/** Opens a page and skips its navigation, by its first stop. */
async function open(below) {
  await page.goto(`/w/${ids.ws}${below}`);
  await page.keyboard.press('Tab');
  assert.equal((await focused()).name, 'Skip to the page');
  await page.keyboard.press('Enter');
}

async function type(label, text) {
  await tabTo(label);
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type(text);
}

async function press(name) {
  await tabTo(name);
  await page.keyboard.press('Enter');
}

/** Tabs until what is called `name` has the focus. */
async function tabTo(name) {
  const is = (found) => (name instanceof RegExp ? name.test(found) : name === found);
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    await page.keyboard.press('Tab');
    const now = await focused();
    if (!is(now.name)) continue;
    assert.deepEqual({ shown: now.shown, covered: now.covered }, { shown: true, covered: false }, now.name);
    return;
  }
  assert.fail(`the tab key does not reach ${name}`);
}

/** The name of what has the focus, whether that can be seen, and whether something lies over it. */
function focused() {
  return page.evaluate(() => {
    const one = document.activeElement;
    const label = one.labels?.[0]?.innerText ?? one.textContent;
    const style = getComputedStyle(one);
    const hit = one.querySelector('.hit');
    const box = (hit ?? one).getBoundingClientRect();
    const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    const shown = style.outlineStyle !== 'none' || (hit && getComputedStyle(hit).strokeWidth === '2px');
    const covered = !(there && (one.contains(there) || there.contains(one) || one.labels?.[0]?.contains(there)));
    return { name: (one.getAttribute('aria-label') ?? label ?? '').trim().replace(/\s+/g, ' '), shown: Boolean(shown), covered };
  });
}
