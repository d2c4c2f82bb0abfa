"""What the commands print: tables as wide as the terminal, facts, JSON; plain lines where nobody reads along."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

LEAST_WIDTH, USUAL_WIDTH = 8, 100
TAKEN_ALONG = frozenset({"id", "url", "serial", "form_id"})
"""What people copy: never cut off, but on a line of its own where the terminal is too narrow."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def show_json(value: object) -> None:
    """JSON for programs."""
    click.echo(json.dumps(value, ensure_ascii=False))


def show_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
    """A table with `columns` (`progress.done`: a part of a part), two lines a row where one is too long; where the
    output is no terminal, lines with tabs
    and no heading."""
    cells = [[plain(_at(row, column)) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in cells:
            click.echo("\t".join(cell.replace("\t", " ") for cell in line))
        return
    if not cells:
        click.echo(empty)
        return
    lines = [[column.rpartition(".")[2].replace("_", " ").upper() for column in columns], *cells]
    below: list[int] = []
    if sum(_natural(lines)) + 2 * (len(columns) - 1) > _room():
        below = [number for number, column in enumerate(columns) if column in TAKEN_ALONG and number > 0]
    beside = [number for number in range(len(columns)) if number not in below]
    widths = _widths([[line[number] for number in beside] for line in lines])
    for row, line in enumerate(lines):
        text = "  ".join(_cut(line[n], w).ljust(w) for n, w in zip(beside, widths, strict=True)).rstrip()
        click.secho(text, bold=row == 0)
        under = "  ".join(line[number] for number in below if line[number])
        if under:
            click.secho(f"    {under}", dim=True)


def _at(row: Mapping[str, Any], column: str) -> Any:
    name, _, rest = column.partition(".")
    return _at(row.get(name) or {}, rest) if rest else row.get(name)


def show_facts(thing: Mapping[str, Any]) -> None:
    """One thing, a line a field; what is empty is left out."""
    told = {name.replace("_", " "): plain(value) for name, value in thing.items()}
    width = max((len(name) for name, text in told.items() if text), default=0)
    for name, text in told.items():
        if text:
            first, *rest = text.splitlines()
            click.echo(f"{name:<{width}}  {first}")
            for line in rest:
                click.echo(f"{'':<{width}}  {line}")


def plain(value: Any) -> str:
    """A JSON value for people: times to the minute in UTC, yes and no, lists with commas, objects a line each."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        if any(isinstance(item, dict) for item in value):
            return "\n".join(plain(item) for item in value)
        return ", ".join(plain(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {text}" for name, item in value.items() if (text := plain(item)))
    text = clean(str(value))
    if _MOMENT.fullmatch(text):
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return text


def clean(text: str) -> str:
    """`text` without what would steer a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _room() -> int:
    return shutil.get_terminal_size((USUAL_WIDTH, 24)).columns


def _natural(lines: Iterable[Sequence[str]]) -> list[int]:
    """As wide as the widest cell of each column."""
    return [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]


def _widths(lines: Iterable[Sequence[str]]) -> list[int]:
    """As wide as the widest cell each; together as wide as the terminal, taken from the widest ones."""
    widths = _natural(lines)
    room = _room() - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > LEAST_WIDTH:
        widths[widths.index(max(widths))] -= 1
    return widths


def _cut(text: str, width: int) -> str:
    line = text.replace("\n", " ")
    return line if len(line) <= width else f"{line[: width - 1]}…"
