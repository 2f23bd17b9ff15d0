// The official MCP clients, each in every revision that it speaks, against the real binary.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import * as v2 from '@modelcontextprotocol/client';
import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import * as v1http from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import compiler from 'typescript';

import { journey } from './clients/journey.js';
import { unescaped } from './support/html.js';
import { ADMIN, startServer } from './support/server.js';
import { signIn } from './support/world.js';

const PRICE = 0.042;
const TOOLS = ['generate_image', 'generate_video', 'get_credits', 'list_recent_generations'];
const ME = { name: 'agentframer-end2end', version: '1' };

let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

test('Python client, 2026-07-28', () => python('auto', '2026-07-28'));
test('Python client, 2025-11-25', () => python('legacy', '2025-11-25'));
test('TypeScript client, 2026-07-28', () => typescript('auto', '2026-07-28'));
test('TypeScript client, 2025-11-25', () => typescript('legacy', '2025-11-25'));
test('TypeScript SDK of the first generation', sdk);
test('the programs that the agent’s page shows, as they stand there', shownPrograms);
test('the books are clean', async () => {
  assert.match(await server.command(['check']), /^Clean/);
});

async function python(mode, protocol) {
  const { mcp_url, agent_token } = server.made;
  const run = promisify(execFile)(process.env.PYTHON, [path('clients/journey.py'), mcp_url, agent_token, mode], {
    timeout: 60_000, maxBuffer: 16 << 20,
  });
  const seen = JSON.parse((await run).stdout);
  assert.equal(seen.protocol, protocol);
  expectJourney(seen);
}

async function typescript(mode, protocol) {
  const client = new v2.Client(ME, { versionNegotiation: { mode } });
  await client.connect(new v2.StreamableHTTPClientTransport(new URL(server.made.mcp_url), authorized()));
  assert.equal(client.getNegotiatedProtocolVersion(), protocol);
  expectJourney(await journey(client));
  await client.close();
}

async function sdk() {
  const client = new v1.Client(ME);
  await client.connect(new v1http.StreamableHTTPClientTransport(new URL(server.made.mcp_url), authorized()));
  expectJourney(await journey(client));
  await client.close();
}

async function shownPrograms() {
  const { workspace_id, agent_id, agent_token } = server.made;
  const cookie = await signIn(server.base, ADMIN);
  const answer = await fetch(`${server.base}/w/${workspace_id}/agents/${agent_id}`, { headers: { Accept: 'text/html', Cookie: cookie } });
  const found = (await answer.text()).matchAll(/data-client="([^"]+)"[^>]*>([^<]*)</g);
  const shown = Object.fromEntries([...found].map(([, name, text]) => [name, unescaped(text).replaceAll('YOUR_TOKEN', agent_token)]));
  assert.deepEqual(Object.keys(shown), ['Claude Code', 'Cursor', 'VS Code', 'Python', 'TypeScript']);
  const { outputText, diagnostics } = compiler.transpileModule(shown.TypeScript, {
    reportDiagnostics: true,
    compilerOptions: { module: compiler.ModuleKind.ESNext, target: compiler.ScriptTarget.ES2022 },
  });
  assert.deepEqual(diagnostics, []);
  // Imports of a text are looked up in the folder it is run in.
  const options = { cwd: path('.'), timeout: 60_000 };
  for (const [program, given] of [[process.env.PYTHON, ['-c', shown.Python]], [process.execPath, ['--input-type=module', '-e', outputText]]]) {
    const { stdout } = await promisify(execFile)(program, given, options);
    assert.ok((await fetch(stdout.trim())).ok, stdout);
  }
}

function authorized() {
  return { requestInit: { headers: { Authorization: `Bearer ${server.made.agent_token}` } } };
}

function expectJourney({ tools, image, png, credits, listed }) {
  assert.deepEqual([...tools].sort(), TOOLS);
  assert.equal(image.cost_usd, PRICE);
  assert.equal(image.model, 'sketch-image-1');
  expectPng(png, 320, 200);
  assert.equal(credits.balance_usd, image.balance_after_usd);
  assert.equal(credits.reserved_usd, 0);
  assert.equal(listed.items[0].generation_id, image.generation_id);
}

/** RFC 2083: eight bytes of signature, then IHDR with width and height, at the end IEND. */
function expectPng({ type, base64 }, width, height) {
  const bytes = Buffer.from(base64, 'base64');
  assert.equal(type, 'image/png');
  assert.equal(bytes.subarray(0, 8).toString('hex'), '89504e470d0a1a0a');
  assert.equal(bytes.subarray(12, 16).toString(), 'IHDR');
  assert.deepEqual([bytes.readUInt32BE(16), bytes.readUInt32BE(20)], [width, height]);
  assert.equal(bytes.subarray(-8, -4).toString(), 'IEND');
}

function path(file) {
  return new URL(file, import.meta.url).pathname;
}
