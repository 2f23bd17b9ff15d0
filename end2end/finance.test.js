// What finance takes from the pages: the FOCUS export before the official validator, and the usage page by keyboard.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { promisify } from 'node:util';

import { callTools } from './support/agent.js';
import { launch, openPage } from './support/browser.js';
import { ADMIN, startServer } from './support/server.js';

const CALLS = [
  ['generate_image', { prompt: 'a fox in the snow', width: 64, height: 64, count: 2 }],
  ['generate_video', { prompt: 'waves', width: 64, height: 64, duration_s: 2 }],
];
/** Two images at 0.042 and two seconds at 0.05. */
const SPENT = 0.184;
/** The validator looks for its list of currencies below the working directory. */
const VALIDATE = `
import os, sys, focus_validator
os.chdir(os.path.dirname(os.path.dirname(focus_validator.__file__)))
sys.argv = ['focus-validator', '--validate-version', '1.0', '--data-file', sys.argv[1]]
from focus_validator.main import main
main()`;

let server, browser, page, complaints, folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agentframer-focus-'));
  server = await startServer();
  await callTools(server.made, CALLS);
  browser = await launch();
  ({ page, complaints } = await openPage(browser, server.base));
  await page.goto('/login');
  await page.getByLabel(/e-?mail/i).fill(ADMIN.email);
  await page.getByLabel(/password/i).fill(ADMIN.password);
  await page.getByRole('button', { name: /sign in/i }).click();
  await page.waitForURL((url) => url.pathname !== '/login');
});
afterEach(() => assert.deepEqual(complaints.splice(0), []));
after(async () => {
  await browser?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('the official validator accepts the FOCUS export, and nothing that lacks a column', async () => {
  const csv = await (await page.request.get(path('/billing/focus'))).text();
  const [head, ...lines] = csv.trim().split('\r\n').map((line) => line.split(','));
  assert.equal(head[1], 'BilledCost');
  const costs = lines.map((cells) => Number(cells[1]));
  assert.equal(costs.length, 2);
  assert.ok(Math.abs(costs.reduce((sum, cost) => sum + cost, 0) - SPENT) < 1e-9, csv);
  assert.match(await validate(csv), /Validation succeeded/);
  assert.doesNotMatch(await validate(csv.replace('BilledCost', 'Cost')), /Validation succeeded/);
});

test('a bar of the usage page says its value on focus and leads to its calls', async () => {
  await page.goto(path('/usage'));
  const bar = page.locator('svg.bars .column').filter({ has: page.locator('.s1') });
  await bar.locator('a.whole').focus();
  await bar.locator('.tip').waitFor({ state: 'visible' });
  assert.match(await bar.locator('.tip').textContent(), /\$0\.184/);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/audit\?q=/);
});

test('the chart is saved as a PNG', async () => {
  await page.goto(path('/usage'));
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'PNG' }).click();
  const bytes = await readFile(await (await saved).path());
  assert.deepEqual([...bytes.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
  assert.equal(bytes.readUInt32BE(16), 1920);
});

function path(below) {
  return `/w/${server.made.workspace_id}${below}`;
}

async function validate(csv) {
  const file = join(folder, 'focus.csv');
  await writeFile(file, csv);
  const run = promisify(execFile)(process.env.FOCUS_PYTHON, ['-c', VALIDATE, file], { timeout: 120_000 });
  return (await run.catch((failed) => failed)).stdout;
}
