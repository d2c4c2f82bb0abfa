"""An administrator's pattern for device names means what it means to Python, and is never slow."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead_enroll.domain.device_name_pattern import DeviceNamePattern
from keystead_enroll.domain.errors import TemplateInvalid

PATTERNS = [
    "[a-z0-9.-]+",
    "^lap-[0-9]{3}$",
    "(lap|desk)(-[a-z]+)*",
    "(?:a|b|)c?",
    "a{2,}b{1,2}?",
    r"\w+\.example\.org",
    r"[^a-c\d]-\d*",
    "[]a]+",
    "[a-]b",
    "(a*)*b",
    "(a?){3}",
    ".a.|$",
    "",
]
NAMES = st.one_of(st.text("abcABC019-.]_", max_size=8), st.sampled_from(["lap-042", "DESK-a-b", "x.example.org", "a]"]))


@pytest.mark.parametrize("pattern", PATTERNS)
@given(name=NAMES)
def test_a_pattern_means_what_it_means_to_python(pattern: str, name: str) -> None:
    expected = re.fullmatch(pattern, name, re.IGNORECASE) is not None
    assert DeviceNamePattern.parse(pattern).matches(name) is expected


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "a*a*a*a*a*a*a*a*b", "(a{0,30}){0,30}b"])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    assert not DeviceNamePattern.parse(pattern).matches("a" * 253)


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "(a", "[a", "a**", "*a", "a{3,2}", "[z-a]", "\\", r"\1", "(?=a)",
     "a" * 501, "((a{0,99}){0,99}){0,99}"],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_the_reason(pattern: str) -> None:
    with pytest.raises(TemplateInvalid) as refused:
        DeviceNamePattern.parse(pattern)
    assert "the pattern is not a regular expression" in refused.value.detail


def test_no_device_has_a_longer_name_than_a_host() -> None:
    pattern = DeviceNamePattern.parse("a+")
    assert pattern.matches("a" * 253) and not pattern.matches("a" * 254)
