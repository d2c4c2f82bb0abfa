"""What enroll refuses an administrator, or a program that works for one."""

from __future__ import annotations

from collections.abc import Mapping

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words


class ThingUnknown(Refusal):
    """There is no such thing, or it is outside of the asker's scope. Which is not said."""

    code = "not-found"
    default_advice = Words("Look for it in its list; what your role does not cover is not shown.")

    def __init__(self, kind: str) -> None:
        super().__init__(Words("There is no such {kind}.", kind=kind))


class NotAllowed(Refusal):
    """The asker may see it and not do this to it."""

    code = "forbidden"
    default_advice = Words("Ask an administrator whose role covers it.")


class InputRefused(Refusal):
    """What was sent has mistakes. `fields`: field name → what is wrong with it."""

    code = "malformed"
    default_advice = Words("Correct the marked fields and send it again.")
    fields: dict[str, str]

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(Words("Some fields need another look."))
        self.fields = dict(fields)


class StillInUse(Refusal):
    """It cannot be deleted, because other things refer to it."""

    code = "conflict"


class SearchInvalid(Refusal):
    """The search cannot be understood."""

    default_advice = Words("Correct the search.")


class CursorInvalid(Refusal):
    """The mark of a list's next page is none, or is of another order."""

    default_advice = Words("Begin again with the list's first page.")

    def __init__(self) -> None:
        super().__init__(Words("This is no mark of a next page in this list and order."))


class TokenRefused(Refusal):
    """The API token is missing, unknown, expired or revoked. Which is not said."""

    code = "unauthenticated"
    default_advice = Words("Send a valid token: Authorization: Bearer ksa_…; the console makes them under API tokens.")


class ConsoleClosed(Refusal):
    """Nobody is signed in to the console."""

    code = "session-expired"
    default_advice = Words("Sign in again.")


class KeyReused(Refusal):
    """An idempotency key came again with another request."""

    code = "conflict"
    default_advice = Words("Use a new Idempotency-Key for each new request.")
