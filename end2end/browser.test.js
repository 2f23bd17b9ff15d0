// What an Admin sees in Chromium of what an agent did.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { callTools } from './support/agent.js';
import { launch, openPage } from './support/browser.js';
import { ADMIN, startServer } from './support/server.js';

const CALLS = [
  ['generate_image', { prompt: 'a fox in the snow', width: 320, height: 200 }],
  ['generate_image', { prompt: 'a lighthouse at dusk', width: 200, height: 320 }],
  ['generate_video', { prompt: 'waves', width: 160, height: 96, duration_s: 2 }],
];
/** 100 dollars less twice 0.042 and two seconds at 0.05. */
const BALANCE = /\$\s?99\.8(16|2)/;

let server, browser, page, complaints, results;

before(async () => {
  server = await startServer();
  results = await callTools(server.made, CALLS);
  browser = await launch();
  ({ page, complaints } = await openPage(browser, server.base));
  await signIn();
});
afterEach(() => assert.deepEqual(complaints.splice(0), []));
after(async () => {
  await browser?.close();
  await server?.stop();
});

test('the overview shows the balance', async () => {
  await open('');
  await page.getByText(BALANCE).first().waitFor();
});

test('the audit page shows each call', async () => {
  await open('/audit');
  for (const { tool, model } of results) {
    await page.getByRole('row').filter({ hasText: tool }).filter({ hasText: model }).first().waitFor();
  }
  assert.equal(await page.getByRole('row').filter({ hasText: 'generate_image' }).count(), 2);
});

test('a row of the audit page leads to the call', async () => {
  await open(`/audit/${results[0].request_id}`);
  await page.getByText(results[0].request_id).first().waitFor();
});

test('the generations page shows each picture', async () => {
  await open('/generations');
  const pictures = page.locator('main img');
  await pictures.first().waitFor();
  assert.equal(await pictures.count(), CALLS.length);
  for (const picture of await pictures.all()) {
    await picture.scrollIntoViewIfNeeded();
    assert.notEqual(await picture.evaluate(loadedWidth), 0);
  }
});

test('a video plays in the page', async () => {
  const picture = await page.evaluateHandle(show, results[2].result_url);
  assert.equal(await picture.evaluate(loadedWidth), 160);
  const first = await picture.screenshot();
  assert.ok(await changes(picture, first), 'the picture stands still');
});

async function signIn() {
  await page.goto('/login');
  await page.getByLabel(/e-?mail/i).fill(ADMIN.email);
  await page.getByLabel(/password/i).fill(ADMIN.password);
  await page.getByRole('button', { name: /sign in/i }).click();
  await page.waitForURL((url) => url.pathname !== '/login');
}

function open(below) {
  return page.goto(`/w/${server.made.workspace_id}${below}`);
}

/** Puts a picture of our own on the page, under its content security policy. */
function show(url) {
  const picture = new Image();
  picture.src = url;
  document.body.prepend(picture);
  return picture;
}

async function loadedWidth(picture) {
  await picture.decode();
  return picture.naturalWidth;
}

/** Whether the picture looks different within two seconds. */
async function changes(picture, first) {
  for (let tries = 0; tries < 20; tries += 1) {
    await page.waitForTimeout(100);
    if (!first.equals(await picture.screenshot())) return true;
  }
  return false;
}
