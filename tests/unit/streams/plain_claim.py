"""A claim without anything to restore."""

from app.streams.claims import Claim


class Plain(Claim):
    @property
    def next_offset(self) -> int:
        return 0

    async def end(self) -> None:
        self.ended = True
