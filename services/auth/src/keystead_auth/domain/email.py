"""E-mail addresses: what is one, how it is compared, how it is shown."""

from __future__ import annotations

import re

from keystead_auth.domain.errors import EmailMalformed
from keystead_contracts.words import Words

LONGEST = 254
"""Octets of an address (RFC 5321 section 4.5.3.1.3, less the angle brackets)."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(rf"[a-z0-9!#$%&'*+/=?^_`{{|}}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@{_LABEL}(?:\.{_LABEL})*")


def normalize(typed: str) -> str:
    """The address as it is stored and compared: without surrounding space, lower case.

    A dot-atom before the `@` (RFC 5321 section 4.1.2; no quoted strings) and host name labels behind it.
    Raises EmailMalformed.
    """
    address = typed.strip().lower()
    if not address:
        raise EmailMalformed(Words("Enter your e-mail address."))
    local = address.partition("@")[0]
    if len(address) > LONGEST or len(local) > 64 or not address.isascii() or not _ADDRESS.fullmatch(address):
        raise EmailMalformed
    return address


def mask(address: str) -> str:
    """The address as a page shows it to whoever typed it: "a…@example.org"."""
    local, _, domain = address.partition("@")
    return f"{local[:1]}…@{domain}"


def counted_as(address: str) -> str:
    """What a limit on letters counts an address as.

    Whoever reads `ada@d` reads every `ada+tag@d` as well (subaddressing, RFC 5233), so all of these count as one,
    `ada+@d`. The plain address counts for itself: made-up tags do not use up what its owner needs to sign in.
    """
    local, _, domain = address.rpartition("@")
    plain, plus, _tag = local.partition("+")
    return f"{plain}{plus}@{domain}".lower()
