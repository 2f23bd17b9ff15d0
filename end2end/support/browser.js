// Chromium with a page whose every complaint is kept.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
export const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking'];

/** Longer than any page takes. */
export const PATIENCE_MS = 8_000;

/** A browser; the caller closes it. */
export function launch() {
  return chromium.launch({ executablePath: executable(), args: FLAGS });
}

/** Where Chromium is. */
export function executable() {
  const folders = process.env.PATH.split(delimiter);
  const found = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  if (!found) throw new Error('no Chromium on the PATH: run `make test`, which installs it');
  return found;
}

/** A page, and the list of what went wrong on it. */
export async function openPage(browser, base, options = {}) {
  const context = await browser.newContext({ baseURL: base, ...options });
  const page = await context.newPage();
  return { page, complaints: watched(page) };
}

/** The list of what goes wrong on a page: console errors (CSP violations are some), exceptions, bad answers. */
export function watched(page) {
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`exception: ${error.message}`));
  page.on('response', (answer) => {
    if (answer.status() >= 400) complaints.push(`${answer.status()} ${answer.url()}`);
  });
  return complaints;
}
