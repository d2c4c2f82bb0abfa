"""Rate limits on signing in, counted in Redis.

Two limits refuse, and neither lets a stranger stop somebody else's sign-in:

- by client network, which an attacker uses up for himself (and for who shares his network);
- by mailbox, so that nobody's is flooded. Whoever uses up another person's has sent her that many links that work;
  what he sends to addresses with tags counts apart (`domain.email.counted_as`), and so costs her none of them.

A form has no limit that refuses: all its people share it, so a few networks could use it up and lock everybody out.
Beyond its number the log warns, once a minute, and the metrics count: somebody may be trying addresses there.

Of sign-in links only wrong tokens count, since mail scanners open the right ones from one network for many people;
of identity providers' answers only refused ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from keystead_auth.domain.email import counted_as
from keystead_auth.metrics import BUSY_FORMS
from keystead_kit.logs import get_logger
from keystead_kit.ratelimit import RateLimiter, network_of
from keystead_kit.secrets import keyed_digest

WARN_AT_MOST = "1/minute"
_log = get_logger()


@dataclass(frozen=True)
class Limits:
    """How often, as "<number>/<time>" (`limits` notation): "20/15 minutes". `per_form` warns, the others refuse."""

    per_client: str
    per_email: str
    per_form: str
    confirm_per_client: str
    idp_per_client: str


class RedisAttempts:
    """`ports.Attempts`. Keys are keyed digests: Redis learns neither addresses nor clients."""

    def __init__(self, limiter: RateLimiter, limits: Limits, key: bytes) -> None:
        self._limiter, self._limits, self._key = limiter, limits, key

    def sign_in(self, client: str, email: str, form: str) -> int | None:
        """See the port. The narrowest limit that is used up answers; a refused attempt counts no further."""
        for limit, kind, who in (
            (self._limits.per_client, "client", network_of(client)),
            (self._limits.per_email, "email", counted_as(email)),
        ):
            wait = self._hit(limit, f"sign-in-{kind}", who)
            if wait is not None:
                return wait
        if self._hit(self._limits.per_form, "sign-in-form", form) is not None:
            self._warn(form)
        return None

    def confirm(self, client: str) -> int | None:
        """See the port."""
        return self._limiter.check(self._limits.confirm_per_client, *self._key_of("confirm-client", network_of(client)))

    def guessed(self, client: str) -> None:
        """See the port."""
        self._hit(self._limits.confirm_per_client, "confirm-client", network_of(client))

    def idp_begin(self, client: str) -> int | None:
        """See the port."""
        return self._hit(self._limits.idp_per_client, "idp-begin", network_of(client))

    def idp_answer(self, client: str) -> int | None:
        """See the port."""
        return self._limiter.check(self._limits.idp_per_client, *self._key_of("idp-refused", network_of(client)))

    def idp_refused(self, client: str) -> None:
        """See the port."""
        self._hit(self._limits.idp_per_client, "idp-refused", network_of(client))

    def _warn(self, form: str) -> None:
        BUSY_FORMS.inc()
        if self._hit(WARN_AT_MOST, "busy-form", form) is None:
            _log.warning("more sign-in links asked for than usual", form=form, limit=self._limits.per_form)

    def _hit(self, limit: str, kind: str, who: str) -> int | None:
        return self._limiter.hit(limit, *self._key_of(kind, who))

    def _key_of(self, kind: str, who: str) -> tuple[str, str]:
        return kind, keyed_digest(self._key, kind, who)
