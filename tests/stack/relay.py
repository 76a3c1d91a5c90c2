"""A relay of TCP connections that a test may cut: both ends see their connections break while the server lives.

Inputs: the port of a server on loopback. Outputs: a port of its own, `cut`. It runs in a thread of its own.
"""

import asyncio
import threading
from contextlib import suppress

CHUNK_BYTES = 1 << 16
START_TIMEOUT_S = 10.0


class Relay:
    """Listens from `start` to `close`."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._listening = threading.Event()

    def start(self) -> "Relay":
        self._thread.start()
        assert self._listening.wait(START_TIMEOUT_S), "the relay does not listen"
        return self

    def cut(self) -> int:
        """Breaks every connection. Output: how many."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(START_TIMEOUT_S)

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._loop.run_forever()

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()

    async def _cut(self) -> int:
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        return len(writers) // 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, target_writer}
        self._writers |= pair
        try:
            pumps = [self._pump(reader, target_writer), self._pump(target_reader, writer)]
            await asyncio.wait([asyncio.create_task(pump) for pump in pumps], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                writer.write(chunk)
                await writer.drain()
