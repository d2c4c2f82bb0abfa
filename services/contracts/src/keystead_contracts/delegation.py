"""Which e-mail addresses an organization's domains stand for: one rule for who sends the link and who lets in."""

from __future__ import annotations

from collections.abc import Iterable


def email_is_delegated(address: str, domains: Iterable[str]) -> bool:
    """Whether the address's domain is one of `domains`, whatever the case; `*.example.org` stands for every
    domain below `example.org`, not for itself."""
    domain = address.rpartition("@")[2].lower()
    for listed in domains:
        wanted = listed.strip().lower().rstrip(".")
        if wanted.startswith("*.") and len(wanted) > 2:
            if domain.endswith(wanted[1:]):
                return True
        elif wanted and domain == wanted:
            return True
    return False
