"""A supervisor over the real servers of a local stack only. usage: python -m tests.stack.server_supervisor DIRECTORY

Settings come from the environment; the state directory is DIRECTORY/state.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from app.admin.errors import AdminError
from app.admin.stack import local_stack
from app.admin.state import StateDirectory
from app.admin.supervisor import Supervisor
from app.settings import load_settings


def main() -> None:
    state = StateDirectory(Path(sys.argv[1]) / "state")
    try:
        with state.locked():
            stack = local_stack(load_settings(None, os.environ), state, dict(os.environ))
            servers, tasks, *_components = stack.plan.steps
            plan = replace(stack.plan, steps=(servers, replace(tasks, tasks=())))
            Supervisor(plan, state, lambda line: print(line, flush=True)).run()
    except AdminError as error:
        print(error, flush=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
