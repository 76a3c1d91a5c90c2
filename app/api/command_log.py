"""Writing to the log: commands to argosy.commands, shapes to argosy.shapes. What is returned is acknowledged by the
broker.

Inputs: commands (app.domain). Outputs: their offsets. Errors: `CommandTooLarge` (the caller's), ApiError UNAVAILABLE
(the broker's).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from app.api.errors import ApiError
from app.api.log_ports import LogWriter
from app.domain.clusters import ShapeRecord
from app.domain.commands import Command
from app.domain.errors import ErrorCode
from app.domain.limits import COMMAND_BYTES_MAX
from app.log import codec
from app.log.errors import LogUnavailable, RecordTooLarge
from app.log.schemas import FRAME_BYTES
from app.log.topics import COMMANDS, SHAPES

SHAPES_KNOWN_MAX = 200_000
_SHAPES_PARTITION = 0


class CommandTooLarge(Exception):
    """A command record has more bytes of Avro than are allowed. `size` is what it has."""

    def __init__(self, size: int, bytes_max: int) -> None:
        super().__init__(f"{size:,} bytes in the log, at most {bytes_max:,} are allowed: split the call")
        self.size = size


class CommandLog:
    """One producer's way into the log. partitions: P of the installation; command_bytes_max: of uncompressed Avro."""

    def __init__(self, writer: LogWriter, partitions: int, *, command_bytes_max: int = COMMAND_BYTES_MAX) -> None:
        self._writer = writer
        self.partitions = partitions
        self._command_bytes_max = command_bytes_max
        self._shapes: OrderedDict[bytes, asyncio.Task[None]] = OrderedDict()

    async def send(self, partition: int, command: Command, *, key: str) -> int:
        """Appends a command and returns its offset. Raises CommandTooLarge, ApiError UNAVAILABLE."""
        return await self.send_encoded(partition, self.encoded(command), key=key)

    async def send_each(
        self, commands: Mapping[int, tuple[Command, str]]
    ) -> dict[int, int | CommandTooLarge | ApiError]:
        """Appends a command, with its key, to each of several partitions: its offset, or why it was not written. Raises
        ApiError UNAVAILABLE when nothing was written."""
        results = await asyncio.gather(
            *(self.send(partition, command, key=key) for partition, (command, key) in commands.items()),
            return_exceptions=True,
        )
        outcomes: dict[int, int | CommandTooLarge | ApiError] = {}
        for partition, result in zip(commands, results, strict=True):
            if not isinstance(result, int | CommandTooLarge | ApiError):
                raise result
            outcomes[partition] = result
        failed = [outcome for outcome in outcomes.values() if isinstance(outcome, ApiError)]
        if failed and not any(isinstance(outcome, int) for outcome in outcomes.values()):
            raise failed[-1]
        return outcomes

    def encoded(self, command: Command) -> bytes:
        """The record of a command. Raises CommandTooLarge."""
        record = codec.encode(command)
        size = len(record) - FRAME_BYTES
        if size > self._command_bytes_max:
            raise CommandTooLarge(size, self._command_bytes_max)
        return record

    async def send_encoded(self, partition: int, encoded: bytes, *, key: str) -> int:
        """The same for a command encoded by `encoded`."""
        return await self._append(COMMANDS, partition, encoded, key.encode())

    async def ensure_shapes(self, shapes: Iterable[tuple[bytes, bytes]]) -> None:
        """Makes sure that shapes (hash, encoding) are in argosy.shapes. Raises ApiError UNAVAILABLE."""
        tasks = []
        for shape_hash, encoded in shapes:
            task = self._shapes.get(shape_hash)
            if task is None:
                task = asyncio.create_task(self._send_shape(shape_hash, encoded))
                self._shapes[shape_hash] = task
                if len(self._shapes) > SHAPES_KNOWN_MAX:
                    self._shapes.popitem(last=False)
            if not task.done() or task.exception() is not None:
                tasks.append(task)
        if tasks:
            # A cancelled call must not take the record away from others that wait for it.
            await asyncio.gather(*(asyncio.shield(task) for task in tasks))

    async def _send_shape(self, shape_hash: bytes, encoded: bytes) -> None:
        try:
            await self._append(SHAPES, _SHAPES_PARTITION, codec.encode(ShapeRecord(body=encoded)), shape_hash)
        except BaseException:
            self._shapes.pop(shape_hash, None)
            raise

    async def _append(self, topic: str, partition: int, value: bytes, key: bytes) -> int:
        try:
            sent = await self._writer.send(topic, partition, value, key)
        except LogUnavailable as error:
            raise log_unavailable(error) from error
        except RecordTooLarge as error:
            raise CommandTooLarge(len(value) - FRAME_BYTES, error.limit) from error
        return sent.offset


def log_unavailable(error: Exception) -> ApiError:
    """What a caller is told when the broker does not answer."""
    return ApiError(ErrorCode.UNAVAILABLE, f"the log cannot be written now: {error}")
