"""What an agent does, through the official Python client: prints what it saw as one JSON object.

    journey.py MCP_URL TOKEN auto|legacy
"""

import asyncio
import base64
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def journey(url: str, token: str, mode: str) -> dict:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            tools = await client.list_tools()
            image = await call(client, "generate_image", {"prompt": "a fox in the snow", "width": 320, "height": 200})
            return {
                "protocol": client.protocol_version,
                "tools": [tool.name for tool in tools.tools],
                "image": image,
                "png": await fetch(image["result_url"]),
                "credits": await call(client, "get_credits", {}),
                "listed": await call(client, "list_recent_generations", {"limit": 1}),
            }


async def call(client: Client, tool: str, arguments: dict) -> dict:
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise SystemExit(f"{tool} was refused: {result.content}")
    return result.structured_content


async def fetch(url: str) -> dict:
    """Without the token: the link alone must be enough."""
    async with httpx2.AsyncClient() as http:
        answer = (await http.get(url)).raise_for_status()
        return {"type": answer.headers["content-type"], "base64": base64.b64encode(answer.content).decode()}


print(json.dumps(asyncio.run(journey(*sys.argv[1:]))))
