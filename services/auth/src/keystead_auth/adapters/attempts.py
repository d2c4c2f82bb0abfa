"""Rate limits on signing in, counted in Redis.

Two limits refuse, and neither lets a stranger stop somebody else's sign-in:

- by client network, which an attacker uses up for himself (and for who shares his network);
- by mailbox, so that nobody's is flooded. Whoever uses up another person's has sent her that many links that work;
  what he sends to addresses with tags counts apart (`domain.email.counted_as`), and so costs her none of them.

A form has no limit that refuses: all its people share it, so a few networks could use it up and lock everybody out.
Beyond its number the log warns, once a minute, and the metrics count: somebody may be trying addresses there.

Passwords and Secret IDs have two limits as well: wrong ones by client network, and tries by whose secret it is. The
second counts each browser in which its owner signed in before by itself, and all others together: a stranger who uses
that up keeps the owner from new browsers alone.

Of sign-in links only wrong tokens count, since mail scanners open the right ones from one network for many people;
of identity providers' answers only refused ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from keystead_auth.domain.email import counted_as
from keystead_auth.metrics import BUSY_FORMS
from keystead_auth.ports import Guess
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
    secret_per_client: str
    secret_per_owner: str
    code_per_administrator: str


class RedisAttempts:
    """`ports.Attempts`. Keys are keyed digests: Redis learns neither addresses nor clients."""

    def __init__(self, limiter: RateLimiter, limits: Limits, key: bytes) -> None:
        self._limiter, self._limits, self._key = limiter, limits, key

    def sign_in(self, client: str, email: str, form: str) -> int | None:
        """See the port. A refused attempt counts against nobody."""
        wait = self._hit_all(
            (self._limits.per_client, "sign-in-client", network_of(client)),
            (self._limits.per_email, "sign-in-email", counted_as(email)),
        )
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

    def secret(self, guess: Guess) -> int | None:
        """See the port. Tries are counted before they are judged, so that many at once are no more than one by one;
        of a client only the wrong ones are, for many people may come from its network."""
        wait = self._limiter.check(self._limits.secret_per_client, *self._key_of(*_client_of(guess)))
        if wait is None:
            wait = self._hit(self._limits.secret_per_owner, *_owner_of(guess))
        if wait is None and guess.form and self._hit(self._limits.per_form, "secret-form", guess.form):
            self._warn(guess.form)
        return wait

    def secret_wrong(self, guess: Guess) -> None:
        """See the port."""
        self._hit(self._limits.secret_per_client, *_client_of(guess))

    def secret_right(self, guess: Guess) -> None:
        """See the port."""
        self._limiter.forget(self._limits.secret_per_owner, *self._key_of(*_owner_of(guess)))

    def code(self, administrator: str) -> int | None:
        """See the port."""
        return self._hit(self._limits.code_per_administrator, "code", administrator)

    def code_right(self, administrator: str) -> None:
        """See the port."""
        self._limiter.forget(self._limits.code_per_administrator, *self._key_of("code", administrator))

    def reset(self, client: str, email: str) -> int | None:
        """See the port."""
        return self._hit_all(
            (self._limits.per_client, "reset-client", network_of(client)),
            (self._limits.per_email, "reset-email", counted_as(email)),
        )

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
            _log.warning("more sign-ins begun than usual", form=form, limit=self._limits.per_form)

    def _hit_all(self, *limits: tuple[str, str, str]) -> int | None:
        """Counts against all of them, or, when one is used up, against none."""
        waits = [self._limiter.check(limit, *self._key_of(kind, who)) for limit, kind, who in limits]
        used_up = [wait for wait in waits if wait is not None]
        if used_up:
            return max(used_up)
        waits = [self._hit(*limit) for limit in limits]  # others may have come between
        return next((wait for wait in waits if wait is not None), None)

    def _hit(self, limit: str, kind: str, who: str) -> int | None:
        return self._limiter.hit(limit, *self._key_of(kind, who))

    def _key_of(self, kind: str, who: str) -> tuple[str, str]:
        return kind, keyed_digest(self._key, kind, who)


def _client_of(guess: Guess) -> tuple[str, str]:
    return f"secret-client-{guess.whose}", network_of(guess.client)


def _owner_of(guess: Guess) -> tuple[str, str]:
    return f"secret-{guess.whose}", f"{guess.email}\n{guess.browser or ''}"
