"""Sends commands on queues, one for each partition that the names fall into, and waits for them.

Output: `QueuesAnswer`: the queues that the call concerned, and a fault for each that was refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.api.command_log import CommandLog, CommandTooLarge
from app.api.errors import Fault, invalid
from app.api.service.waiting import QUEUES_VIEW, WaitFor, Waiting, Written
from app.domain.commands import CreateQueues, DeleteQueues, QueueSpec, UpdateQueues
from app.domain.errors import Refusal
from app.domain.routing import partition_of_name

QueueCommand = CreateQueues | UpdateQueues | DeleteQueues


@dataclass(slots=True, kw_only=True)
class QueuesAnswer:
    """position: a vector; queues: those that the call changed (with LOGGED: those that it will, unless refused)."""

    position: dict[int, int] = field(default_factory=dict)
    queues: list[QueueSpec] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class QueueCommands:
    """One per process."""

    def __init__(self, log: CommandLog, waiting: Waiting) -> None:
        self._log = log
        self._waiting = waiting

    async def run(
        self,
        names: Sequence[str],
        make: Callable[[list[int]], QueueCommand],
        answer: QueuesAnswer,
        wait_for: WaitFor,
        *,
        items: str,
    ) -> list[int]:
        """Indexes of the names that were not refused. make: the command for the queues with these indexes, all of one
        partition; items: the call's argument, for paths. Raises ApiError UNAVAILABLE when nothing could be written."""
        shares: dict[int, list[int]] = {}
        for index, name in enumerate(names):
            shares.setdefault(partition_of_name(name, self._log.partitions), []).append(index)
        sent = await self._send(
            {p: (make(share), names[share[0]]) for p, share in shares.items()}, shares, answer, items
        )
        written = await self._waiting.wait(sent, wait_for, view=QUEUES_VIEW)
        return _merge(answer, written, {partition: shares[partition] for partition in sent}, items)

    async def _send(
        self,
        commands: Mapping[int, tuple[QueueCommand, str]],
        shares: Mapping[int, list[int]],
        answer: QueuesAnswer,
        items: str,
    ) -> dict[int, int]:
        sent: dict[int, int] = {}
        for partition, outcome in (await self._log.send_each(commands)).items():
            if isinstance(outcome, int):
                sent[partition] = outcome
            elif isinstance(outcome, CommandTooLarge):
                answer.faults.append(invalid(items, f"the call has {outcome}"))
            else:
                answer.faults += [
                    Fault(code=outcome.code, path=f"{items}[{index}]", message=outcome.message, index=index)
                    for index in shares[partition]
                ]
        return sent


def _merge(answer: QueuesAnswer, written: Written, shares: Mapping[int, list[int]], items: str) -> list[int]:
    answer.position = written.position
    if written.fault is not None:
        answer.faults.append(written.fault)
    refused: set[int] = set()
    for partition, share in shares.items():
        applied = written.applied.get(partition)
        for refusal in applied.outcome.refusals if applied is not None else ():
            for place in [refusal.index] if refusal.index >= 0 else range(len(share)):
                refused.add(share[place])
                answer.faults.append(_fault(refusal, share[place], items))
    return [index for index in sorted(index for share in shares.values() for index in share) if index not in refused]


def _fault(refusal: Refusal, index: int, items: str) -> Fault:
    """At the field that deciding named; its own index is that of the command."""
    of_field = refusal.path.partition("].")[2] if refusal.index >= 0 else ""
    path = f"{items}[{index}]" + (f".{of_field}" if items == "queues" and of_field in _FIELDS else "")
    return Fault(code=refusal.code, path=path, message=refusal.message, index=index)


_FIELDS = frozenset({"cordoned", "priorityFactor"})
"""fields of a queue that alone may be at fault; else it is the queue itself"""
