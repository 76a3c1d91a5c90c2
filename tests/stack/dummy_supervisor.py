"""A supervisor over dummy components. usage: python -m tests.stack.dummy_supervisor DIRECTORY STAGE [STAGE ...]

A stage is NAME[,NAME...]. A name that ends in "!" ignores SIGTERM; a stage that begins with "task:" is a task that runs
the rest as Python. The state directory is DIRECTORY/state.
"""

import sys
from pathlib import Path

from app.admin.errors import AdminError
from app.admin.plan import Plan, ProcessPlan, Stage, Step, Task
from app.admin.state import StateDirectory
from app.admin.supervisor import Supervisor

COMPONENT = Path(__file__).with_name("dummy_component.py")


def component(word: str, directory: Path) -> ProcessPlan:
    name = word.removesuffix("!")
    command = (sys.executable, "-S", "-E", str(COMPONENT), name, str(directory))
    return ProcessPlan(
        name=name,
        command=(*command, "stubborn") if word.endswith("!") else command,
        ready=(directory / f"{name}.ready").exists,
        log=directory / f"{name}.log",
        marker=str(directory),
    )


def step(word: str, directory: Path) -> Step:
    if word.startswith("task:"):
        command = (sys.executable, "-c", word.removeprefix("task:"))
        return Step(tasks=(Task(name="task", command=command, log=directory / "task.log"),))
    return Step(stage=Stage(processes=tuple(component(name, directory) for name in word.split(","))))


def main() -> None:
    directory = Path(sys.argv[1])
    plan = Plan(steps=tuple(step(word, directory) for word in sys.argv[2:]), ready_timeout_s=10.0, stop_timeout_s=1.0)
    state = StateDirectory(directory / "state")
    try:
        with state.locked():
            Supervisor(plan, state, lambda line: print(line, flush=True)).run()
    except AdminError as error:
        print(error, flush=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
