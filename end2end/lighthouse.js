// Lighthouse's scores of the pages that are open all day, as an Admin on a phone: prints them, exits 1 below the aims.
//   npm install --no-save lighthouse@13.5.0 chrome-launcher@1.2.1    where `end2end/run` put its packages
//   node end2end/lighthouse.js                                       AGENTFRAMER_BINARY names the binary
// It is no test: the score of performance hangs on how busy the machine is, and Lighthouse is four times all else.

import { launch } from 'chrome-launcher';
import lighthouse from 'lighthouse';

import { FLAGS, executable } from './support/browser.js';
import { filled } from './support/table.js';
import { fill, startWorld } from './support/world.js';

const PATHS = ['/w/{ws}', '/w/{ws}/usage', '/w/{ws}/audit'];
const LEAST = { performance: 95, accessibility: 100, 'best-practices': 100 };
/** From here on an audit cost no point that matters. */
const GOOD = 0.9;

const world = await startWorld();
const chrome = await launch({ chromePath: executable(), chromeFlags: ['--headless=new', ...FLAGS] });
try {
  const ids = await fill(world);
  for (const path of PATHS) tell(path, await judged(filled(path, ids)));
} finally {
  await chrome.kill();
  await world.stop();
}

/** What Lighthouse says of a page, in its own settings: a slow phone on a slow network. */
async function judged(path) {
  // With a zone the page sets no cookie of its own, which Chromium would send in place of these.
  const Cookie = `${world.sessions.Admin}; zone=UTC`;
  const { lhr } = await lighthouse(`${world.base}${path}`, {
    port: chrome.port, logLevel: 'error', onlyCategories: Object.keys(LEAST), extraHeaders: { Cookie },
  });
  if (lhr.runtimeError) throw new Error(`${path}: ${lhr.runtimeError.message}`);
  if (new URL(lhr.finalDisplayedUrl).pathname !== path) throw new Error(`${path} led to ${lhr.finalDisplayedUrl}`);
  return lhr;
}

/** Prints a line a page, and under it what cost points; below an aim the script ends with 1. */
function tell(path, { categories, audits }) {
  const scores = Object.entries(LEAST).map(([id, least]) => ({ id, least, score: Math.round(categories[id].score * 100) }));
  const times = ['largest-contentful-paint', 'total-blocking-time', 'cumulative-layout-shift'];
  console.log(path, ...scores.map(({ id, score }) => `${id} ${score}`), ...times.map((id) => `${id} ${audits[id].displayValue}`));
  const low = Object.values(audits).filter(({ score, scoreDisplayMode }) => score !== null && score < GOOD && /binary|numeric/.test(scoreDisplayMode));
  for (const { id, displayValue = '' } of low) console.log(`  ${id} ${displayValue}`);
  if (scores.some(({ score, least }) => score < least)) process.exitCode = 1;
}
