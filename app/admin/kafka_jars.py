"""The jars of the Kafka broker: fetched once by Maven through infra/kafka/pom.xml, kept by version.

Input: the POM. Output: `<cache>/kafka-<version>/broker-libs`. The directory appears by one rename, so it is whole or
absent however the fetch ends, and several processes may fetch at once.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from app.admin.errors import AdminError
from app.admin.toolchain import cache_dir, checkout_root, find_java, find_maven

FETCH_TIMEOUT_S = 900.0
# The broker's own jar and the logging back end that its POM does not bring.
REQUIRED_JARS = ("kafka_2.13-", "kafka-clients-", "kafka-metadata-", "log4j-core-", "log4j-slf4j-impl-")


def kafka_version() -> str:
    """The version pinned in infra/kafka/pom.xml."""
    match = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", _pom().read_text())
    if match is None:
        raise AdminError(f"{_pom()} names no kafka.version")
    return match[1]


def installed_jars(cache: Path | None = None) -> Path | None:
    """The directory of jars when they are there, else None."""
    libs = _home(cache) / "broker-libs"
    return libs if libs.is_dir() else None


def ensure_kafka_jars(cache: Path | None = None) -> Path:
    """The directory of the broker's jars, fetched when absent (10 s, 44 MB).

    Raises ToolMissingError without Java or Maven, AdminError when the fetch fails.
    """
    present = installed_jars(cache)
    if present is not None:
        return present
    find_java()
    maven = find_maven()
    home = _home(cache)
    home.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    try:
        _fetch(maven, scratch)
        shutil.rmtree(scratch / "target", ignore_errors=True)
        scratch.chmod(0o755)
        _publish(scratch, home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return home / "broker-libs"


def _fetch(maven: Path, into: Path) -> None:
    command: list[str | Path] = [
        maven,
        "-q",
        "-B",
        "-C",
        "-f",
        _pom(),
        "-pl",
        "broker",
        "package",
        f"-Dcache.dir={into}",
    ]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise AdminError(
            f"Maven did not fetch Kafka within {FETCH_TIMEOUT_S:.0f} s: is Maven Central reachable?"
        ) from None
    if answer.returncode != 0:
        lines = [line for line in (answer.stdout + answer.stderr).splitlines() if "ERROR" in line]
        raise AdminError(f"Maven could not fetch Kafka: {lines[0] if lines else answer.returncode}")
    names = [path.name for path in (into / "broker-libs").glob("*.jar")]
    missing = [required for required in REQUIRED_JARS if not any(name.startswith(required) for name in names)]
    if missing:
        raise AdminError(f"Maven brought {len(names)} jars but not {', '.join(missing)}: remove {into} and try again")


def _publish(scratch: Path, home: Path) -> None:
    try:
        os.rename(scratch, home)
    except OSError:
        # Somebody else was quicker: theirs is as good as ours.
        if not (home / "broker-libs").is_dir():
            raise


def _home(cache: Path | None) -> Path:
    return (cache or cache_dir()) / f"kafka-{kafka_version()}"


def _pom() -> Path:
    return checkout_root() / "infra" / "kafka" / "pom.xml"
