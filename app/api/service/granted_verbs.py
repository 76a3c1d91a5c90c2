"""What a principal may do with a queue, and in words why not: for pages that disable what would be refused, and for
calls over many queues. Deciding says it again, from the log.

Inputs: a principal, a queue as it is described. Rules: features Q2 to Q5, app.domain.authority.
"""

from app.domain.authority import CORDON_QUEUE, CREATE_QUEUE, DELETE_QUEUE, GLOBAL_VERBS_OF_QUEUE_VERBS, may
from app.domain.commands import Principal, QueueSpec

VERBS_ON_QUEUES = {"update": CREATE_QUEUE, "cordon": CORDON_QUEUE, "delete": DELETE_QUEUE}
"""what is done with the queue itself -> the global verb that it needs"""
VERBS = (*GLOBAL_VERBS_OF_QUEUE_VERBS, *VERBS_ON_QUEUES)


def why_not(principal: Principal, verb: str, spec: QueueSpec) -> str | None:
    """Why the principal may not; None when he may."""
    needed = VERBS_ON_QUEUES.get(verb)
    if needed is not None:
        return missing_verb(principal, needed)
    if may(principal, verb, spec):
        return None
    any_queue = GLOBAL_VERBS_OF_QUEUE_VERBS[verb]
    what = "watch" if verb == "watch" else f"{verb} jobs of"
    return f"{principal.user} may not {what} queue {spec.name}: the verb {verb} on it (or {any_queue}) is needed"


def missing_verb(principal: Principal, verb: str) -> str | None:
    """Why the principal may not do what needs this global verb; None when he may."""
    return None if verb in principal.verbs else f"{principal.user} may not: the global verb {verb} is needed"


def may_everywhere(principal: Principal, verb: str) -> bool:
    """Whether a global verb makes it needless to look at queues."""
    return GLOBAL_VERBS_OF_QUEUE_VERBS[verb] in principal.verbs
