// A server of the test's own: the real binary on a fresh data folder and a free port, with one workspace.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const BINARY = process.env.AGENTFRAMER_BINARY;
const START_TIMEOUT_MS = 30_000;

// Ending by a signal runs the `exit` handlers too, which stop the servers.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

export const ADMIN = { email: 'ada@example.com', password: 'a long enough passphrase' };

/** Starts a server with 100 dollars for the agent `growth-bot`; `settings` are environment variables; `stop` ends it
 * and removes its data. With `bare` nobody has set it up; with `demo` it has so many calls of the demo, and `told` is what
 * the demo printed. */
export async function startServer(settings = {}, { bare = false, demo } = {}) {
  const data = await mkdtemp(join(tmpdir(), 'agentframer-end2end-'));
  const told = demo && (await finish(start(data, ['demo', '--calls', String(demo), '--data', data])));
  const child = start(data, ['serve', '--listen', '127.0.0.1:0', '--data', data], settings);
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    process.removeListener('exit', kill);
    await end(child);
    await rm(data, { recursive: true, force: true });
  };
  try {
    const { base, setup } = await addresses(child);
    const address = new URL(base).host;
    const command = (args, input) => finish(start(data, [...args, '--listen', address, '--data', data]), input);
    const made = bare || demo ? undefined : JSON.parse(await bootstrap(command));
    return { base, setup, told, data, command, made, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function start(folder, args, settings = {}) {
  // Settings of the person who runs the tests are not the test's.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('AGENTFRAMER_'));
  const child = spawn(BINARY, args, { cwd: folder, env: { ...Object.fromEntries(own), ...settings } });
  child.errors = '';
  child.stderr.on('data', (text) => { child.errors += text; });
  return child;
}

/** What the server says when it is ready: its address and, on the first start, the link to set it up. */
async function addresses(child) {
  const late = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  let setup;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      setup ??= line.match(/^Set up at (\S+)$/)?.[1];
      const base = line.match(/^AgentFramer serves (\S+)$/)?.[1];
      if (base) return { base, setup };
    }
    throw new Error(`the server did not start: ${child.errors}`);
  } finally {
    clearTimeout(late);
  }
}

function bootstrap(command) {
  const workspace = ['--workspace', 'Growth', '--region', 'eu-west-1', '--top-up', '100', '--agent', 'growth-bot'];
  return command(['bootstrap', '--email', ADMIN.email, '--password-stdin', ...workspace], ADMIN.password);
}

/** The standard output of a command that ended well. */
async function finish(child, input = '') {
  let output = '';
  child.stdout.on('data', (text) => { output += text; });
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${child.spawnargs.slice(1, 3).join(' ')} ended with ${code}: ${child.errors}${output}`);
  return output;
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  await ended;
  clearTimeout(late);
}
