// The log's page in Chromium: completion, a mistake that is pointed at, filters, the log as it grows, and its proof.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { callTools } from './support/agent.js';
import { launch, watched } from './support/browser.js';
import { ADMIN, startServer } from './support/server.js';
import { context, signIn } from './support/world.js';

const IMAGE = ['generate_image', { prompt: 'a fox', width: 64, height: 64 }];

let server, browser, page, complaints;

before(async () => {
  server = await startServer();
  await callTools(server.made, [IMAGE, ['generate_video', { prompt: 'waves', width: 64, height: 64, duration_s: 1 }]]);
  browser = await launch();
  const opened = await context(browser, server.base, await signIn(server.base, ADMIN));
  page = await opened.newPage();
  complaints = watched(page);
});
afterEach(() => assert.deepEqual(complaints.splice(0), []));
after(async () => {
  await browser?.close();
  await server?.stop();
});

test('the box completes the word that is typed', async () => {
  await open('');
  const box = page.getByLabel('Search the log');
  await box.pressSequentially('cost:>0 -tool:generate_v');
  const offered = page.locator('#q-words option');
  await page.waitForFunction(() => document.querySelectorAll('#q-words option').length === 1);
  assert.equal(await offered.first().getAttribute('value'), 'cost:>0 -tool:generate_video');
  await box.fill('cost:>0 -tool:generate_video');
  await box.press('Enter');
  await page.waitForURL(/q=cost/);
  assert.equal(await rows(), 1);
});

test('a mistake is marked in the text, which stays', async () => {
  await open('?q=modle%3Ax');
  assert.equal(await page.locator('mark').innerText(), 'modle:');
  assert.equal(await page.getByLabel('Search the log').inputValue(), 'modle:x');
});

test('filters become words, and words filters', async () => {
  await open('?q=-agent%3Aother');
  await page.getByText('Filters', { exact: true }).click();
  await page.getByLabel('Tool', { exact: true }).selectOption('generate_video');
  await page.getByRole('button', { name: 'Apply' }).click();
  await page.waitForURL(/tool/);
  assert.equal(await page.getByLabel('Search the log').inputValue(), 'tool:generate_video -agent:other');
  assert.equal(await page.getByLabel('Tool', { exact: true }).inputValue(), 'generate_video');
  assert.equal(await rows(), 1);
});

test('the log is followed live, and a pause misses nothing', async () => {
  await open('?tab=calls');
  const lines = page.getByRole('list', { name: 'New entries' }).getByRole('listitem');
  // Between the page and the click: the page does not show it, so the live log has to.
  const [before] = await callTools(server.made, [IMAGE]);
  await page.getByRole('button', { name: 'Follow live' }).click();
  await lines.filter({ has: link(before) }).waitFor();
  const [first] = await callTools(server.made, [IMAGE]);
  await lines.filter({ has: link(first) }).waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  const [meanwhile] = await callTools(server.made, [IMAGE]);
  await new Promise((resolve) => { setTimeout(resolve, 1_500); });
  assert.equal(await lines.count(), 2, 'a pause shows nothing new');
  await page.getByRole('button', { name: 'Follow live' }).click();
  await lines.filter({ has: link(meanwhile) }).waitFor();
  assert.equal(await lines.count(), 3, 'and nothing comes twice');
  await page.getByRole('button', { name: 'Pause' }).click();
});

test('the page proves the log', async () => {
  await open('/proof');
  await page.getByRole('button', { name: /verify/i }).first().click();
  await page.getByText(/entries hold/).first().waitFor();
});

const link = ({ request_id: id }) => page.locator(`a[href$="/audit/${id}"]`);

function rows() {
  return page.locator('main table tbody tr').count();
}

function open(below) {
  return page.goto(`/w/${server.made.workspace_id}/audit${below}`);
}
