"""Rate limits that count in Redis, and in this process while Redis is away.

Stated behaviour without Redis: every process counts for itself, so a limit of N becomes N per process; nobody is
let through uncounted and nobody is locked out because Redis is down.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from pydantic import AfterValidator

from keystead_kit.logs import get_logger

_log = get_logger()
T = TypeVar("T")


def _checked(limit: str) -> str:
    try:
        parse(limit)
    except ValueError as error:
        raise ValueError("must be a number and a time, such as 20/15 minutes") from error
    return limit


RateLimit = Annotated[str, AfterValidator(_checked)]
"""A limit in a setting, such as "5/15 minutes"; refused at start if it cannot be read."""


Question = Callable[..., bool]
"""`hit` or `test` of a limiter."""


class RateLimiter:
    """Counts attempts per key in sliding windows."""

    def __init__(self, redis_url: str, prefix: str) -> None:
        options = {"socket_timeout": 1, "socket_connect_timeout": 1}
        self._shared = SlidingWindowCounterRateLimiter(
            RedisStorage(redis_url, key_prefix=f"keystead.{prefix}.limits", **options)  # type: ignore[arg-type]
        )
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, limit: str, *key: str) -> int | None:
        """Counts one attempt against `limit` ("5/15 minutes") for `key`; None if it may go on, else seconds to wait."""
        return self._ask(SlidingWindowCounterRateLimiter.hit, limit, key)

    def check(self, limit: str, *key: str) -> int | None:
        """As `hit`, and counts nothing: for limits on what turns out to be wrong."""
        return self._ask(SlidingWindowCounterRateLimiter.test, limit, key)

    def left(self, limit: str, *key: str) -> int:
        """How many attempts are left of `limit` for `key` now; counts nothing."""
        return self._shared_or_own(lambda limiter: limiter.get_window_stats(parse(limit), *key).remaining)

    def forget(self, limit: str, *key: str) -> None:
        """Gives back every attempt counted against `limit` for `key`."""
        self._shared_or_own(lambda limiter: limiter.clear(parse(limit), *key))

    def _ask(self, question: Question, limit: str, key: tuple[str, ...]) -> int | None:
        return self._shared_or_own(lambda limiter: self._answer(limiter, question, parse(limit), key))

    def _shared_or_own(self, use: Callable[[SlidingWindowCounterRateLimiter], T]) -> T:
        try:
            return use(self._shared)
        except Exception as error:
            _log.warning("rate limits count in this process only", error=str(error))
            return use(self._own)

    @staticmethod
    def _answer(
        limiter: SlidingWindowCounterRateLimiter, question: Question, item: RateLimitItem, key: tuple[str, ...]
    ) -> int | None:
        if question(limiter, item, *key):
            return None
        reset = limiter.get_window_stats(item, *key).reset_time
        return max(1, int(reset - time.time()) + 1)


def network_of(client: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 that one IPv6 subscriber has to himself."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
