"""From settings to a plan: which processes a local stack has, in which order, with which ports and settings.

Inputs: the settings, the state directory. Outputs: a Plan, the settings file of its components, the Endpoints.
Explicit settings win: a broker or database that is named in them is used and not started.
"""

import http.client
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from app.admin.endpoints import Endpoints
from app.admin.kafka_node import KafkaNode
from app.admin.kube_stack import kube_cluster_settings, kube_steps, local_kube
from app.admin.plan import Plan, ProcessPlan, Stage, Step, Task
from app.admin.postgres_node import PostgresNode
from app.admin.processes import LOOPBACK
from app.admin.state import StateDirectory, write_by_rename
from app.admin.toolchain import checkout_root
from app.settings import Settings, load_settings

PROBE_TIMEOUT_S = 2.0
ROTATE_LOG_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStack:
    """A plan and what it rests on. `settings` are the effective ones, as in `endpoints.settings_file`."""

    plan: Plan
    settings: Settings
    endpoints: Endpoints


def local_stack(settings: Settings, directory: StateDirectory, environment: dict[str, str]) -> LocalStack:
    """Chooses ports, makes secrets, writes the components' settings file, and lays out the plan.

    `environment`: of the supervisor; its settings are already in `settings` and are not handed on.
    Raises PortTakenError, ToolMissingError, SettingsError.
    """
    directory.create()
    builder = _Builder(settings=settings, directory=directory, environment=environment)
    return builder.build()


@dataclass(slots=True, kw_only=True)
class _Builder:
    settings: Settings
    directory: StateDirectory
    environment: dict[str, str]
    overrides: dict[str, object] = field(default_factory=dict)

    def build(self) -> LocalStack:
        kafka, postgres = self._kafka(), self._postgres()
        kube = local_kube(self.settings, self.directory)
        api_port = self._api_port()
        api_url = f"http://{LOOPBACK}:{api_port}"
        own = [self.settings.dev.kube_cluster] if kube is not None else []
        local_tokens = {name: self.directory.token(name) for name in dict.fromkeys([*self._run_here(), *own])}
        if postgres is not None:
            postgres.prepare()
        self._override("kafka", "bootstrap", kafka.bootstrap if kafka else self.settings.kafka.bootstrap)
        if kafka is not None:
            self._override("kafka", "replication", 1)
        self._override("postgres", "url", postgres.url if postgres else self.settings.postgres.url)
        self._override("api", "port", api_port)
        self._override("executor", "api_url", api_url)
        self._override("executor", "data_dir", str(self.directory.data / "executor"))
        self._override("views", "data_dir", str(self.directory.data / "views"))
        clusters = self.settings.model_dump(mode="json", include={"clusters"}, exclude_unset=True).get("clusters", {})
        if kube is not None:
            name = self.settings.dev.kube_cluster
            clusters[name] = _with_kube(clusters.get(name, {}), kube_cluster_settings(kube))
        for name, (_path, sha256) in local_tokens.items():
            clusters[name] = {**clusters[name], "token_sha256": sha256}
        self.overrides["clusters"] = clusters
        self._write_settings()
        effective = load_settings(self.directory.settings_file, {})
        endpoints = Endpoints(
            api_url=api_url,
            bootstrap=effective.kafka.bootstrap,
            settings_file=self.directory.settings_file,
            state_dir=self.directory.path,
        )
        servers = [self._kafka_plan(kafka)] if kafka else []
        servers += [self._postgres_plan(postgres)] if postgres else []
        make_database: tuple[Callable[[], object], ...] = (
            (lambda: postgres.create_database(postgres.database),) if postgres else ()
        )
        steps = (
            Step(stage=Stage(processes=tuple(servers))),
            *(kube_steps(self.settings, kube, self._log) if kube else ()),
            Step(
                calls=make_database, tasks=(self._task("topics", "topics", "apply"), self._task("migrate", "migrate"))
            ),
            # Most of a start is imports, so what need not wait for each other starts together.
            Step(
                stage=Stage(
                    processes=(
                        *self._queue_agents(),
                        *self._views(),
                        self._component("api", "api", url=api_url),
                        *self._schedulers(),
                    )
                )
            ),
            Step(
                stage=Stage(processes=tuple(self._executors({name: path for name, (path, _) in local_tokens.items()})))
            ),
        )
        plan = Plan(
            steps=steps,
            ready_timeout_s=self.settings.dev.ready_timeout_s,
            stop_timeout_s=self.settings.dev.stop_timeout_s,
            urls={
                "api": api_url,
                "graphql": endpoints.graphql_url,
                "kafka": endpoints.bootstrap,
                **({"kubernetes": kube.url, "kubeconfig": str(kube.admin_kubeconfig)} if kube else {}),
            },
        )
        return LocalStack(plan=plan, settings=effective, endpoints=endpoints)

    def _override(self, section: str, key: str, value: object) -> None:
        part = self.overrides.setdefault(section, {})
        assert isinstance(part, dict)
        part[key] = value

    def _write_settings(self) -> None:
        given = self.settings.model_dump(mode="json", exclude_unset=True)
        for section, values in self.overrides.items():
            given[section] = values if section == "clusters" else {**given.get(section, {}), **_as_dict(values)}
        text = "# Written by `argosy-admin dev up`: what the components of this stack run with.\n"
        text += yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
        # It holds the database's password.
        write_by_rename(self.directory.settings_file, text.encode(), mode=0o600)

    def _kafka(self) -> KafkaNode | None:
        if "bootstrap" in self.settings.kafka.model_fields_set:
            return None
        return KafkaNode(
            directory=self.directory.data / "kafka",
            port=self.directory.port("kafka", self.settings.dev.kafka_port, setting="dev.kafka_port"),
            controller_port=self.directory.port("kafka-controller", 0, setting=""),
            heap_mib=self.settings.dev.kafka_heap_mib,
        )

    def _postgres(self) -> PostgresNode | None:
        if "url" in self.settings.postgres.model_fields_set:
            return None
        return PostgresNode(
            directory=self.directory.data / "postgres",
            port=self.directory.port("postgres", self.settings.dev.postgres_port, setting="dev.postgres_port"),
        )

    def _api_port(self) -> int:
        api = self.settings.api
        explicit = "port" in api.model_fields_set
        return self.directory.port("api", api.port, setting="api.port", insist=explicit)

    def _kafka_plan(self, node: KafkaNode) -> ProcessPlan:
        return ProcessPlan(
            name="kafka",
            command=tuple(str(word) for word in node.command()),
            prepare=node.prepare,
            ready=lambda: node.ready(0.0),
            log=self._log("kafka"),
            marker=str(node.directory),
            url=node.bootstrap,
        )

    def _postgres_plan(self, node: PostgresNode) -> ProcessPlan:
        return ProcessPlan(
            name="postgres",
            command=tuple(str(word) for word in node.command()),
            prepare=node.prepare,
            ready=node.ready,
            log=self._log("postgres"),
            marker=node.marker,
            stop_signal=signal.SIGINT,  # a fast shutdown; TERM would wait for every session
            url=f"{LOOPBACK}:{node.port}",
        )

    def _queue_agents(self) -> list[ProcessPlan]:
        names = [f"queue-agent-{number}" for number in range(self.settings.dev.queue_agents)]
        return [
            self._component(
                name,
                "queue-agent",
                environment={
                    "ARGOSY_QUEUE_AGENT__INSTANCE": name,
                    "ARGOSY_QUEUE_AGENT__DATA_DIR": str(self.directory.data / name),
                },
            )
            for name in names
        ]

    def _views(self) -> list[ProcessPlan]:
        return [self._component(f"views-{name}", "views", "--app", name) for name in self.settings.views.apps]

    def _schedulers(self) -> list[ProcessPlan]:
        return [self._component(f"scheduler-{number}", "scheduler") for number in range(self.settings.dev.schedulers)]

    def _executors(self, token_files: dict[str, Path]) -> list[ProcessPlan]:
        return [
            self._component(
                f"executor-{name}",
                "executor",
                "--cluster",
                name,
                environment={"ARGOSY_EXECUTOR__TOKEN_FILE": str(path)},
            )
            for name, path in token_files.items()
        ]

    def _run_here(self) -> list[str]:
        """Clusters whose executors belong to this stack: fake ones, and real ones that the settings can reach."""
        return [
            name
            for name, cluster in self.settings.clusters.items()
            if cluster.fake is not None
            or (cluster.kubernetes is not None and cluster.kubernetes.kubeconfig is not None)
        ]

    def _component(
        self, name: str, component: str, *options: str, url: str = "", environment: dict[str, str] | None = None
    ) -> ProcessPlan:
        port = self.directory.port(f"{name}-health", 0, setting="")
        own = {"ARGOSY_HEALTH__HOST": LOOPBACK, "ARGOSY_HEALTH__PORT": str(port), **(environment or {})}
        return ProcessPlan(
            name=name,
            command=self._admin("run", component, *options),
            ready=lambda: http_ready(port),
            log=self._log(name),
            marker=str(self.directory.settings_file),
            environment={**self._clean_environment(), **own},
            url=url,
        )

    def _task(self, name: str, *words: str) -> Task:
        return Task(name=name, command=self._admin(*words), log=self._log(name), environment=self._clean_environment())

    def _admin(self, *words: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "app.admin.main", "--settings", str(self.directory.settings_file), *words)

    def _clean_environment(self) -> dict[str, str]:
        """Ours without its settings (they stand in the file, completed); able to import this checkout."""
        kept = {
            name: value
            for name, value in self.environment.items()
            if not (name.startswith("ARGOSY_") and "__" in name) and name != "ARGOSY_SETTINGS"
        }
        paths = [str(checkout_root()), *([kept["PYTHONPATH"]] if kept.get("PYTHONPATH") else [])]
        return {**kept, "PYTHONPATH": ":".join(paths), "PYTHONUNBUFFERED": "1"}

    def _log(self, name: str) -> Path:
        log = self.directory.logs / f"{name}.log"
        if log.is_file() and log.stat().st_size > ROTATE_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return log


def http_ready(port: int) -> bool:
    """Whether /readyz on loopback answers 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _with_kube(given: dict[str, dict[str, object]], made: dict[str, object]) -> dict[str, object]:
    """The cluster's settings with the kubeconfig that was made; a fake of the same name gives way."""
    kubernetes = {**given.get("kubernetes", {}), **_as_dict(made["kubernetes"])}
    return {**{key: value for key, value in given.items() if key != "fake"}, "kubernetes": kubernetes}


def _as_dict(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value
