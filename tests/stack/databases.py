"""New, empty databases on a server, one per test or module, dropped afterwards."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from app.admin.postgres_node import run_sql

_NUMBERS = itertools.count()


@contextmanager
def database_maker(server_url: str) -> Iterator[Callable[[], str]]:
    """Yields a function that creates a database and returns its URL; all are dropped at the end."""
    made: list[str] = []

    def make() -> str:
        name = f"t_{os.getpid()}_{next(_NUMBERS)}"
        run_sql(server_url, f'CREATE DATABASE "{name}"')
        made.append(name)
        return urlsplit(server_url)._replace(path=f"/{name}").geturl()

    try:
        yield make
    finally:
        for name in made:
            run_sql(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
