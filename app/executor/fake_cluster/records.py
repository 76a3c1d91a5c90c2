"""What stands in a fake cluster's journal, one JSON object a line: nodes, pods created, pods deleted; and the lives
that follow."""

from msgspec import Struct

from app.executor.fake_cluster.script import PodScript


class NodeLine(Struct, frozen=True, kw_only=True, rename="camel", tag="node", tag_field="event"):
    """A node of the cluster from here on. allocatable as Kubernetes text."""

    at: int
    name: str
    allocatable: dict[str, str]


class CreatedLine(
    Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="created", tag_field="event"
):
    """A pod was created. refused: the kubelet's reason for not admitting it; starts, ends: when its first container
    begins and its phase becomes terminal unless it is deleted (0 = never); requests as Kubernetes text; met: when all
    members of its gang have begun (0 = not known yet). A later line of the same pod replaces an earlier one."""

    at: int
    uid: str
    namespace: str
    name: str
    node: str
    run_id: str = ""
    job_id: str = ""
    requests: dict[str, str] = {}
    priority: int = 0
    script: PodScript
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    refused: str = ""
    refused_message: str = ""
    starts: int = 0
    ends: int = 0
    met: int = 0


class DeletedLine(
    Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="deleted", tag_field="event"
):
    """A pod's deletion was asked for; gone: when nothing of it is left. A later line of the same pod replaces an
    earlier one."""

    at: int
    uid: str
    grace_seconds: int
    gone: int


class MarkedLine(
    Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="marked", tag_field="event"
):
    """A pod was marked with the last word of its run and is held by that; "" = held no longer."""

    at: int
    uid: str
    mark: str = ""


class PodLife(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="life", tag_field="event"):
    """A pod from its creation to its end. Times in ms since 1970, 0 = has not happened yet.

    It holds its node's room from created until finished, unless it was refused at admission. started: its first
    container began."""

    uid: str
    run_id: str
    job_id: str
    namespace: str
    name: str
    node: str
    requests: dict[str, str] = {}
    refused: str = ""
    created: int
    started: int = 0
    finished: int = 0
    deleted: int = 0


JournalLine = NodeLine | CreatedLine | DeletedLine | MarkedLine | PodLife


def life_of(created: CreatedLine, deleted: DeletedLine | None, now_ms: int) -> PodLife:
    """The life of a pod as far as it is over at that time."""
    ends = [created.ends] if created.ends else []
    if deleted is not None:
        ends.append(deleted.gone)
    finished = min(ends, default=0)
    started = created.starts if created.starts and not (finished and created.starts >= finished) else 0
    return PodLife(
        uid=created.uid,
        run_id=created.run_id,
        job_id=created.job_id,
        namespace=created.namespace,
        name=created.name,
        node=created.node,
        requests=created.requests,
        refused=created.refused,
        created=created.at,
        started=started if started <= now_ms else 0,
        finished=finished if finished <= now_ms else 0,
        deleted=deleted.gone if deleted is not None and deleted.gone <= now_ms else 0,
    )
