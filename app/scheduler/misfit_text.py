"""Why a job fits no empty pool, in one sentence for people, and a code."""

from app.pods.quantity import format_amount
from app.scheduling.decisions import Decisions, Explanation, Reason

REASON_CHARS = 480
_OTHERS = {
    Reason.FLOATING_RESOURCES: "it asks for more of a floating resource than the pool has",
    Reason.QUEUE_RESOURCE_LIMIT: "it alone exceeds what its queue may hold there",
    Reason.BURST_TOO_SMALL: "its gang is larger than a limiter ever has tokens for",
}


def code_of(decisions: Decisions, row: int) -> str:
    """A name such as NoNodeFits. row: of `decisions.unschedulable`."""
    text = Reason(int(decisions.unschedulable.reason[row])).text
    return text[0].upper() + text[1:]


def sentence_of(decisions: Decisions, row: int, pool: str, members: int) -> str:
    """One sentence about one pool. members: of the gang, 1 for a job alone."""
    table = decisions.unschedulable
    reason, index = Reason(int(table.reason[row])), int(table.explanation[row])
    explanation = decisions.explanations[index] if index >= 0 else None
    if reason is not Reason.NO_NODE_FITS:
        return f"pool {pool}: {_OTHERS.get(reason, reason.text)}"
    whole = "it fits on no node" if members == 1 else f"its gang of {members} does not fit"
    return f"pool {pool}: {whole} even if the pool were empty{_details(explanation)}"[:REASON_CHARS]


def _details(explanation: Explanation | None) -> str:
    if explanation is None:
        return ""
    lacks = ", ".join(
        f"{format_amount(name, amount)} {name} more than the largest node has"
        for name, amount in explanation.shortfall.items()
    )
    nodes = ", ".join(
        f"{count} {'node' if count == 1 else 'nodes'}: {name}" for name, count in explanation.nodes.items()
    )
    parts = [part for part in (f"it needs {lacks}" if lacks else "", nodes) if part]
    return f" ({'; '.join(parts)})" if parts else ""
