// What a page's programs weigh on the wire: WASM and JavaScript, compressed, into an empty cache.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch } from './support/browser.js';
import { filled, readTable } from './support/table.js';
import { context, fill, startWorld } from './support/world.js';

const MOST_BYTES = 200_000;
const PROGRAM = /^(text|application)\/(javascript|wasm)$/;
const COMPRESSED = /^(br|gzip|zstd)$/;

let world, browser, ids;

before(async () => {
  world = await startWorld();
  browser = await launch();
  ids = await fill(world);
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test('WASM and JavaScript of each page, compressed, are at most 200 kB', async (each) => {
  const heavy = [];
  let heaviest = 0;
  for (const { path } of readTable().pages) {
    const programs = await loaded(filled(path, ids));
    const bytes = programs.reduce((sum, program) => sum + program.bytes, 0);
    heaviest = Math.max(heaviest, bytes);
    each.diagnostic(`${path}: ${(bytes / 1000).toFixed(1)} kB in ${programs.length}`);
    if (bytes > MOST_BYTES) heavy.push(`${path}: ${bytes} bytes`);
    for (const { url, encoding } of programs) if (!COMPRESSED.test(encoding)) heavy.push(`${path}: ${url} comes as it is`);
  }
  assert.deepEqual(heavy, []);
  assert.ok(heaviest > 0, 'no page loaded a program: what was measured is not what the pages load');
});

/** The programs that a first visit as Admin loads, with their bytes on the wire, headers among them. */
async function loaded(path) {
  const visit = await context(browser, world.base, world.sessions.Admin);
  const page = await visit.newPage();
  const network = await visit.newCDPSession(page);
  const answers = new Map();
  network.on('Network.responseReceived', ({ requestId, response }) => answers.set(requestId, { response, bytes: 0 }));
  network.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => { answers.get(requestId).bytes = encodedDataLength; });
  await network.send('Network.enable');
  await page.goto(path, { waitUntil: 'networkidle' });
  await visit.close();
  return [...answers.values()].filter(({ response }) => PROGRAM.test(response.mimeType)).map(({ response, bytes }) => ({
    url: response.url, bytes, encoding: header(response, 'content-encoding'),
  }));
}

function header({ headers }, wanted) {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1] ?? '';
}
