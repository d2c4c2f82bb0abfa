"""Reading a `keystead://` link. Any page and any program can open one: whatever is odd about it refuses it whole."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from keystead_agent.errors import LinkMalformed, PolicyRefused
from keystead_agent.settings import NotEncrypted, origin_of
from keystead_contracts.agent import EnrollLink

LONGEST_LINK = 2048
"""Characters; those that the server makes have about 150."""
MOST_PARAMETERS = 16
_PLAIN = re.compile(r"[A-Za-z0-9._~:/?&=%\[\]+-]+")
_ENCODED_CONTROL = re.compile(r"%([01][0-9a-f]|7f)", re.IGNORECASE)
_CLAIM = re.compile(r"[A-Za-z0-9_-]{16,128}")


def read_link(text: str) -> EnrollLink:
    """The link in `text`, its server a plain origin in A-labels. Raises LinkMalformed; PolicyRefused if the link's
    server would be talked to unencrypted."""
    try:
        _require_plain(text.strip())
        link = EnrollLink.parse(text)
        if not _CLAIM.fullmatch(link.claim):
            raise ValueError("the link's claim is not one that a server makes")
        return link.model_copy(update={"server": origin_of(link.server)})
    except NotEncrypted as error:
        raise PolicyRefused(
            f"the link cannot be used: {error}",
            "Nothing was sent. Ask whoever runs the server for a page with an https address.",
        ) from error
    except ValueError as error:
        raise LinkMalformed(
            f"the link cannot be used: {error}",
            "Copy the whole link from the enrollment page, in quotes: keystead-agent enroll 'keystead://enroll?…'",
        ) from error


def _require_plain(text: str) -> None:
    """Raises ValueError unless `text` is spelled as a server spells links: each parameter once, and no character that
    a shell, a terminal or another parser of addresses could take for something else."""
    if len(text) > LONGEST_LINK:
        raise ValueError(f"the link is longer than {LONGEST_LINK} characters")
    if not _PLAIN.fullmatch(text) or _ENCODED_CONTROL.search(text):
        raise ValueError("the link has characters that do not belong there")
    parts = urlsplit(text)
    if parts.path not in ("", "/"):
        raise ValueError("the link has a path")
    try:
        query = parse_qsl(
            parts.query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError as error:
        raise ValueError("the link's parameters are not spelled as they should be") from error
    names = [name for name, _ in query]
    if len(names) != len(set(names)):
        raise ValueError("the link says something twice")
