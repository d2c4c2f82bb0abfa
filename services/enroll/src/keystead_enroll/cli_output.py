"""What the administrator's commands print: words for people, JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap

import click

from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.usecases.apply_declaration import Applied, Change


def show_error(detail: str, advice: str) -> None:
    """`error:` and `hint:` lines on stderr."""
    click.echo(_wrapped(f"error: {detail}"), err=True)
    if advice:
        click.echo(_wrapped(f"hint: {advice}"), err=True)


def show_mistakes(file: str, refusal: DeclarationInvalid) -> None:
    """Every mistake of a set-up file on stderr, a line each where nobody reads along."""
    count = len(refusal.mistakes)
    if count == 1 and not refusal.mistakes[0].line:
        show_error(f"{file}: {refusal.mistakes[0]}", refusal.advice)
        return
    click.echo(f"error: {file} has {count} mistake{'s' if count != 1 else ''}:", err=True)
    for mistake in refusal.mistakes:
        click.echo(_wrapped(f"  {mistake}", "    "), err=True)
    click.echo(_wrapped(f"hint: {refusal.advice}"), err=True)


def show_applied(applied: Applied, origin: str, *, check: bool, as_json: bool) -> None:
    """What `apply` did, or with `check` would do, and the addresses of the declared forms."""
    addresses = {name: f"{origin}/e/{uri}" for name, uri in applied.forms.items()}
    changes = [done for done in applied.done if done.change is not Change.UNCHANGED]
    if as_json:
        listed = [{"change": d.change.value, "what": d.thing, "fields": list(d.fields)} for d in changes]
        known = {} if check else {"forms": addresses}
        click.echo(json.dumps({"check": check, **known, **applied.counts, "changes": listed}, ensure_ascii=False))
        return
    for done in changes:
        fields = f": {', '.join(done.fields)}" if done.fields else ""
        click.echo(_wrapped(f"{done.change.value:<10} {done.thing}{fields}", " " * 11))
    counts = ", ".join(f"{count} {change}" for change, count in applied.counts.items() if count)
    click.echo(f"{'Would be' if check else 'Done'}: {counts}." + (" Nothing was changed." if check else ""))
    if check:
        return
    width = max((len(name) for name in addresses), default=0)
    for name, address in addresses.items():
        click.echo(f"  {name:<{width}}  {address}")


def _wrapped(text: str, indent: str = "      ") -> str:
    """`text` as wide as the terminal; one line where the output is no terminal. Addresses and paths stay whole."""
    if not sys.stderr.isatty():
        return text
    width = max(40, min(shutil.get_terminal_size((80, 24)).columns, 120))
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
