"""The whole tree of settings."""

from collections.abc import Mapping

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.settings.api import ApiSettings
from app.settings.clusters import ClusterSettings, ExecutorSettings
from app.settings.connections import HealthSettings, KafkaSettings, PostgresSettings
from app.settings.jobs import JobsSettings
from app.settings.local import DemoSettings, DevSettings
from app.settings.scheduler import SchedulerSettings
from app.settings.section import Name
from app.settings.workers import QueueAgentSettings, ViewsSettings


class Settings(BaseSettings):
    """All settings of an installation. Every component reads the same file and takes its sections."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, env_prefix="ARGOSY_"
    )

    kafka: KafkaSettings = KafkaSettings()
    """The log."""
    postgres: PostgresSettings = PostgresSettings()
    """The views."""
    health: HealthSettings = HealthSettings()
    """/healthz, /readyz, /metrics."""
    api: ApiSettings = ApiSettings()
    """The API process."""
    queue_agent: QueueAgentSettings = QueueAgentSettings()
    """The deciders."""
    views: ViewsSettings = ViewsSettings()
    """The view writers."""
    scheduler: SchedulerSettings = SchedulerSettings()
    """Pools, priority classes, limits."""
    jobs: JobsSettings = JobsSettings()
    """Limits and defaults of jobs."""
    clusters: Mapping[Name, ClusterSettings] = Field(default={}, max_length=10_000)
    """By name."""
    executor: ExecutorSettings = ExecutorSettings()
    """One executor process."""
    dev: DevSettings = DevSettings()
    """The stack on one machine."""
    demo: DemoSettings = DemoSettings()
    """The demo."""

    @model_validator(mode="after")
    def _references(self) -> "Settings":
        for name, cluster in self.clusters.items():
            for group in cluster.fake.node_groups if cluster.fake else ():
                if group.pool not in self.scheduler.pools:
                    raise ValueError(
                        f"clusters.{name}.fake: node group {group.name!r} names pool {group.pool!r}, "
                        "which is not a key of scheduler.pools"
                    )
        for name in self.jobs.tolerations_by_priority_class:
            if name not in self.scheduler.priority_classes:
                raise ValueError(
                    f"jobs.tolerations_by_priority_class: {name!r} is not a key of scheduler.priority_classes"
                )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: app.settings.load reads file and environment, so that tests can hand in both."""
        return (init_settings,)
