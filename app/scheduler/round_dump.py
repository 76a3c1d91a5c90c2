"""A round of the live leader as a file: what `argosy-admin round dump` gets from the health server.

Input: the parameters of a request (`pool`; `form`: json or binary), the leader of now. Output: `argosy-round/1`, or
the same round packed, or one line why not.
"""

import asyncio
from collections.abc import Callable, Mapping

from app.health import Page
from app.scheduler.leader import Leader
from app.scheduling.round_binary import pack_round
from app.scheduling.round_print import print_round

PATH = "/round"
JSON = "application/json"
BINARY = "application/octet-stream"


class RoundDump:
    """`leader`: who leads in this process now, if anybody does."""

    def __init__(self, leader: Callable[[], Leader | None]) -> None:
        self._leader = leader

    async def page(self, parameters: Mapping[str, str]) -> Page:
        """The round that would be decided now."""
        leader = self._leader()
        if leader is None:
            return Page("503 Service Unavailable", b"this scheduler does not lead\n")
        form = parameters.get("form", "json")
        if form not in ("json", "binary"):
            return Page("400 Bad Request", f"no form {form!r}; forms: json, binary\n".encode())
        loop = leader.pools.get(parameters.get("pool", ""))
        if loop is None:
            names = ", ".join(leader.pools)
            return Page("404 Not Found", f"no pool {parameters.get('pool', '')!r}; pools: {names}\n".encode())
        round_ = loop.round_now(leader.restrict())
        if form == "binary":
            return Page("200 OK", await asyncio.to_thread(pack_round, round_), BINARY)
        return Page("200 OK", await asyncio.to_thread(print_round, round_) + b"\n", JSON)
