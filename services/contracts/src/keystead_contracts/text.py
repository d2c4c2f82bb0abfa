"""Text that people will read. Imports no pydantic: what waits in an agent for days writes such text too."""

from __future__ import annotations

import unicodedata

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _shown(character: str) -> str:
    visible = character in "\t\n" or unicodedata.category(character) not in _INVISIBLE
    return character if visible else "\N{REPLACEMENT CHARACTER}"


def plain_text(text: str) -> str:
    """`text` with U+FFFD for what cannot be seen; see `base.PlainText`."""
    return "".join(map(_shown, text))
