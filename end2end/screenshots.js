// Makes the README's pictures from a demo of its own: end2end/run end2end/screenshots.js
// Files: docs/PAGE-light.png and docs/PAGE-dark.png.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { launch, openPage } from './support/browser.js';
import { startServer } from './support/server.js';

const DOCS = join(import.meta.dirname, '..', 'docs');
const SIZE = { width: 1280, height: 800 };

const server = await startServer({}, { demo: 4000 });
const browser = await launch();
try {
  await mkdir(DOCS, { recursive: true });
  const [, email, password] = server.told.match(/ as (\S+) with the password (\S+)/);
  for (const colorScheme of ['light', 'dark']) {
    const { page } = await openPage(browser, server.base, { viewport: SIZE, colorScheme });
    await signIn(page, email, password);
    for (const [name, path] of await places(page)) {
      await page.goto(path);
      await page.waitForLoadState('networkidle');
      await page.screenshot({ path: join(DOCS, `${name}-${colorScheme}.png`) });
    }
  }
} finally {
  await browser.close();
  await server.stop();
}

async function signIn(page, email, password) {
  await page.goto('/login');
  await page.getByLabel(/e-?mail/i).fill(email);
  await page.getByLabel(/password/i).fill(password);
  await page.getByRole('button', { name: /sign in/i }).click();
  await page.waitForURL((url) => url.pathname !== '/login');
}

/** The pages of the demo's first workspace. */
async function places(page) {
  await page.goto('/');
  const base = await page.getByRole('link', { name: 'Growth', exact: true }).first().getAttribute('href');
  await page.goto(`${base}/agents`);
  const agent = await page.getByRole('link', { name: /growth-bot/ }).first().getAttribute('href');
  return [['overview', base], ['usage', `${base}/usage`], ['audit', `${base}/audit`], ['agent', agent]];
}
