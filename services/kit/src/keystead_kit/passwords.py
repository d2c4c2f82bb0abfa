"""Secrets that a person chose or types, as they are stored: argon2id (RFC 9106) as PHC strings.

One costs about 20 ms and 19 MiB: never within a transaction.
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

_ITERATIONS, _MEMORY_KIB, _LANES = 2, 19 * 1024, 1


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=_ITERATIONS, memory_cost=_MEMORY_KIB, parallelism=_LANES)


def hash_secret(text: str) -> str:
    """How `text` is stored; another string each time. Raises ValueError if it has a lone surrogate."""
    return _hasher().hash(text)


def verify_secret(text: str, phc: str) -> bool:
    """Whether `phc` was made of `text`; False too if it is no argon2 string."""
    try:
        return _hasher().verify(phc, text)
    except (Argon2Error, InvalidHashError, ValueError):
        return False
