"""Who may do what: a global verb, or a verb on the queue (its owners hold all five). Rule: features Q4, Q5."""

from app.domain.commands import Principal, QueueSpec

GLOBAL_VERBS_OF_QUEUE_VERBS = {
    "submit": "submit_any_jobs",
    "cancel": "cancel_any_jobs",
    "preempt": "preempt_any_jobs",
    "reprioritize": "reprioritize_any_jobs",
    "watch": "watch_all_events",
}
CREATE_QUEUE = "create_queue"
DELETE_QUEUE = "delete_queue"
CORDON_QUEUE = "cordon_queue"
GLOBAL_VERBS = (
    *GLOBAL_VERBS_OF_QUEUE_VERBS.values(),
    CREATE_QUEUE,
    DELETE_QUEUE,
    CORDON_QUEUE,
    "cordon_nodes",
    "execute_jobs",
    "update_executor_settings",
)


def may(principal: Principal, verb: str, queue: QueueSpec) -> bool:
    """Whether the principal holds a queue verb, globally, as owner or by the queue's permissions."""
    if GLOBAL_VERBS_OF_QUEUE_VERBS[verb] in principal.verbs:
        return True
    groups = set(principal.groups)
    if principal.user in queue.owners or not groups.isdisjoint(queue.group_owners):
        return True
    for permission in queue.permissions:
        if verb in permission.verbs:
            for subject in permission.subjects:
                if subject.name == principal.user if subject.kind == "User" else subject.name in groups:
                    return True
    return False
