"""Pictures of every page in both themes: `make screenshots` (a stack of its own), or with the URL of one that runs.

python -m tests.ui.screenshots FOLDER [URL]
"""

import sys
from pathlib import Path

from tests.ui.lookout import SCENES, THEMES, Facts, chromium, paths, visiting
from tests.ui.seeded import seeded_stack

SETTLE_MS = 1_200
"""charts are drawn one frame after their data"""


def take(folder: Path, base: str, only: str = "") -> None:
    """Writes <page>-<theme>.png for each page."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: path for name, path in paths(Facts(base)).items() if only in name}
    with chromium() as browser:
        for theme in THEMES:
            with visiting(browser, base, theme) as visitor:
                for name, path in wanted.items():
                    page = visitor.open(path)
                    page.wait_for_timeout(SETTLE_MS)
                    page.screenshot(path=folder / f"{name}-{theme}.png")
                for name, scene in SCENES.items():
                    if only not in name:
                        continue
                    page = visitor.open(scene.path)
                    scene.open(page)
                    page.wait_for_timeout(SETTLE_MS)
                    page.screenshot(path=folder / f"dialog-{name}-{theme}.png")
            for complaint in visitor.complaints:
                print(f"{theme}: {complaint}")


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0])
    if len(arguments) > 1:
        take(folder, arguments[1], arguments[2] if len(arguments) > 2 else "")
        return
    with seeded_stack() as stack:
        take(folder, stack.api_url)


if __name__ == "__main__":
    main(sys.argv[1:])
