"""A plain echo, to tell how late the machine alone makes an answer. Prints its port; ends with its standard input."""

import asyncio
import sys

SIZE = 1 << 16


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(SIZE):
        writer.write(data)
    writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until it ends
    server.close()


if __name__ == "__main__":
    asyncio.run(_main())
