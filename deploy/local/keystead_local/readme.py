"""`python -m keystead_local.readme`: does everything that README.md tells people to type exist? Exits 1 if not.

Looked at: `make` targets, the commands of the product with their subcommands and options, and relative links.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

from keystead_local.chores import COMMANDS

ROOT = Path(__file__).parents[3]
_FENCE = re.compile(r"^```(?:sh|bash|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
_GROUPS = {**COMMANDS, "keystead-agent": ("keystead_agent.cli", "main")}


def main() -> None:
    """Checks README.md."""
    text = (ROOT / "README.md").read_text()
    problems = [*_dead_links(text), *(problem for line in _typed(text) for problem in _wrong(line))]
    for problem in problems:
        print(f"README.md: {problem}", file=sys.stderr)
    sys.exit(bool(problems))


def _dead_links(text: str) -> Iterator[str]:
    for link in _LINK.findall(text):
        if not (ROOT / link).exists():
            yield f"the link to {link} leads nowhere"


def _typed(text: str) -> Iterator[str]:
    for block in _FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.removeprefix("$ ").strip()
    yield from re.findall(r"`((?:make|keystead(?:-\w+)?) [a-z][^`]*)`", text)


def _wrong(line: str) -> Iterator[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[0] == "sudo"):
        words = words[1:]
    if not words:
        return
    if words[0] == "make":
        known = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        for word in words[1:]:
            if re.fullmatch(r"[a-z][a-z0-9-]*", word) and word not in known:
                yield f"there is no `make {word}`"
    name = words[0].rsplit("/", 1)[-1]
    if name in _GROUPS:
        yield from _wrong_command(name, words[1:])


def _wrong_command(name: str, words: list[str]) -> Iterator[str]:
    module, attribute = _GROUPS[name]
    command: click.Command = getattr(import_module(module), attribute)
    shown = name
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            yield f"there is no `{shown} {words[0]}`"
            return
        shown, command, words = f"{shown} {words[0]}", found, words[1:]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        option = word.split("=", 1)[0]
        if option.startswith("--") and option not in options | {"--help", "--version"}:
            yield f"`{shown}` has no {option}"


if __name__ == "__main__":
    main()
