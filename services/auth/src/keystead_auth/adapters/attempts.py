"""Rate limits on signing in, counted in Redis."""

from __future__ import annotations

from dataclasses import dataclass

from keystead_kit.ratelimit import RateLimiter, network_of
from keystead_kit.secrets import keyed_digest


@dataclass(frozen=True)
class Limits:
    """How often, as "<number>/<time>" (`limits` notation): "20/15 minutes"."""

    per_client: str
    per_email: str
    per_form: str
    confirm_per_client: str


class RedisAttempts:
    """`ports.Attempts`. Keys are keyed digests: Redis learns neither addresses nor clients."""

    def __init__(self, limiter: RateLimiter, limits: Limits, key: bytes) -> None:
        self._limiter, self._limits, self._key = limiter, limits, key

    def sign_in(self, client: str, email: str, form: str) -> int | None:
        """See the port. The narrowest limit that is used up answers; a refused attempt counts no further."""
        for limit, kind, who in (
            (self._limits.per_client, "client", network_of(client)),
            (self._limits.per_email, "email", email),
            (self._limits.per_form, "form", form),
        ):
            wait = self._hit(limit, f"sign-in-{kind}", who)
            if wait is not None:
                return wait
        return None

    def confirm(self, client: str) -> int | None:
        """See the port."""
        return self._hit(self._limits.confirm_per_client, "confirm-client", network_of(client))

    def _hit(self, limit: str, kind: str, who: str) -> int | None:
        return self._limiter.hit(limit, kind, keyed_digest(self._key, kind, who))
