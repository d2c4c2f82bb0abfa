"""What a browser calls itself, in words that people know: nothing of what it sends is shown as it is."""

from __future__ import annotations

from keystead_contracts.words import Words

LONGEST_USER_AGENT = 256
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Windows", "Windows"), ("iPhone", "iOS"), ("iPad", "iPadOS"), ("Android", "Android"), ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip
"""What stands in a User-Agent (RFC 9110, section 10.1.5), and the name; the first that is there counts."""


def browser_words(user_agent: str) -> str:
    """Such as "Firefox on Windows"."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    if browser and system:
        return Words("{browser} on {system}", browser=browser, system=system)
    return browser or (Words("A browser on {system}", system=system) if system else Words("A browser"))
