"""What auth refuses of administrators, and of persons with a Secret ID.

```
Refusal
├── CredentialsWrong, SecretIdWrong, CodeWrong
├── NotSignedIn, HalfSessionOver, AdministratorUnknown
├── PasswordUnfit
└── InvitationInvalid   InvitationUnknown, InvitationUsed, InvitationExpired
```
"""

from __future__ import annotations

from typing import ClassVar

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words


class CredentialsWrong(Refusal):
    """No administrator has this address and this password; which of the two is wrong, nobody learns."""

    default_detail = Words("The e-mail address or the password is not right.")


class SecretIdWrong(Refusal):
    """No Person of the form's organizations has this address and this Secret ID."""

    default_detail = Words("The e-mail address or the Secret ID is not right. Capital and small letters differ.")


class CodeWrong(Refusal):
    """The one-time code or recovery code is wrong, too old, or was used."""

    default_detail = Words("This code is not right, or it was used already. Type the one that your app shows now.")


class NotSignedIn(Refusal):
    """The page is for signed-in administrators."""

    code = "unauthenticated"
    default_detail = Words("You are not signed in to the console any more.")
    default_advice = Words("Sign in again.")


class HalfSessionOver(NotSignedIn):
    """The password was given too long ago, or its step is done."""

    default_detail = Words("That took too long, or it is done already.")


class AdministratorUnknown(Refusal):
    """No administrator may sign in like this with this address."""

    code = "forbidden"
    default_detail = Words("Nobody with your e-mail address may sign in to the console in this way.")
    default_advice = Words("Ask the administrator who invited you.")


class PasswordUnfit(Refusal):
    """The new password is easily guessed."""


class InvitationInvalid(Refusal):
    """A link that sets no password."""

    code = "link-invalid"
    reason: ClassVar[str]
    default_advice = Words("Ask for a new link: open the console and choose “Forgot your password?”.")


class InvitationUnknown(InvitationInvalid):
    """No link has this token, or its administrator needs no password any more."""

    reason = "unknown"
    default_detail = Words("This link does not work. It may have been cut off on its way to you.")


class InvitationUsed(InvitationInvalid):
    """The link was used already."""

    reason = "used"
    default_detail = Words("This link was already used. A link sets a password once.")


class InvitationExpired(InvitationInvalid):
    """The link's time is over."""

    reason = "expired"
    default_detail = Words("This link has expired.")
