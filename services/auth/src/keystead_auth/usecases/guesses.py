"""How every use case that takes a sign-in link's token keeps guessing within its limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keystead_auth.domain.errors import LinkUnknown, TooManyAttempts
from keystead_auth.ports import Attempts


@contextmanager
def counting_guesses(attempts: Attempts, client: str) -> Iterator[None]:
    """Counts a LinkUnknown that the block raises. Raises TooManyAttempts, without running it, after too many."""
    wait = attempts.confirm(client)
    if wait is not None:
        raise TooManyAttempts(wait)
    try:
        yield
    except LinkUnknown:
        attempts.guessed(client)
        raise
