"""`keystead form try`: what somebody would meet at a form, as the console's test run says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from keystead_enroll.remote.commands import EXIT_FAILED, advised, connect, ids_of, thing_path
from keystead_enroll.remote.fields import pair
from keystead_enroll.remote.nouns import NOUNS
from keystead_enroll.remote.output import plain, show_json

METHODS = ("email", "idp", "secret_id")


@click.command("try")
@click.argument("which", metavar="NAME|ID")
@click.option("--organization", "place", help="Whose it is, if several have one of that name.")
@click.option("--email", required=True, help="Who comes.")
@click.option("--method", type=click.Choice(METHODS), default="email", show_default=True, help="How they sign in.")
@click.option("--name", help="What they are called.")
@click.option("--identity-provider", help="Name or id of the one that they sign in through.")
@click.option("--attribute", "said", multiple=True, metavar="NAME=VALUE", help="What it says of them.")
@click.option("--device-name", default="", help="What they type into a request for a device.")
@click.option("--serial-number", default="", help="The same.")
@click.option("--dns-name", "dns_names", multiple=True, help="What they type into a request for a server.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@advised
def form_try(
    which: str,
    place: str | None,
    email: str,
    method: str,
    name: str | None,
    identity_provider: str | None,
    said: Sequence[str],
    device_name: str,
    serial_number: str,
    dns_names: Sequence[str],
    as_json: bool,
) -> None:
    """Say what somebody would meet at a form. Nothing is stored; exit 1 if no certificate would come of it.

    \b
    Example:
      keystead form try 'Staff certificates' --email ada@example.org
    """
    remote = connect()
    attributes: dict[str, list[str]] = {}
    for key, value in map(pair, said):
        attributes.setdefault(key.strip().lower(), []).append(value.strip())
    body = {
        "method": method,
        "email": email,
        "name": name,
        "identity_provider_id": ids_of(remote, "identity_provider_id", identity_provider),
        "attributes": attributes,
        "device_name": device_name,
        "serial_number": serial_number,
        "dns_names": "\n".join(dns_names),
    }
    form = next(noun for noun in NOUNS if noun.name == "form")
    trial = remote.call("POST", f"{thing_path(remote, form, which, place)}/trial", json=body)
    if as_json:
        show_json(trial)
    else:
        for line in _told(email, trial):
            click.echo(plain(line))
    if not any(comes_through(trial)):
        raise SystemExit(EXIT_FAILED)


def comes_through(trial: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The certificate profiles of a trial for which a request would be taken."""
    if trial["active"]:
        for account in trial["accounts"]:
            if not account["closed"] and not account["full"]:
                yield from (profile for profile in account["profiles"] if not profile["mistakes"])


def _told(email: str, trial: Mapping[str, Any]) -> Iterator[str]:
    if not trial["active"]:
        yield "The form is withdrawn: its address leads nowhere."
    if trial["refused"]:
        yield f"{email} gets no further. The form says: {trial['refused']}"
    yield f"ways to sign in  {plain(trial['methods'])}"
    if trial["identity_providers"]:
        yield f"through          {plain(trial['identity_providers'])}"
    if trial["licence_version"]:
        yield f"licence terms    version {trial['licence_version']}"
    for account in sorted(trial["accounts"], key=lambda account: bool(account["closed"])):
        yield from _account(account)
    if trial["unseen_accounts"]:
        yield f"Accounts of this form that are not yours to see, left out: {trial['unseen_accounts']}."


def _account(account: Mapping[str, Any]) -> Iterator[str]:
    about = f"account “{account['name']}” of {account['place']}"
    if account["closed"]:
        yield f"{about}: not open. {account['closed']}"
        return
    approval = "approved at once" if account["automatic_approval"] else "waits for approval"
    asked = {"none": "nothing more", "access_code": "access code", "idp_mapping": "identity provider mapping"}
    yield f"{about}: open; asks for {asked[account['authorization']]}; {approval}"
    if account["full"]:
        yield "  refused   They have as many requests under way as one may."
    for profile in account["profiles"]:
        yield f"  {profile['name']}: {plain(profile['key_algorithms'])}; {plain(profile['term_days'])} days"
        if profile["subject"] is not None:
            yield f"    subject  {profile['subject']}"
            yield f"    names    {plain(profile['alternative_names'])}"
        for field, why in profile["mistakes"].items():
            yield f"    refused  {field.replace('_', ' ')}: {why}"
