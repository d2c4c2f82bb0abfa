"""How many event streams are open in this process, and how many of a person."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_kit.problems import ProblemException, unavailable

RETRY_SECONDS = 30


@dataclass(frozen=True)
class Owner:
    """Whose a stream is, and how many of them may be open."""

    name: str
    most: int


class StreamPlaces:
    """The places for streams of one process, `most` in all. Used on its event loop only."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()
        self.count = 0

    def take(self, *, instead: bool = False) -> None:
        """Takes a place; `instead` of another stream, which is about to end, if there is none. Raises ProblemException
        503 if there is none."""
        if self.count >= self._most and not instead:
            words = Words("This server holds as many open connections as it may.")
            raise unavailable(words, RETRY_SECONDS + random.randrange(RETRY_SECONDS))  # noqa: S311 not all at once
        self.count += 1

    def leave(self) -> None:
        """Gives a place back."""
        self.count -= 1

    @contextmanager
    def taken(self, owner: Owner) -> Iterator[None]:
        """A place for as long as the block lasts. Raises ProblemException: 429 if the owner may have no more, 503 if
        the process may not."""
        if self._held[owner.name] >= owner.most:
            raise _too_many()
        self.take()
        self._held[owner.name] += 1
        try:
            yield
        finally:
            self.leave()
            self._held[owner.name] -= 1
            if not self._held[owner.name]:
                del self._held[owner.name]


def _too_many() -> ProblemException:
    return ProblemException(
        429, ProblemCode.RATE_LIMITED,
        Words("You have this site open in too many windows to be kept up to date in one more."),
        Words("Close some of them."), headers={"retry-after": str(RETRY_SECONDS)},
    )  # fmt: skip
