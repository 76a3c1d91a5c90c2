"""Where compiled kernels are kept on disk, and when they are still good.

numba's own cache looks at the source of each kernel alone: a kernel that calls a changed one would go on with the old
code. Here all kernels share one stamp over all their sources, and a folder of that name. It stands in the first of
these places that applies: NUMBA_CACHE_DIR; beside the sources, if that can be written or holds code for these sources
(a read-only image that was compiled at build); the user's cache directory. Where nothing can be written, or a file is
damaged, the kernel is compiled anew.

Code is made for any processor of the architecture unless NUMBA_CPU_NAME says otherwise, so that a cache made on one
machine is good on another.
"""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.misc.appdirs import AppDirs

SOURCES = Path(__file__).parent
BESIDE = SOURCES / "__pycache__"
FOLDER = "kernels-"
STAMP_CHARS = 20
COMPLETE = "complete"
ANY_CPU = "generic"


def use_any_cpu() -> None:
    """Compiles for any processor of the architecture, if nothing else was asked for. Before the first kernel."""
    if numba.config.CPU_NAME is None and numba.config.CPU_FEATURES is None:
        numba.config.CPU_NAME = ANY_CPU
        numba.config.CPU_FEATURES = ""


@cache
def stamp() -> str:
    """A hash of the sources of all kernels."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def directory() -> Path:
    """Where the code is kept."""
    name = f"{FOLDER}{stamp()[:STAMP_CHARS]}"
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR) / name
    if (BESIDE / name / COMPLETE).exists() or _can_write(BESIDE):
        return BESIDE / name
    return Path(AppDirs(appname="argosy", appauthor=False).user_cache_dir) / name


def is_complete() -> bool:
    """Whether the code of all kernels is there, so that using them takes no time."""
    return (directory() / COMPLETE).exists()


def mark_complete() -> None:
    """Notes that all kernels were compiled; what is beside the sources of other sources is removed."""
    with contextlib.suppress(OSError):
        (directory() / COMPLETE).touch()
    if directory().parent == BESIDE:
        for other in BESIDE.glob(f"{FOLDER}*"):
            if other != directory():
                shutil.rmtree(other, ignore_errors=True)


def _can_write(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


class _Locator:
    """What numba asks about a place."""

    def __init__(self, line: int) -> None:
        self._line = line

    @classmethod
    def from_function(cls, function: Callable[..., Any], _: str) -> "_Locator":
        return cls(function.__code__.co_firstlineno)

    def get_cache_path(self) -> str:
        return str(directory())

    def ensure_cache_path(self) -> None:
        directory().mkdir(parents=True, exist_ok=True)

    def get_source_stamp(self) -> str:
        return stamp()

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Results(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class KernelCache(FunctionCache):  # type: ignore[misc]
    """The cache of one kernel. Trouble with the disk costs time, never a round."""

    _impl_class = _Results

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The compiled code for a signature, or None."""
        try:
            return super().load_overload(signature, context)
        except Exception:
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keeps compiled code, where possible."""
        with contextlib.suppress(Exception):
            super().save_overload(signature, result)
