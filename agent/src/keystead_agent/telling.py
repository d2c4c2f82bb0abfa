"""How a flow says what happens."""

from __future__ import annotations

from typing import Protocol


class Tell(Protocol):
    """Says what happens, to a person or a log: a constant event name with fields."""

    def __call__(self, event: str, /, **fields: object) -> None: ...
