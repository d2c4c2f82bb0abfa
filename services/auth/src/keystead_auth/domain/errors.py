"""Everything that auth refuses, one named exception each.

```
Refusal
├── FormUnknown, MethodNotOffered
├── EmailMalformed
├── TooManyAttempts
└── LinkInvalid         LinkUnknown, LinkUsed, LinkExpired
```
"""

from __future__ import annotations

from typing import ClassVar

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words


class FormUnknown(Refusal):
    """No enrollment form has this URI extension (any more)."""

    code = "not-found"
    default_detail = Words("There is no enrollment form at this address, or it was withdrawn.")
    default_advice = Words("Check that you have the whole address, or ask your organization for the current one.")


class MethodNotOffered(Refusal):
    """The enrollment form does not offer this way to sign in."""

    code = "forbidden"
    default_detail = Words("This enrollment form does not offer this way to sign in.")
    default_advice = Words("Open the form's address again and choose one of the ways it shows.")


class EmailMalformed(Refusal):
    """What was typed is not an e-mail address."""

    default_detail = Words("Enter an e-mail address, such as name@example.org.")


class TooManyAttempts(Refusal):
    """A rate limit is used up; it says nothing of whether an address is known."""

    code = "rate-limited"
    default_detail = Words("There were too many attempts in a short time.")

    def __init__(self, retry_after: int) -> None:
        """`retry_after`: seconds until another attempt makes sense."""
        minutes = max(1, -(-retry_after // 60))
        super().__init__(
            advice=Words.plural("Wait {n} minute, then try again.", "Wait {n} minutes, then try again.", minutes)
        )
        self.retry_after = retry_after


class LinkInvalid(Refusal):
    """A sign-in link that signs nobody in. `form` is the form's URI extension, None where the link is unknown."""

    code = "link-invalid"
    reason: ClassVar[str]
    default_advice = Words("Ask for a new link.")

    def __init__(self, form: str | None = None) -> None:
        super().__init__()
        self.form = form


class LinkUnknown(LinkInvalid):
    """No link has this token."""

    reason = "unknown"
    default_detail = Words("This link does not work.")


class LinkUsed(LinkInvalid):
    """The link was used already."""

    reason = "used"
    default_detail = Words("This link was already used.")


class LinkExpired(LinkInvalid):
    """The link's time is over."""

    reason = "expired"
    default_detail = Words("This link has expired.")
