// Each flow by keyboard alone: what is used can be reached with the tab key, shows its focus, and is not covered.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { launch, watched } from './support/browser.js';
import { ADMIN } from './support/server.js';
import { filled } from './support/table.js';
import { context, fill, mailed, startWorld } from './support/world.js';

/** No page has more stops than this. */
const MOST_STOPS = 200;
/** So long, the same form from the same session counts as the same act. */
const REMEMBERED_MS = 3_100;
const FIRST_PASSWORD = 'a passphrase by keyboard';
const SECOND_PASSWORD = 'another phrase by keyboard';
const JSON_LABEL = 'The same as JSON. Saving either form replaces the whole policy.';

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

test('from the palette outside a workspace into it', async () => {
  for (const path of ['/', '/account', '/reference']) {
    await page.goto(path);
    await page.getByRole('button', { name: /^Find/ }).waitFor();
    await page.keyboard.press('ControlOrMeta+k');
    await page.keyboard.type('growth');
    await page.getByRole('option', { name: /Growth/ }).waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/w/${ids.ws}`);
  }
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

// Each line: what is done, on which page, and its steps. `{ws}` and the like are the world's ids. A later line may stand on
// what an earlier one made.
const FLOWS = [
  ['dismissing the checklist', '/w/{ws}',
    ['press', 'Dismiss'], ['there', 'main:not(:has(#checklist-title))']],
  ['changing a role, and back', '/w/{ws}/members',
    ['select', 'Role of Vera Stone', 'Developer'], ['press', 'Change'], ['see', 'Vera Stone is Developer now'],
    ['open', '/w/{ws}/members'],
    ['select', 'Role of Vera Stone', 'Viewer'], ['press', 'Change'], ['see', 'Vera Stone is Viewer now']],
  ['sending an invitation again, and withdrawing it', '/w/{ws}/members',
    ['press', 'Send again'], ['see', 'has a new link'], ['open', '/w/{ws}/members'], ['press', 'Withdraw'], ['see', 'Withdrawn.']],
  ['inviting a list', '/w/{ws}/members',
    ['press', 'Invite a list'], ['type', 'One person a line: email,role', 'list@example.com,viewer'], ['press', 'Check the list'],
    ['there', 'button:has-text("Send 1 invitation")'], ['open'], ['press', 'Send 1 invitation'], ['see', '1 invitation is on its way']],
  ['setting an allowance', '/w/{ws}/billing',
    ['type', 'Balance on the first, in US dollars', '250'], ['key', 'Enter'], ['see', 'brought up to $250.00']],
  ['topping up the same twice is asked about', '/w/{ws}/billing',
    ['type', 'Amount in US dollars', '7'], ['type', 'Reference', 'INV-twice'], ['key', 'Enter'], ['see', '$7.00 added'],
    ['wait', REMEMBERED_MS], ['open', '/w/{ws}/billing'],
    ['type', 'Amount in US dollars', '7'], ['type', 'Reference', 'INV-twice'], ['key', 'Enter'], ['see', 'Nothing was added now'],
    ['on', 'Add it once more'], ['key', 'Space'], ['press', 'Add to the balance'], ['see', '$7.00 added']],
  ['filtering the ledger', '/w/{ws}/billing',
    ['select', /^What\b/, 'Charges'], ['press', 'Filter'], ['at', '**kind=charge**']],
  ['trying and saving a policy as JSON', '/w/{ws}/agents/{agent}',
    ['tab', JSON_LABEL], ['press', 'Try on the last 30 days'], ['see', 'Not saved yet'],
    ['open', '/w/{ws}/agents/{agent}'], ['tab', JSON_LABEL], ['press', 'Save policy'], ['see', 'The policy is saved']],
  ['rotating a token', '/w/{ws}/agents/{agent}',
    ['press', 'Rotate token'], ['type', 'Hours that the old token still works', '1'], ['key', 'Enter'], ['see', 'This is the new token']],
  ['pausing an agent, and resuming it', '/w/{ws}/agents/{agent}',
    ['press', 'Pause'], ['press', 'Pause'], ['see', 'Paused. Its calls'],
    ['open', '/w/{ws}/agents/{agent}'], ['press', 'Resume'], ['press', 'Resume'], ['see', 'Resumed.']],
  ['revoking an agent', '/w/{ws}/agents',
    ['press', 'agent.typed-bot'], ['there', 'h1:has-text("agent.typed-bot")'], ['open'], ['press', 'Revoke'], ['press', 'Revoke for good'], ['see', 'Revoked.']],
  ['who is told of alerts', '/w/{ws}/caps',
    ['type', 'Recipients', 'ada@example.com'], ['key', 'Enter'], ['see', 'Saved.']],
  ['Slack: naming a channel, testing it, taking it off', '/w/{ws}/caps',
    ['type', 'Slack', 'http://127.0.0.1:9/slack'], ['key', 'Enter'], ['see', 'Saved.'],
    ['open', '/w/{ws}/caps'], ['press', 'Test Slack'], ['see', 'Slack does not work'],
    ['open', '/w/{ws}/caps'], ['tab', 'Do not post to Slack any more'], ['key', 'Space'], ['press', 'Save alerts'], ['see', 'Saved.']],
  ['testing a webhook', '/w/{ws}/webhooks/{webhook}',
    ['press', 'Send test event'], ['see', 'did not arrive']],
  ['rotating a webhook’s secret', '/w/{ws}/webhooks/{webhook}',
    ['press', 'Rotate secret'], ['type', 'Hours that the old secret still signs', '0'], ['key', 'Enter'], ['see', 'This is the new secret']],
  ['replaying a range', '/w/{ws}/webhooks/{webhook}',
    ['press', 'Replay a range'], ['type', 'From place in the log', '1'], ['key', 'Enter'], ['see', 'sent once more']],
  ['deleting a webhook', '/w/{ws}/webhooks/{webhook}',
    ['press', 'Delete'], ['press', 'Delete this webhook'], ['see', 'Deleted, with its delivery log']],
  ['changing how long data is kept', '/w/{ws}/retention',
    ['type', 'Media and prompts, in days', '25'], ['press', 'Show what this deletes'], ['see', 'not saved yet'],
    ['open'], ['press', 'Save'], ['see', 'Saved. What is past its time']],
  ['lifting both holds', '/w/{ws}/retention',
    ['press', /Lift$/], ['type', 'Why it is lifted', 'closed'], ['key', 'Enter'], ['see', 'Lifted.'],
    ['open', '/w/{ws}/retention'], ['press', /Lift$/], ['type', 'Why it is lifted', 'closed'], ['key', 'Enter'], ['see', 'Lifted.']],
  ['deleting a generation', '/w/{ws}/generations',
    ['press', 'Delete'], ['press', 'Delete now'], ['see', 'Deleted: the files']],
  ['forbidding a model, and allowing it', '/w/{ws}/models/{model}',
    ['press', 'Forbid in this workspace'], ['press', 'Forbid in this workspace'], ['see', 'Forbidden.'],
    ['open', '/w/{ws}/models/{model}'],
    ['press', 'Allow in this workspace'], ['press', 'Allow in this workspace'], ['see', 'Allowed.']],
  ['saving a search, and removing it', '/w/{ws}/audit?tab=calls&q=tool%3Agenerate_image',
    ['press', 'Saved searches'], ['type', 'Save this search as', 'mine'], ['key', 'Enter'], ['see', '“mine” is saved.'],
    ['open', '/w/{ws}/audit'], ['press', 'Saved searches'], ['press', 'Remove mine'], ['see', 'The saved search is removed.']],
  ['extending a data request', '/w/{ws}/data-requests/{rejected}',
    ['press', 'Extend the due date by two months'], ['type', 'Reason', 'many calls'], ['key', 'Enter'], ['see', 'Tell the person']],
  ['rejecting a data request', '/w/{ws}/data-requests/{rejected}',
    ['press', 'Reject'], ['type', 'Reason', 'not the person'], ['key', 'Enter'], ['see', 'Rejected.']],
  ['approving a data request', '/w/{ws}/data-requests/{approved}',
    ['type', 'How the person’s identity was verified', 'passport'], ['key', 'Enter'], ['see', 'Approved.']],
  ['a cost centre', '/w/{ws}/settings',
    ['type', 'Cost centre', 'cc-9'], ['key', 'Enter'], ['see', 'Saved.']],
  ['replacing the MCP address', '/w/{ws}/settings',
    ['press', 'Replace it'], ['type', 'Hours that the old address still works', '24'], ['key', 'Enter'], ['see', 'The MCP address is new']],
  ['the daily export, on and off', '/w/{ws}/settings',
    ['press', 'Turn on the daily export'], ['see', 'Turned on.'],
    ['open', '/w/{ws}/settings'], ['press', 'Turn off the daily export'], ['see', 'Turned off.']],
  ['ending the session of another', '/w/{ws}/security',
    ['press', /^End the session of Dev Patel/], ['see', 'Dev Patel’s session has ended']],
  ['one’s own name', '/account',
    ['type', 'Your name', 'Ada K'], ['key', 'Enter'], ['see', 'Saved.']],
  ['which mails come', '/account',
    ['tab', /^Alerts/], ['key', 'Space'], ['press', 'Save'], ['see', 'Saved.']],
  ['one’s own time zone', '/account',
    ['type', 'Times are shown in', 'Asia/Tokyo'], ['press', 'Save'], ['see', 'Times are shown in Asia/Tokyo now']],
  ['another address, by its link', '/account',
    ['type', 'New address', 'ada@elsewhere.example.com'], ['type', 'Your password', ADMIN.password], ['key', 'Enter'],
    ['see', 'A link went to ada@elsewhere.example.com'],
    ['mail', /(\/account\?confirm=\S+)/], ['press', 'Use this address'], ['see', 'You sign in as ada@elsewhere.example.com']],
  ['the colours', '/account',
    ['press', 'Dark'], ['there', 'html[data-theme=dark]'], ['open'], ['press', 'Auto'], ['there', 'html:not([data-theme=dark])']],
  ['making a workspace', '/',
    ['press', 'New workspace'], ['type', 'Name', 'Typed'], ['tab', /^European Union/], ['key', 'Space'], ['press', 'Create workspace'],
    ['there', 'h1:has-text("Typed")']],
  ['switching to it', '/w/{ws}',
    ['fresh', '/w/{ws}'], ['press', /Growth.*Admin$/], ['press', 'Typed'], ['there', '.switch:has-text("Typed")']],
  ['deleting it', '/',
    ['press', 'Typed'], ['there', '.switch:has-text("Typed")'], ['press', 'Settings'], ['there', 'h1:has-text("Settings")'],
    ['open'], ['press', 'Delete this workspace'], ['type', 'Type the workspace’s name', 'Typed'], ['key', 'Enter'], ['see', 'Typed is deleted']],
];

const STEPS = {
  /** Another page, or the one that has just come, with its navigation skipped. */
  open: (path) => visit(path),
  /** Another page from its very beginning. */
  fresh: (path) => page.goto(filled(path, ids)),
  /** The page behind the link of the mail that has come. */
  mail: async (link) => visit(await mailed(world, link)),
  tab: tabTo,
  on: async (name) => assert.equal((await focused()).name, name),
  key: (key) => page.keyboard.press(key),
  press,
  type,
  /** A choice by the beginning of its name. */
  select: async (label, option) => { await tabTo(label); await page.keyboard.type(option); },
  see: (text) => page.getByText(text).first().waitFor(),
  there: (selector) => page.locator(selector).first().waitFor(),
  at: (url) => page.waitForURL(url),
  wait: (ms) => page.waitForTimeout(ms),
};

test('the flows of every page', async (each) => {
  const file = (subject) => world.rest('POST', '/data-requests', {
    kind: 'access', match: { subject }, received_on: new Date().toISOString().slice(0, 10), requested_by: 'Grace Hopper',
  });
  [ids.rejected, ids.approved] = [(await file('customer-8')).id, (await file('customer-9')).id];
  for (const [name, path, ...steps] of FLOWS) {
    await each.test(name, async () => {
      await visit(path);
      for (const [step, ...given] of steps) await STEPS[step](...given);
      assert.deepEqual(complaints.splice(0), []);
    });
  }
});

test('accepting an invitation, signing out and in', async () => {
  await asSomebodyElse(async () => {
    await page.goto(`/invite/${ids.invite}`);
    await type('Your name', 'Kim Keys');
    await type('Password', FIRST_PASSWORD);
    await page.keyboard.press('Enter');
    await page.locator('h1:has-text("Growth")').waitFor();
    await press('Sign out');
    await page.locator('h1:has-text("Sign in")').waitFor();
    await signIn(FIRST_PASSWORD);
  });
});

test('changing one’s password, and ending a session', async () => {
  await asSomebodyElse(async () => {
    await page.goto('/login');
    await signIn(FIRST_PASSWORD);
    await visit('/account');
    await type('Password now', FIRST_PASSWORD);
    await type('New password', SECOND_PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByText('Every other session of yours has ended').waitFor();
    const first = page;
    await asSomebodyElse(async () => {
      await page.goto('/login');
      await signIn(SECOND_PASSWORD);
      const other = page;
      page = first;
      await visit('/account');
      await press('End');
      await page.getByText('That session has ended').waitFor();
      await other.goto('/account');
      await other.locator('h1:has-text("Sign in")').waitFor();
    });
  });
});

test('removing a member', async () => {
  await open('/members');
  await tabTo('Role of Kim Keys');
  await press('Remove');
  await press('Remove now');
  await page.getByText('The person has no access any more').waitFor();
});

test('deleting one’s account', async () => {
  await asSomebodyElse(async () => {
    await page.goto('/login');
    await signIn(SECOND_PASSWORD);
    await visit('/account');
    await press('Delete this account');
    await type('Your password', SECOND_PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByText('Your account is deleted').waitFor();
  });
});

/** Does something in a browser that nobody is signed in to. */
async function asSomebodyElse(what) {
  const before = page;
  page = await (await context(browser, world.base)).newPage();
  const own = page;
  try {
    await what();
  } finally {
    await own.context().close();
    page = before;
  }
}

async function signIn(password) {
  await type('E-mail', 'somebody.with.a.long.address@department.example.com');
  await type('Password', password);
  await page.keyboard.press('Enter');
  await page.locator('h1:has-text("Workspaces")').waitFor();
}

/** Opens a page of the workspace and skips its navigation. */
function open(below) {
  return visit(`/w/{ws}${below}`);
}

/** Opens a page, or takes the one that has just come, and skips its navigation by its first stop. */
async function visit(path) {
  if (path) await page.goto(filled(path, ids));
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
    // Of a tall text area the browser shows the line that is written in: what is on the screen must not be covered (WCAG 2.4.11).
    const there = document.elementFromPoint(box.x + box.width / 2, (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2);
    const shown = style.outlineStyle !== 'none' || (hit && getComputedStyle(hit).strokeWidth === '2px');
    const covered = !(there && (one.contains(there) || there.contains(one) || one.labels?.[0]?.contains(there)));
    return { name: (one.getAttribute('aria-label') ?? label ?? '').trim().replace(/\s+/g, ' '), shown: Boolean(shown), covered };
  });
}
