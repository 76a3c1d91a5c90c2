"""Where a running local stack can be reached; for the demo, tests and benchmarks."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """`settings_file`: the settings that the components run with (argosy-admin --settings FILE ...)."""

    api_url: str
    bootstrap: str
    settings_file: Path
    state_dir: Path

    @property
    def graphql_url(self) -> str:
        return f"{self.api_url}/graphql"
