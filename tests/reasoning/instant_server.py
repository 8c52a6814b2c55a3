"""A server that answers chat completions at once; it prints its port.

GET /counts tells how many answers it has given, and to how many different questions.
"""

import asyncio
import json
from collections import Counter

from fake_openai import completion

ANSWERED: Counter[str] = Counter()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                body = json.dumps([ANSWERED.total(), len(ANSWERED)])
            else:
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                asked = json.loads(await reader.readexactly(int(fields[b"content-length"])))
                text = asked["messages"][-1]["content"]
                ANSWERED[text] += 1
                body = completion(f"thoughts on {text}")
            kind = "Content-Type: application/json\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
