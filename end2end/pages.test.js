// Each page in Chromium as each role, against the checked-in table.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, watched } from './support/browser.js';
import { filled, readTable } from './support/table.js';
import { context, fill, startWorld } from './support/world.js';

const TABLE = readTable();

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

for (const role of TABLE.roles) {
  test(`each page and control as ${role}`, async () => {
    const opened = await context(browser, world.base, world.sessions[role]);
    const page = await opened.newPage();
    const complaints = watched(page);
    const wrong = [];
    for (const line of TABLE.pages) wrong.push(...await faults(page, line, role, complaints));
    await opened.close();
    assert.deepEqual(wrong, []);
  });
}

/** What differs from the table's line, as sentences. */
async function faults(page, line, role, complaints) {
  const path = filled(line.path, ids);
  const answer = await page.goto(path);
  const isLogin = !path.startsWith('/login') && new URL(page.url()).pathname === '/login';
  const status = isLogin ? 'login' : String(answer.status());
  const wrong = [];
  if (status !== line.status[role]) wrong.push(`${line.path}: ${status}, not ${line.status[role]}`);
  for (const control of line.controls) {
    const seen = await isThere(page, control) ? 'yes' : 'no';
    if (control.seen[role] !== 'may' && seen !== control.seen[role]) wrong.push(`${line.path}: ${control.kind} “${control.name}” ${seen}, not ${control.seen[role]}`);
  }
  // Chromium reports a page's own status as an error of the console.
  const own = (text) => text.includes(page.url()) || text.includes(`status of ${answer.status()}`);
  const others = complaints.splice(0).filter((text) => answer.ok() || !own(text));
  return [...wrong, ...others.map((text) => `${line.path}: ${text}`)];
}

/** On the page at all, under its whole name: in a closed part too, which only waits to be opened. */
async function isThere(page, { kind, name }) {
  const whole = new RegExp(`^${name.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace('*', '.*')}$`);
  return (await page.getByRole(kind, { name: whole, includeHidden: true }).count()) > 0;
}
