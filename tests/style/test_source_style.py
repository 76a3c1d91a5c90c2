"""The rules of the source that a program can check: sizes, names, texts of packages, no traces of one machine."""

import ast
import configparser
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
PYTHON_FOLDERS = ("app", "agents", "tables", "tests", "benchmarks", "examples", "clients")
LENGTH_SUFFIXES = (".py", ".ts", ".tsx", ".sh")
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc"}
# A folder in somebody's home or a temporary place cannot be meant for others. Written so that it does not find itself.
MACHINE_PATH = re.compile(r"(?<![\w.}/-])/(?:root|home/\w+|Users/\w+|work/\w+|tmp/\w+|var/folders)(?:/|\b)")
MARKERS = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
BINARY_SUFFIXES = {".png", ".ico", ".woff2", ".gz", ".zst", ".bin"}
GENERATED = {"package-lock.json", "schema.graphql", "pod_spec.schema.json", "LICENSE"}


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the repository, whether committed or new; in an export without git: every file."""
    answer = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if answer.returncode != 0:
        hidden = {".venv", ".dev", "node_modules", "__pycache__", "build", "dist"}
        return tuple(p for p in ROOT.rglob("*") if p.is_file() and not hidden & set(p.relative_to(ROOT).parts))
    return tuple(path for name in answer.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())


def python_files() -> Iterator[Path]:
    for path in tracked():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PYTHON_FOLDERS:
            yield path


def place(path: Path, line: int = 0) -> str:
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


def text_files() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        if path.suffix not in BINARY_SUFFIXES and path.name not in GENERATED:
            yield path, path.read_text(encoding="utf-8", errors="replace")


def test_there_is_something_to_check() -> None:
    assert len(list(python_files())) > 50


def test_files_are_at_most_400_lines_long() -> None:
    long = [
        f"{place(path)}: {lines}"
        for path in tracked()
        if path.suffix in LENGTH_SUFFIXES and path.name not in GENERATED
        if (lines := path.read_text(encoding="utf-8").count("\n")) > FILE_LINES_MAX
    ]
    assert not long, "\n" + "\n".join(long)


def test_functions_are_at_most_70_lines_long() -> None:
    long = [
        f"{place(path, node.lineno)} {node.name}: {length}"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not long, "\n" + "\n".join(long)


def test_no_module_or_package_has_a_name_that_says_nothing() -> None:
    vague = [place(path) for path in python_files() if VAGUE_NAMES & {path.stem, *path.relative_to(ROOT).parts[:-1]}]
    assert not vague, "\n" + "\n".join(vague)


def test_every_package_says_what_it_does_and_a_room_also_what_it_does_not() -> None:
    silent = []
    for path in python_files():
        parts = path.relative_to(ROOT).parts
        if path.name == "__init__.py" and parts[0] in ("app", "agents", "tables"):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            is_room = len(parts) <= 3
            if not text or (
                is_room and not re.search(r"\b(not?|never|nothing|without|none|only)\b", text, re.IGNORECASE)
            ):
                silent.append(place(path))
    assert not silent, "\n" + "\n".join(silent)


def test_every_module_of_the_server_says_its_purpose() -> None:
    silent = [
        place(path)
        for path in python_files()
        if path.relative_to(ROOT).parts[0] in ("app", "agents", "tables")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent, "\n" + "\n".join(silent)


@pytest.mark.parametrize(
    ("pattern", "what"), [(MACHINE_PATH, "a path of one machine"), (MARKERS, "an open end")], ids=["path", "marker"]
)
def test_no_file_holds(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{place(path, number)} {what}: {match[0]}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := pattern.search(line))
    ]
    assert not found, "\n" + "\n".join(found)


def test_every_dependency_is_pinned_in_the_lock_and_nothing_in_it_is_a_range() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    extras = settings["options.extras_require"]
    wanted = [settings["options"]["install_requires"], extras["local"], extras["dev"]]
    names = {re.split(r"[\s\[=<>!~;]", line, maxsplit=1)[0] for text in wanted for line in text.split("\n") if line}
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and line[0] != "#"]
    loose = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[^\s=]+", line)]
    assert not loose, loose
    pinned = {plain(line.split("==")[0]) for line in lines}
    missing = sorted(name for name in names if plain(name) not in pinned)
    assert not missing, missing


def plain(name: str) -> str:
    """A package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
