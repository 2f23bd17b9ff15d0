// An agent that generates, through the official client.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

/** Calls tools one after another; answers with their structured results. */
export async function callTools({ mcp_url, agent_token }, calls) {
  const client = new Client({ name: 'agentframer-end2end', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const headers = { Authorization: `Bearer ${agent_token}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(mcp_url), { requestInit: { headers } }));
  const results = [];
  for (const [name, args] of calls) {
    const result = await client.callTool({ name, arguments: args });
    if (result.isError) throw new Error(`${name} was refused: ${JSON.stringify(result.content)}`);
    results.push(result.structuredContent);
  }
  await client.close();
  return results;
}
