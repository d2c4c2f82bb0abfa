"""How sending a letter can fail, one named exception each.

```
Refusal
├── LetterRefused       for good: the mail server will never take this letter
├── LetterPostponed     this letter not now
└── MailServerAway      no letter now
```
"""

from __future__ import annotations


class Refusal(Exception):
    """Something that was not done. `detail` says why, for the operator."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class LetterRefused(Refusal):
    """The mail server refused the recipient or the letter for good; `code` is its reply code (RFC 5321 section 4.2)."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class LetterPostponed(Refusal):
    """The mail server did not take this letter now; another one it may."""


class MailServerAway(Refusal):
    """The mail server cannot be reached, or the connection to it is over."""
