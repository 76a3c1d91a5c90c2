"""docs/reference/conformance.md, made of the cases: `python -m tests.conformance.table`."""

from pathlib import Path

from tests.conformance.cases import CASES, Act, Case

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "conformance.md"
HEAD = """# What becomes of a job in a cluster

This page is made from the cases of tests/conformance by `python -m tests.conformance.table`; do not edit it. Each case
is run on a fake cluster and on a real Kubernetes API server, through the whole stack; the events are those that
`jobSetEvents` gives, others may stand between them. With `scheduler.max_attempts: 2`.

| case | the job | events | reason code | exit code |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_row(case) for case in CASES)


def _row(case: Case) -> str:
    what = case.what
    if case.act is Act.LOSE_NODE or (case.act is Act.CANCEL and "cancelled" not in what):
        what += f"; {case.act.value} at {case.act_at}"
    if case.annotations:
        what += f" ({', '.join(f'`{key}: {value}`' for key, value in case.annotations.items())})"
    events = " → ".join((*case.shows, case.ends))
    exit_code = "" if case.exit_code is None else case.exit_code
    return f"| {case.name} | {what} | {events} | {case.code or ''} | {exit_code} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
