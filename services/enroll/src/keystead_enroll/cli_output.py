"""What the administrator's commands print: words for people, JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from datetime import datetime
from pathlib import Path

import click
from cryptography.hazmat.primitives.hashes import SHA256

from keystead_enroll.adapters.builtin_ca import ISSUING_CERTIFICATE, ISSUING_KEY, ROOT_CERTIFICATE, ROOT_KEY
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.usecases.apply.work import Applied, Change
from keystead_enroll.usecases.create_ca import NewCa


def show_error(detail: str, advice: str) -> None:
    """`error:` and `hint:` lines on stderr."""
    _say(f"error: {detail}", err=True)
    if advice:
        _say(f"hint: {advice}", err=True)


def show_mistakes(file: str, refusal: DeclarationInvalid) -> None:
    """Every mistake of a set-up file on stderr, a line each where nobody reads along."""
    count = len(refusal.mistakes)
    if count == 1 and not refusal.mistakes[0].line:
        show_error(f"{file}: {refusal.mistakes[0]}", refusal.advice)
        return
    click.echo(f"error: {file} has {count} mistake{'s' if count != 1 else ''}:", err=True)
    for mistake in refusal.mistakes:
        _say(f"  {mistake}", "    ", err=True)
    _say(f"hint: {refusal.advice}", err=True)


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
        _say(f"{done.change.value:<10} {done.thing}{fields}", " " * 11)
    counts = ", ".join(f"{count} {change}" for change, count in applied.counts.items() if count)
    click.echo(f"{'Would be' if check else 'Done'}: {counts}." + (" Nothing was changed." if check else ""))
    if check:
        return
    width = max((len(name) for name in addresses), default=0)
    for name, address in addresses.items():
        click.echo(f"  {name:<{width}}  {address}")


def show_ca(
    ca: NewCa, folder: Path, root_folder: Path, *, root_encrypted: bool, issuing_encrypted: bool, as_json: bool
) -> None:
    """Where the new CA's files are, its fingerprints, and what to do with the root's key now."""
    root_key = root_folder / ROOT_KEY
    root_sha256, issuing_sha256 = (each.fingerprint(SHA256()).hex() for each in (ca.root, ca.issuing))
    if as_json:
        fields = {
            "folder": str(folder),
            "root_key": str(root_key),
            "root_key_encrypted": root_encrypted,
            "issuing_key_encrypted": issuing_encrypted,
            "root_sha256": root_sha256,
            "issuing_sha256": issuing_sha256,
        }
        click.echo(json.dumps(fields, ensure_ascii=False))
        return
    for name, certificate, sha256, key, encrypted in (
        ("Root", ca.root, root_sha256, root_key, root_encrypted),
        ("Issuing CA", ca.issuing, issuing_sha256, folder / ISSUING_KEY, issuing_encrypted),
    ):
        click.echo(f"{name}: {certificate.subject.rfc4514_string()}")
        click.echo(f"  SHA-256      {sha256}")
        click.echo(f"  valid until  {certificate.not_valid_after_utc:%Y-%m-%d}")
        click.echo(f"  certificate  {folder / (ROOT_CERTIFICATE if certificate is ca.root else ISSUING_CERTIFICATE)}")
        click.echo(f"  private key  {key}{', encrypted' if encrypted else ', NOT encrypted'}")
    click.echo()
    _say(
        f"Now take the root's key offline: move {root_key}, and its passphrase apart from it, to media that you "
        "lock away, and delete both here. It is not needed again until it signs the next issuing CA.",
        "",
    )
    if not root_encrypted:
        _say("warning: whoever can read the root's key can make certificates in your name.", err=True)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda moment: moment.isoformat())


def _plain(state: OrderState) -> str:
    return state.value.replace("_", " ")


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _say(text: str, indent: str = "      ", *, err: bool = False) -> None:
    """Prints `text` as wide as the terminal, or in one line where the output is no terminal. Addresses and paths stay
    whole."""
    if (sys.stderr if err else sys.stdout).isatty():
        width = max(40, min(shutil.get_terminal_size((80, 24)).columns, 120))
        text = textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    click.echo(text, err=err)
