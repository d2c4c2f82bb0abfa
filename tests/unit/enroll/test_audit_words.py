"""The audit log's codes have words."""

from __future__ import annotations

import re
from pathlib import Path

import keystead_enroll
from keystead_enroll.web.console.audit_words import ACTIONS

SOURCE = Path(keystead_enroll.__file__).parent
NOTED = re.compile(r'\b(?:note\(\s*tx,|audit_line\()[^"]{0,120}?"([a-z_-]+\.[a-z_-]+)"', re.DOTALL)
MADE_ELSEWHERE = {"request.approve", "request.reject"}
"""Chosen before the line is written."""


def test_every_deed_that_the_log_holds_has_words_and_no_other() -> None:
    noted = {code for path in SOURCE.rglob("*.py") for code in NOTED.findall(path.read_text(encoding="utf-8"))}
    assert len(noted) > 30
    assert noted | MADE_ELSEWHERE == set(ACTIONS)
