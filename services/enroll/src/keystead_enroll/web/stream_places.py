"""How many event streams are open in this process, and whose."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_kit.problems import ProblemException, unavailable

RETRY_SECONDS = 30


@dataclass(frozen=True)
class Owner:
    """Whose a stream is, and how many of them may be open: when one more comes, the oldest ends or it is refused."""

    name: str
    most: int = 1
    newest_wins: bool = True


@dataclass(eq=False)
class Place:
    """An open stream. Once `over`, it is to end; `woken` is set then."""

    woken: asyncio.Event
    over: bool = False

    def end(self) -> None:
        """Asks the stream to end."""
        self.over = True
        self.woken.set()


class StreamPlaces:
    """The places for streams of one process, `most` in all. Used on its event loop only."""

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0
        self._held: dict[str, list[Place]] = defaultdict(list)

    @contextmanager
    def taken(self, owner: Owner, woken: asyncio.Event) -> Iterator[Place]:
        """A place for as long as the block lasts. Raises ProblemException: 429 if the owner may have no more, 503 if
        the process may not."""
        mine = [place for place in self._held.get(owner.name, ()) if not place.over]
        if len(mine) >= owner.most:
            if not owner.newest_wins:
                raise _too_many()
            mine[0].end()
        elif self._count >= self._most:
            raise unavailable(Words("This server holds as many open connections as it may."), RETRY_SECONDS)
        place = Place(woken)
        self._held[owner.name].append(place)
        self._count += 1
        try:
            yield place
        finally:
            self._count -= 1
            self._held[owner.name].remove(place)
            if not self._held[owner.name]:
                del self._held[owner.name]


def _too_many() -> ProblemException:
    return ProblemException(
        429, ProblemCode.RATE_LIMITED,
        Words("You have this site open in too many windows to be kept up to date in one more."),
        Words("Close some of them."), headers={"retry-after": str(RETRY_SECONDS)},
    )  # fmt: skip
