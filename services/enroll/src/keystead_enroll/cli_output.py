"""What the administrator's commands print: words for people, JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click
from cryptography.hazmat.primitives.hashes import SHA256

from keystead_enroll.adapters.builtin_ca import ISSUING_CERTIFICATE, ISSUING_KEY, ROOT_CERTIFICATE, ROOT_KEY
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.usecases.apply_declaration import Applied, Change
from keystead_enroll.usecases.create_ca import NewCa
from keystead_enroll.usecases.list_orders import OrderLine
from keystead_enroll.usecases.show_order import OrderDetails


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


def show_orders(orders: Sequence[OrderLine], limit: int, *, as_json: bool) -> None:
    """Requests, two lines each: the id to copy, then what it is about."""
    if as_json:
        click.echo(_json([asdict(order) for order in orders]))
        return
    for order in orders:
        click.echo(f"{order.id}  {_plain(order.state):<17}  {_when(order.created_at)}")
        _say(f"  {order.person} · {order.form} · {order.wanted} ({order.profile})", "    ")
    if not orders:
        click.echo("No requests.")
    elif len(orders) == limit:
        click.echo(f"These are the newest {limit}; --limit shows more.", err=True)


def show_details(order: OrderDetails, *, as_json: bool) -> None:
    """One request: its facts, then its history."""
    if as_json:
        click.echo(_json(asdict(order)))
        return
    facts = {
        "Request": order.id,
        "State": _plain(order.state),
        "Person": order.person,
        "Organization": order.organization,
        "Form": f"{order.form}, account {order.account}",
        "Profile": f"{order.profile} ({order.key_algorithm}, {order.term_days} days)",
        "Names": ", ".join(order.names),
        "Goes to": f"{order.machine} by {order.delivery}" if order.machine else f"a {order.delivery}",
        "Private key": order.assurance,
        "Certificate": f"{order.serial}, valid until {_when(order.not_after)}" if order.not_after else "",
        "Ended because": " ".join(order.failure.split()),
        "Advice given": order.advice,
        "Reference": order.reference,
    }
    for name, value in facts.items():
        if value:
            _say(f"{name + ':':<15}{value}", " " * 15)
    click.echo("History:")
    for step in order.history:
        note = f": {step.note}" if step.note else ""
        _say(f"  {_when(step.at)}  {_plain(step.state)}{note}", " " * 25)


def show_decision(done: str, order: Order, *, as_json: bool) -> None:
    """What became of a request."""
    if as_json:
        click.echo(_json({"id": order.id, "state": order.state, "person": order.person_email}))
        return
    _say(f"{done}: {order.wanted_name}, asked for by {order.person_email}. They get a letter.")


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
