"""Changing queues that exist: describing them anew, cordoning, deleting.

Inputs: QueueInput or names, the principal. Output: `QueuesAnswer`; its queues are as the view knew them with the change
made (deleted ones: as they were), none where the view cannot be read. Global verbs are looked at here and again in
deciding. Rules: features.md Q1 to Q3.
"""

from collections.abc import Sequence

import msgspec

from app.api.errors import ApiError, Fault
from app.api.service.create_queues import permission_of
from app.api.service.database_errors import database_errors
from app.api.service.granted_verbs import missing_verb
from app.api.service.inputs import QueueInput
from app.api.service.queue_commands import QueueCommands, QueuesAnswer
from app.api.service.queue_faults import names_faults, queues_faults
from app.api.service.waiting import WaitFor
from app.db.database import Database
from app.db.queries.queues import queues_named
from app.domain.authority import CORDON_QUEUE, CREATE_QUEUE, DELETE_QUEUE
from app.domain.commands import DeleteQueues, Principal, QueueChange, QueueSpec, UpdateQueues
from app.domain.errors import ErrorCode
from app.domain.queues import changed


class ChangeQueuesService:
    """One per process."""

    def __init__(self, commands: QueueCommands, database: Database, priority_classes: frozenset[str]) -> None:
        self._commands, self._database = commands, database
        self._priority_classes = priority_classes

    async def update(self, queues: Sequence[QueueInput], principal: Principal, wait_for: WaitFor) -> QueuesAnswer:
        """What is null stays as it is. Raises ApiError UNAVAILABLE."""
        faults = queues_faults(queues, self._priority_classes) or _verb_faults(principal, CREATE_QUEUE, "queues")
        if faults:
            return QueuesAnswer(faults=faults)
        return await self._change([_change(queue) for queue in queues], principal, wait_for, items="queues")

    async def cordon(
        self, names: Sequence[str], cordoned: bool, principal: Principal, wait_for: WaitFor
    ) -> QueuesAnswer:
        """Raises ApiError UNAVAILABLE."""
        faults = names_faults(names) or _verb_faults(principal, CORDON_QUEUE, "names")
        if faults:
            return QueuesAnswer(faults=faults)
        changes = [QueueChange(name=name, cordoned=cordoned) for name in names]
        return await self._change(changes, principal, wait_for, items="names")

    async def delete(self, names: Sequence[str], principal: Principal, wait_for: WaitFor) -> QueuesAnswer:
        """Raises ApiError UNAVAILABLE."""
        answer = QueuesAnswer(faults=names_faults(names) or _verb_faults(principal, DELETE_QUEUE, "names"))
        if answer.faults:
            return answer
        known = await self._known(names)

        def command(indexes: list[int]) -> DeleteQueues:
            return DeleteQueues(principal=principal, names=tuple(names[index] for index in indexes))

        done = await self._commands.run(names, command, answer, wait_for, items="names")
        answer.queues = [known[names[index]] for index in done if names[index] in known]
        return answer

    async def _change(
        self, changes: Sequence[QueueChange], principal: Principal, wait_for: WaitFor, *, items: str
    ) -> QueuesAnswer:
        answer, names = QueuesAnswer(), [change.name for change in changes]
        known = await self._known(names)

        def command(indexes: list[int]) -> UpdateQueues:
            return UpdateQueues(principal=principal, queues=tuple(changes[index] for index in indexes))

        done = await self._commands.run(names, command, answer, wait_for, items=items)
        answer.queues = [changed(known[names[index]], changes[index]) for index in done if names[index] in known]
        return answer

    async def _known(self, names: Sequence[str]) -> dict[str, QueueSpec]:
        """As the view knows them; nothing where it cannot be asked, since the change does not need it."""
        try:
            with database_errors():
                found = await queues_named(self._database, names)
        except ApiError:
            return {}
        return {name: record.spec for name, record in found.items()}


def _change(queue: QueueInput) -> QueueChange:
    limits = queue.resource_limits_by_priority_class
    return QueueChange(
        name=queue.name,
        priority_factor=queue.priority_factor,
        cordoned=queue.cordoned,
        owners=queue.owners,
        group_owners=queue.group_owners,
        permissions=tuple(map(permission_of, queue.permissions)) if queue.permissions is not None else None,
        resource_limits=msgspec.json.encode(limits).decode() if limits is not None else None,
        labels=dict(queue.labels) if queue.labels is not None else None,
        retry_policies=queue.retry_policies,
    )


def _verb_faults(principal: Principal, verb: str, path: str) -> list[Fault]:
    why = missing_verb(principal, verb)
    return [] if why is None else [Fault(code=ErrorCode.FORBIDDEN, path=path, message=why)]
