"""docs/reference/conformance.md and fake-cluster.md, made of the cases and of the fake cluster's own table:
`python -m tests.conformance.table`."""

from pathlib import Path

from app.executor.fake_cluster import script
from tests.conformance.cases import CASES, MAX_ATTEMPTS, Act, Case

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
FAKE_HEAD = """# What a pod of a fake cluster does

This page is made from app/executor/fake_cluster/script.py by `python -m tests.conformance.table`; do not edit it. A
fake cluster reads a pod's spec by this table and journals what was created and deleted; nothing is run. The kwok stages
of infra/kube play pods on a local Kubernetes API server by the same table, as far as the conformance suite needs it.

"""
HEAD = f"""# What becomes of a job in a cluster

This page is made from the cases of tests/conformance by `python -m tests.conformance.table`; do not edit it. Each case
is run on a fake cluster and on a real Kubernetes API server, through the whole stack; the events are those that
`jobSetEvents` gives, others may stand between them. With `scheduler.max_attempts: {MAX_ATTEMPTS}`.

| case | the job | events | reason code | exit code |
|---|---|---|---|---|
"""


def fake_page() -> str:
    """The table in the docstring of the script's module, its wrapped rows joined."""
    assert script.__doc__ is not None, "it documents the table"
    text = script.__doc__.replace("\n  ", " ")
    return FAKE_HEAD + "".join(f"{line}\n" for line in text.splitlines() if line.startswith("|"))


def conformance_page() -> str:
    """The table of the cases."""
    return HEAD + "".join(_row(case) for case in CASES)


def _row(case: Case) -> str:
    what = case.what
    if case.act is Act.LOSE_NODE or (case.act is Act.CANCEL and "cancelled" not in what):
        what += f"; {case.act.value} at {case.act_at}"
    if case.annotations:
        what += f" ({', '.join(f'`{key}: {value}`' for key, value in case.annotations.items())})"
    if case.only_fake:
        what += f" (fake clusters only: {case.only_fake})"
    events = " → ".join((*case.shows, case.ends))
    exit_code = "" if case.exit_code is None else case.exit_code
    return f"| {case.name} | {what} | {events} | {case.code or ''} | {exit_code} |\n"


PAGES = {"conformance.md": conformance_page, "fake-cluster.md": fake_page}

if __name__ == "__main__":
    for name, made in PAGES.items():
        (REFERENCE / name).write_text(made(), encoding="utf-8")
