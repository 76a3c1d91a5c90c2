"""kube-apiserver, etcd and kwok: built once by Go from the modules in infra/kube, kept by version.

Input: infra/kube/<name>/go.mod. Output: `<cache>/kube-<digest>/bin`, where the digest stands for the three go.mod
files. A build takes ten CPU-minutes and 2 GB of memory in all; each binary appears by one rename, so it is whole or
absent however the build ends. One process builds at a time, others wait for it.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.admin.errors import AdminError, ToolMissingError
from app.admin.toolchain import cache_dir, checkout_root

BUILD_TIMEOUT_S = 2_400.0
LOCK, LOCK_POLL_S = ".lock", 0.5
GO_MIN = (1, 26)
DIGEST_CHARS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program that is built. module: whose version counts; package: what is built; stamped: carries its version."""

    name: str
    directory: str
    module: str
    package: str
    stamped: bool = False


COMMANDS = (
    Command(name="etcd", directory="etcd", module="go.etcd.io/etcd/server/v3", package="go.etcd.io/etcd/server/v3"),
    Command(name="kwok", directory="kwok", module="sigs.k8s.io/kwok", package="sigs.k8s.io/kwok/cmd/kwok"),
    Command(
        name="kube-apiserver",
        directory="apiserver",
        module="k8s.io/kubernetes",
        package="k8s.io/kubernetes/cmd/kube-apiserver",
        stamped=True,
    ),
)


def find_go() -> Path:
    """`go` from PATH. Raises ToolMissingError, whose text says what else can be done."""
    found = shutil.which("go")
    ways = (
        f"install Go {GO_MIN[0]}.{GO_MIN[1]} or newer, or name a cluster of your own: "
        "clusters.NAME.kubernetes.kubeconfig (docs/how-to/use-a-kubernetes-cluster.md)"
    )
    if found is None:
        raise ToolMissingError(f"Go is missing (it builds the local Kubernetes API server once): {ways}")
    answer = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, timeout=30.0, check=False)
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    if match is None or (int(match[1]), int(match[2])) < GO_MIN:
        raise ToolMissingError(f"{found} is {answer.stdout.strip() or 'not usable'}: {ways}")
    return Path(found)


def kube_version(name: str = "kube-apiserver") -> str:
    """The version pinned in the command's go.mod, as v1.36.3."""
    (command,) = [command for command in COMMANDS if command.name == name]
    text = (_source(command) / "go.mod").read_text()
    match = re.search(rf"^require {re.escape(command.module)} (v[0-9.]+)$", text, re.MULTILINE)
    if match is None:
        raise AdminError(f"{_source(command) / 'go.mod'} does not require {command.module}")
    return match[1]


def installed_binaries(cache: Path | None = None) -> Path | None:
    """The directory of the three programs when all are there, else None."""
    binaries = home_of(cache) / "bin"
    return binaries if all((binaries / command.name).is_file() for command in COMMANDS) else None


def ensure_kube_binaries(report: Callable[[str], None], cache: Path | None = None) -> Path:
    """The directory of the three programs, built when absent. Raises ToolMissingError without Go, AdminError when a
    build fails."""
    present = installed_binaries(cache)
    if present is not None:
        return present
    go = find_go()
    binaries = home_of(cache) / "bin"
    binaries.mkdir(parents=True, exist_ok=True)
    with _alone(binaries / LOCK, report):
        for command in COMMANDS:
            if not (binaries / command.name).is_file():
                report(f"building {command.name} {kube_version(command.name)} with Go (once; minutes on two cores)")
                _build(go, command, binaries)
    return binaries


@contextmanager
def _alone(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Holds a lock that the kernel gives back when its holder ends, however it ends. Raises AdminError."""
    deadline, said = time.monotonic() + BUILD_TIMEOUT_S, False
    with path.open("wb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise AdminError(
                        f"another process builds, for more than {BUILD_TIMEOUT_S:.0f} s ({path})"
                    ) from None
                if not said:
                    report("another process builds the local Kubernetes: waiting for it")
                    said = True
                time.sleep(LOCK_POLL_S)
        yield


def _build(go: Path, command: Command, into: Path) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f".{command.name}-", dir=into))
    flags = "-s -w"
    if command.stamped:
        version = kube_version(command.name)
        major, minor = version.removeprefix("v").split(".")[:2]
        where = "-X k8s.io/component-base/version"
        flags += f" {where}.gitVersion={version} {where}.gitMajor={major} {where}.gitMinor={minor}"
    words: list[str | Path] = [
        go,
        "build",
        "-p",
        "2",
        "-trimpath",
        "-ldflags",
        flags,
        "-o",
        scratch / command.name,
        command.package,
    ]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    try:
        answer = subprocess.run(
            words,
            cwd=_source(command),
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if answer.returncode != 0:
            said = [line for line in answer.stderr.splitlines() if line and not line.startswith("go: downloading")]
            raise AdminError(f"{command.name} could not be built: {said[0] if said else answer.returncode}")
        os.rename(scratch / command.name, into / command.name)
    except subprocess.TimeoutExpired:
        raise AdminError(f"{command.name} was not built within {BUILD_TIMEOUT_S:.0f} s") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def home_of(cache: Path | None) -> Path:
    """Where the programs of these versions are kept."""
    digest = hashlib.sha256(b"".join((_source(command) / "go.mod").read_bytes() for command in COMMANDS)).hexdigest()
    return (cache or cache_dir()) / f"kube-{kube_version().removeprefix('v')}-{digest[:DIGEST_CHARS]}"


def _source(command: Command) -> Path:
    return checkout_root() / "infra" / "kube" / command.directory
