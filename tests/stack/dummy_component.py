"""A process that a supervisor may run in tests. usage: dummy_component.py NAME DIRECTORY [stubborn]

It appends "start NAME" and, on SIGTERM, "stop NAME" to DIRECTORY/events; makes DIRECTORY/NAME.ready while it runs; ends
with the code that stands in DIRECTORY/NAME.exit when that appears (and removes it). stubborn: SIGTERM is ignored.
"""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType


def main() -> None:
    name, directory = sys.argv[1], Path(sys.argv[2])
    ready, exit_file = directory / f"{name}.ready", directory / f"{name}.exit"

    def note(text: str) -> None:
        with (directory / "events").open("a") as events:
            events.write(f"{text} {name}\n")

    def on_term(_number: int, _frame: FrameType | None) -> None:
        note("stop")
        ready.unlink(missing_ok=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in sys.argv else on_term)
    note("start")
    ready.write_text(str(os.getpid()))
    while not exit_file.exists():
        time.sleep(0.02)
    code = int(exit_file.read_text())
    exit_file.unlink()
    ready.unlink(missing_ok=True)
    print(f"{name} leaves with {code}: told to", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
