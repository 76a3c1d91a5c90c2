"""The programs and places outside Python that the local stack needs: Java, Maven, the checkout, the cache.

Inputs: environment (JAVA_HOME, PATH, XDG_CACHE_HOME). Outputs: paths. Nothing is installed here.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.admin.errors import AdminError, ToolMissingError

JAVA_MAJOR_MIN = 17
PROBE_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaRuntime:
    path: Path
    major: int


def checkout_root() -> Path:
    """The folder that holds `infra/`. Raises AdminError when Argosy runs from an installed package instead."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "infra" / "kafka" / "pom.xml").is_file():
        raise AdminError("the local stack needs a checkout of Argosy: infra/kafka/pom.xml is not beside the app folder")
    return root


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/argosy`, else `~/.cache/argosy`; not created here."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "argosy"


@cache
def find_java() -> JavaRuntime:
    """Java from JAVA_HOME, else from PATH. Raises ToolMissingError when there is none or it is older than 17."""
    home = os.environ.get("JAVA_HOME")
    at_home = Path(home) / "bin" / "java" if home else None
    found = str(at_home) if at_home is not None and at_home.is_file() else shutil.which("java")
    ways = f"install Java {JAVA_MAJOR_MIN} or newer (or set JAVA_HOME), or name a broker in kafka.bootstrap"
    if found is None:
        raise ToolMissingError(f"Java is missing: {ways}")
    major = _java_major(Path(found))
    if major is None:
        raise ToolMissingError(f"{found} does not say its version: {ways}")
    if major < JAVA_MAJOR_MIN:
        raise ToolMissingError(f"{found} is Java {major}: {ways}")
    return JavaRuntime(path=Path(found), major=major)


def find_maven() -> Path:
    """`mvn` from PATH. Raises ToolMissingError."""
    found = shutil.which("mvn")
    if found is None:
        raise ToolMissingError(
            "Maven is missing (it fetches the Kafka jars once): install Maven 3.6 or newer, or name a broker in "
            "kafka.bootstrap"
        )
    return Path(found)


def _java_major(java: Path) -> int | None:
    try:
        answer = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(match[1]) if match else None
