// axe on each page with the WCAG 2.2 AA rules, light and dark, full and empty, with everything opened; and 320 pixels.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { launch } from './support/browser.js';
import { startServer } from './support/server.js';
import { filled, readTable } from './support/table.js';
import { context, emptyWorkspace, erased, fill, startWorld } from './support/world.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const PATHS = readTable().pages.map(({ path }) => path);
/** Pages that a fresh workspace has too. */
const EMPTY = PATHS.filter((path) => path.startsWith('/w/{ws}') && !path.replace('{ws}', '').match(/\{|unknown/));
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 412, height: 823 };
/** What Web Vitals call good. */
const MOST_SHIFT = 0.1;
/** By then a page's islands are awake. */
const AWAKE_MS = 250;
const NARROW = { width: 320, height: 720 };
/** So many workspaces are listed without a filter. */
const LISTED = 7;
const BLACK_ON_WHITE = ['rgb(0, 0, 0)', 'rgb(255, 255, 255)'];

let world, browser, page, ids, bare;

before(async () => {
  [world, browser, bare] = await Promise.all([startWorld(), launch(), startServer({}, { bare: true })]);
  ids = await fill(world);
  page = await (await context(browser, world.base, world.sessions.Admin)).newPage();
});
after(async () => {
  await browser?.close();
  await Promise.all([world?.stop(), bare?.stop()]);
});

for (const path of PATHS.filter((known) => known !== '/login')) {
  test(`full: ${path}`, () => check(filled(path, ids)));
}

test('as Developer, who reads what an Admin changes', async (each) => {
  const developer = await (await context(browser, world.base, world.sessions.Developer)).newPage();
  for (const path of PATHS.filter((known) => known.startsWith('/w/{ws}'))) {
    await each.test(path, () => check(filled(path, ids), developer));
  }
  await developer.context().close();
});

test('empty: each page of a fresh workspace', async (each) => {
  const ws = await emptyWorkspace(world);
  for (const path of EMPTY) await each.test(path, () => check(filled(path, { ws })));
});

test('nothing moves while a page loads on a phone', async () => {
  const phone = await context(browser, world.base, world.sessions.Admin, { viewport: PHONE });
  await phone.addInitScript(watchShifts);
  const moving = await phone.newPage();
  const moved = [];
  for (const path of PATHS) {
    await moving.goto(filled(path, ids));
    await moving.waitForTimeout(AWAKE_MS);
    const shift = await moving.evaluate(() => window.shifted);
    if (shift > MOST_SHIFT) moved.push(`${path}: ${shift.toFixed(3)}`);
  }
  await phone.close();
  assert.deepEqual(moved, []);
});

test('before signing in: setting up, signing in, and both with an error', async () => {
  const stranger = await (await context(browser, world.base)).newPage();
  await check(bare.setup, stranger);
  await check(`${world.base}/login`, stranger);
  await stranger.getByLabel('E-mail').fill('nobody@example.com');
  await stranger.getByLabel('Password').fill('wrong');
  await stranger.getByRole('button', { name: 'Sign in' }).click();
  await judge(stranger);
  await stranger.context().close();
});

test('the command palette, and a search that cannot be read', async () => {
  await page.setViewportSize(WIDE);
  await page.goto(filled('/w/{ws}', ids));
  await page.getByRole('button', { name: /^Find/ }).click();
  await page.getByRole('option').first().waitFor();
  await judge(page, async () => {});
  await check(filled('/w/{ws}/audit?q=cost:dear', ids));
});

test('a form with an error, and a secret that is shown once', async () => {
  await page.setViewportSize(WIDE);
  await page.goto(filled('/w/{ws}/billing', ids));
  await page.getByLabel('Amount in US dollars').fill('a lot');
  await page.getByLabel('Reference', { exact: true }).fill('INV-1');
  await page.getByRole('button', { name: 'Add to the balance' }).click();
  await judge(page);
  await page.goto(filled('/w/{ws}/agents', ids));
  await page.getByText('New agent').click();
  await page.getByLabel('Name').fill('shown-once');
  await page.getByRole('button', { name: 'Create agent' }).click();
  await page.locator('#secret').waitFor();
  await judge(page);
});

test('the switcher among many workspaces, with its filter', async () => {
  for (let number = 1; number <= LISTED; number += 1) await emptyWorkspace(world, `Team ${number}`);
  await page.setViewportSize(WIDE);
  await page.goto(filled('/w/{ws}', ids));
  await page.locator('.switcher > summary').click();
  await page.getByRole('searchbox', { name: 'Filter' }).fill('team');
  await page.getByRole('link', { name: `Team ${LISTED}` }).waitFor();
  await judge(page, async () => {});
});

test('on paper: black on white, without what only a screen can do', async () => {
  ids.erased = await erased(world, 'customer-42');
  const reader = await context(browser, world.base, world.sessions.Admin, { colorScheme: 'dark' });
  await reader.addCookies([{ name: 'theme', value: 'dark', url: world.base }]);
  const paper = await reader.newPage();
  await paper.emulateMedia({ media: 'print' });
  for (const path of ['/w/{ws}/billing/statement', '/w/{ws}/data-requests/{erased}/certificate']) {
    await paper.goto(filled(path, ids));
    assert.deepEqual(await paper.locator(':is(nav, aside, form, button, .btn):visible').allInnerTexts(), [], path);
    assert.ok(await paper.locator('main table').first().isVisible(), path);
    assert.deepEqual(await paper.locator('main td').first().evaluate(inks), BLACK_ON_WHITE, path);
  }
  await reader.close();
});

/** Opens the page and judges it wide and light, then narrow and dark. */
async function check(path, on = page) {
  await on.setViewportSize(WIDE);
  await on.goto(path);
  await judge(on);
}

async function judge(on, openAll = open) {
  await openAll(on);
  const faults = [];
  for (const [colorScheme, size] of [['light', WIDE], ['dark', NARROW]]) {
    await on.emulateMedia({ colorScheme });
    await on.setViewportSize(size);
    faults.push(...(await violations(on)).map((fault) => `${colorScheme}: ${fault}`));
  }
  const wide = await on.evaluate(tooWide);
  await on.emulateMedia({ colorScheme: 'light' });
  await on.setViewportSize(WIDE);
  assert.deepEqual([...faults, ...wide], []);
}

/** Everything that opens is open, the menu of narrow windows too. */
function open(on) {
  return on.evaluate(() => {
    for (const closed of document.querySelectorAll('details:not(.switcher)')) closed.open = true;
    const menu = document.querySelector('#menu');
    if (menu) menu.checked = true;
  });
}

async function violations(on) {
  await on.evaluate(AXE);
  const found = await on.evaluate((values) => window.axe.run(document, { runOnly: values, resultTypes: ['violations'] }), TAGS);
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
}

/** The colour of its text, and the one behind it. */
function inks(one) {
  const behind = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return backgroundColor === 'rgba(0, 0, 0, 0)' && element.parentElement ? behind(element.parentElement) : backgroundColor;
  };
  return [getComputedStyle(one).color, behind(one)];
}

/** Adds up what moves without the reader's doing. */
function watchShifts() {
  window.shifted = 0;
  const add = (entry) => { if (!entry.hadRecentInput) window.shifted += entry.value; };
  new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({ type: 'layout-shift', buffered: true });
}

/** What makes the page scroll sideways. */
function tooWide() {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  const sticksOut = (one) => one.getBoundingClientRect().right > room + 0.5 && !one.closest('.scroll, pre, svg, .secret code');
  const names = [...document.querySelectorAll('body *')].filter(sticksOut).slice(0, 5).map((one) => `${one.tagName}.${one.className}`);
  return [`scrolls to ${document.documentElement.scrollWidth} pixels: ${names}`];
}
