"""Creating queues: one command for each partition that the names fall into.

Inputs: QueueInput, the principal. Output: `QueuesAnswer`: what was created, and a fault for each queue that was not.
Rules: features.md Q1, Q2.
"""

from collections.abc import Sequence

import msgspec

from app.api.service.inputs import QueueInput, QueuePermissionInput
from app.api.service.queue_commands import QueueCommands, QueuesAnswer
from app.api.service.queue_faults import queues_faults
from app.api.service.waiting import WaitFor
from app.domain.commands import CreateQueues, Permission, Principal, QueueSpec, Subject


class CreateQueuesService:
    """One per process."""

    def __init__(self, commands: QueueCommands, priority_classes: frozenset[str]) -> None:
        self._commands = commands
        self._priority_classes = priority_classes

    async def create(self, queues: Sequence[QueueInput], principal: Principal, wait_for: WaitFor) -> QueuesAnswer:
        """All queues are checked first; a wrong one refuses the call. Raises ApiError UNAVAILABLE."""
        answer = QueuesAnswer(faults=queues_faults(queues, self._priority_classes))
        if answer.faults:
            return answer
        specs = [_spec(queue, principal) for queue in queues]

        def command(indexes: list[int]) -> CreateQueues:
            return CreateQueues(principal=principal, queues=tuple(specs[index] for index in indexes))

        names = [queue.name for queue in queues]
        done = await self._commands.run(names, command, answer, wait_for, items="queues")
        answer.queues = [specs[index] for index in done]
        return answer


def permission_of(given: QueuePermissionInput) -> Permission:
    """Verbs for some subjects, as they stand in the log."""
    subjects = tuple(Subject(kind=each.kind, name=each.name) for each in given.subjects)
    return Permission(subjects=subjects, verbs=given.verbs)


def _spec(queue: QueueInput, principal: Principal) -> QueueSpec:
    owners, groups = tuple(queue.owners or ()), tuple(queue.group_owners or ())
    if not owners and not groups:
        owners = (principal.user,)
    return QueueSpec(
        name=queue.name,
        priority_factor=1.0 if queue.priority_factor is None else queue.priority_factor,
        cordoned=bool(queue.cordoned),
        owners=owners,
        group_owners=groups,
        permissions=tuple(permission_of(each) for each in queue.permissions or ()),
        resource_limits=msgspec.json.encode(queue.resource_limits_by_priority_class or {}).decode(),
        labels=dict(queue.labels or {}),
        retry_policies=tuple(queue.retry_policies or ()),
    )
