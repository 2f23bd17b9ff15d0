// What an agent does, through an official TypeScript client; answers with what it saw.

/** `client` is connected; both generations of the SDK have the same methods. */
export async function journey(client) {
  const { tools } = await client.listTools();
  const image = await call(client, 'generate_image', { prompt: 'a fox in the snow', width: 320, height: 200 });
  return {
    tools: tools.map((tool) => tool.name),
    image,
    png: await fetchFile(image.result_url),
    credits: await call(client, 'get_credits', {}),
    listed: await call(client, 'list_recent_generations', { limit: 1 }),
  };
}

async function call(client, name, args) {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError) throw new Error(`${name} was refused: ${JSON.stringify(result.content)}`);
  return result.structuredContent;
}

/** Without the token: the link alone must be enough. */
async function fetchFile(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  const bytes = Buffer.from(await answer.arrayBuffer());
  return { type: answer.headers.get('content-type'), base64: bytes.toString('base64') };
}
