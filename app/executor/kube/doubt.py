"""Whether a 403 is to be believed. An API server that has just started knows no roles and bindings yet and forbids
everything to everybody; and where rights are given by namespace, a namespace that does not exist is forbidden too.

Inputs: `Calls`, what is certainly allowed. Outputs: what the refusal of a create means, or that it is to be sent again,
whose answer is then certain. Three short calls, only after a 403.
"""

from app.executor.kube.calls import Answer, CallError, Calls
from app.executor.kube.lease import KubernetesLease
from app.executor.kubernetes import ClusterUnavailableError, NotSent, RefusalKind, Refused

PODS = "/api/v1/pods"
DOUBT_TIMEOUT_S = 5.0


async def meaning_of_forbidden(
    calls: Calls, lease: KubernetesLease, namespace_path: str, refusal: Answer
) -> Refused | NotSent | None:
    """None: the API server knows our rights by now, so send the create again.

    Reading the Lease needs a role and its binding, listing pods a cluster role and its binding: where both are allowed,
    all four kinds are there. Reading a namespace may be denied to an executor with fewer rights; then nothing is said
    about it."""
    try:
        await lease.check_readable()
        listed = await calls.call("GET", PODS, query={"limit": "1"}, timeout_s=DOUBT_TIMEOUT_S)
        if not listed.ok:
            return NotSent(f"the API server does not know our rights yet: {listed.message}")
        namespace = await calls.call("GET", namespace_path, timeout_s=DOUBT_TIMEOUT_S)
    except (CallError, ClusterUnavailableError) as error:
        return NotSent(f"{refusal.message}; whether that holds could not be found out: {error}")
    if namespace.status == 404:
        return Refused(RefusalKind.NAMESPACE_MISSING, namespace.message)
    return None
