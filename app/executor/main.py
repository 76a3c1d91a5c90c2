"""`argosy-admin run executor --cluster NAME`: settings -> options, signals, and the exit code with its one clear
line."""

import asyncio
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path

from app.executor.exits import ExecutorExit, ExitCode
from app.executor.fake_cluster.spec import FakeClusterError, FakeClusterSpec, NodeGroup
from app.executor.kubernetes import Taint
from app.executor.lanes import LaneTimings
from app.executor.loop import run as run_executor
from app.executor.manifest import ManifestRules
from app.executor.options import ExecutorOptions, FakeClusterOptions, KubernetesOptions
from app.executor.timings import DEFAULT_TIMINGS, Timings
from app.settings import Settings
from app.settings.clusters import FakeClusterSettings, KubernetesSettings, NodeGroupSettings

TOKEN_BYTES_MAX = 4_096

FAKE_TIMINGS = Timings(
    create_timeout_ms=2_000,
    last_words_ms=5_000,
    image_not_found_ms=5_000,
    image_unavailable_ms=10_000,
    stuck_starting_ms=15_000,
    force_delete_ms=5_000,
    node_lost_ms=5_000,
)
"""An in-process cluster has no create under way that outlives its process, and nobody waits a quarter of an hour for
a played image. A pod may take as long to begin as its cluster says, and stuck_starting_ms more."""

log = logging.getLogger(__name__)


async def run(settings: Settings, cluster: str) -> None:
    """Runs until SIGTERM or SIGINT; ends the process with a code of app.executor.exits otherwise."""
    # Every request is a line at this library's INFO: ten a second.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        await _run_until_told(options_of(settings, cluster))
    except ExecutorExit as leaving:
        log.critical("executor of cluster %s leaves (%s): %s", cluster, leaving.code.name, leaving)
        sys.exit(leaving.code)


def options_of(settings: Settings, cluster: str) -> ExecutorOptions:
    """The options that settings give for a cluster. Raises ExecutorExit CONFIGURATION."""
    known = settings.clusters.get(cluster)
    if known is None:
        names = ", ".join(settings.clusters) or "none"
        raise ExecutorExit(
            ExitCode.CONFIGURATION, f"there is no cluster {cluster!r} in the settings (clusters: {names})"
        )
    own = settings.executor
    fake = None if known.fake is None else _fake_options(known.fake, Path(own.data_dir) / cluster)
    return ExecutorOptions(
        api_url=own.api_url,
        cluster=cluster,
        token=_read_token(own.token_file),
        fake=fake,
        kubernetes=None if known.kubernetes is None else _kubernetes_options(known.kubernetes),
        health_host=settings.health.host,
        health_port=settings.health.port,
        timings=_timings_of(known.kubernetes) if fake is None else _fake_timings(fake.spec),
        manifest_rules=_manifest_rules(known.kubernetes),
        lane_timings=LaneTimings(
            reports_every_ms=own.sync_interval_ms,
            heartbeat_every_ms=round(own.heartbeat_interval_s * 1_000),
            lease_wait_ms=own.lease_wait_ms,
        ),
    )


async def _run_until_told(options: ExecutorOptions) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    executor = asyncio.create_task(run_executor(options))
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait([executor, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    executor.cancel()
    try:
        await executor
    except asyncio.CancelledError:
        log.info("executor of cluster %s stopped; its pods live on", options.cluster)


def _read_token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            token = file.read(TOKEN_BYTES_MAX + 1).decode("ascii").strip()
    except OSError as error:
        raise ExecutorExit(ExitCode.CONFIGURATION, f"executor.token_file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ExecutorExit(ExitCode.CONFIGURATION, f"executor.token_file {path} does not hold a token") from None
    if not token or len(token) > TOKEN_BYTES_MAX or not token.isprintable() or " " in token:
        raise ExecutorExit(ExitCode.CONFIGURATION, f"executor.token_file {path} does not hold a token")
    return token


def _kubernetes_options(kubernetes: KubernetesSettings) -> KubernetesOptions:
    return KubernetesOptions(
        kubeconfig=kubernetes.kubeconfig,
        context=kubernetes.context,
        lease_namespace=kubernetes.lease_namespace,
    )


def _manifest_rules(kubernetes: KubernetesSettings | None) -> ManifestRules:
    if kubernetes is None:
        return ManifestRules()
    return ManifestRules(
        stripped_resources=frozenset(kubernetes.stripped_resources), priority_class=kubernetes.priority_class
    )


def _fake_timings(spec: FakeClusterSpec) -> Timings:
    return replace(FAKE_TIMINGS, stuck_starting_ms=FAKE_TIMINGS.stuck_starting_ms + spec.start_delay_ms)


def _timings_of(kubernetes: KubernetesSettings | None) -> Timings:
    """Raises ExecutorExit CONFIGURATION when the times do not fit together."""
    if kubernetes is None:
        return DEFAULT_TIMINGS
    given = kubernetes.model_dump(include=set(_TIMES), exclude_unset=True)
    try:
        return replace(DEFAULT_TIMINGS, **{_TIMES[name]: round(value * 1_000) for name, value in given.items()})
    except ValueError as error:
        raise ExecutorExit(ExitCode.CONFIGURATION, f"the cluster's times: {error}") from None


_TIMES = {
    "image_not_found_s": "image_not_found_ms",
    "image_unavailable_s": "image_unavailable_ms",
    "stuck_starting_s": "stuck_starting_ms",
    "force_delete_s": "force_delete_ms",
    "node_lost_s": "node_lost_ms",
    "finished_keep_s": "finished_keep_ms",
    "last_words_s": "last_words_ms",
    "create_timeout_s": "create_timeout_ms",
}
"""setting -> field of Timings"""


def _fake_options(fake: FakeClusterSettings, journal_dir: Path) -> FakeClusterOptions:
    try:
        spec = FakeClusterSpec(
            groups=tuple(_group(group) for group in fake.node_groups), start_delay_ms=fake.start_delay_ms
        )
    except FakeClusterError as error:
        raise ExecutorExit(ExitCode.CONFIGURATION, str(error)) from None
    return FakeClusterOptions(spec=spec, journal_dir=journal_dir)


def _group(group: NodeGroupSettings) -> NodeGroup:
    return NodeGroup(
        count=group.count,
        prefix=group.name,
        pool=group.pool,
        cpu=group.cpu,
        memory=group.memory,
        ephemeral_storage=group.ephemeral_storage,
        gpus=group.gpus,
        labels=group.labels,
        taints=tuple(Taint(key=taint.key, value=taint.value, effect=taint.effect) for taint in group.taints),
    )
