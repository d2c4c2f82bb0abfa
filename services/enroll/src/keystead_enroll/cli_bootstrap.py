"""`keystead bootstrap`: the way in for the first administrator and the first program, on the server itself."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from typing import Any

import click

from keystead_contracts.people import AdministratorMethod
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.cli_refusals import named_as_given, refuse
from keystead_enroll.domain.administration import Actor, Role, local_actor
from keystead_enroll.domain.administration_refusals import InputRefused, ThingUnknown
from keystead_enroll.domain.inputs import TokenInput
from keystead_enroll.domain.people_inputs import AdministratorInput
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.administrators import create_administrator
from keystead_enroll.usecases.admin.checked import checked
from keystead_enroll.usecases.admin.tokens import create_token_for

Command = Callable[..., None]
_ARGUMENTS = {"email": "EMAIL", "name": "--name", "methods": "--method", "days": "--days"}


def add_commands(
    bootstrap: click.Group, advises: Callable[[Command], Command], enroll: Callable[[str], Enroll]
) -> None:
    """Adds the commands to `bootstrap`."""

    @bootstrap.command("administrator")
    @click.argument("email")
    @click.option("--name", required=True, help="What they are called.")
    @click.option("--role", type=click.Choice([role.value for role in Role]), default="mrao", show_default=True)
    @click.option("--organization", metavar="NAME", help="Where they are RAO or DRAO.")
    @click.option("--department", metavar="NAME", help="Where they are DRAO.")
    @click.option(
        "--method",
        "methods",
        multiple=True,
        type=click.Choice([method.value for method in AdministratorMethod]),
        default=["password"],
        show_default=True,
        help="How they sign in; may be given twice.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @advises
    def administrator_create(
        email: str,
        name: str,
        role: str,
        organization: str | None,
        department: str | None,
        methods: tuple[str, ...],
        as_json: bool,
    ) -> None:
        """Make an administrator. One who signs in with a password gets a letter with which to choose it.

        \b
        Examples:
          keystead bootstrap administrator grace@example.org --name "Grace Hopper"
          keystead bootstrap administrator ada@example.org --name "Ada Lovelace" \\
            --role rao --organization "Example Hospital"
        """
        said = {"email": email, "name": name, "methods": list(dict.fromkeys(methods))}
        refuse(_argument_mistakes(said) | _place_mistakes(Role(role), organization, department))
        joined = enroll("cli")
        with joined.transactions.read() as tx:
            grant = _grant(tx, role, organization, department)
        with named_as_given(_ARGUMENTS):
            wanted = checked(AdministratorInput, said | {"grants": [grant]})
            made = create_administrator(joined.transactions, joined.clock, operator(), wanted)
        console = f"{joined.settings.public_origin}/console"
        if as_json:
            click.echo(json.dumps({"id": made, "email": wanted.email, "console": console}))
            return
        click.echo(f"Made administrator {wanted.name} <{wanted.email}>, id {made}.")
        if AdministratorMethod.PASSWORD in wanted.methods:
            click.echo(
                f"Now they get a letter with a link to choose a password, as soon as the workers run; then {console}"
            )
        else:
            click.echo(f"Now they sign in through an identity provider for administrators at {console}")

    @bootstrap.command("token")
    @click.option(
        "--administrator", "email", required=True, metavar="EMAIL", help="Whose it is: it may do what they may."
    )
    @click.option("--name", required=True, help="What it is for.")
    @click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True, help="How long it works.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @advises
    def token_create(email: str, name: str, days: int, as_json: bool) -> None:
        """Make an API token and print it, this once.

        Example: keystead bootstrap token --administrator grace@example.org --name "night job" --days 30
        """
        with named_as_given(_ARGUMENTS):
            wanted = checked(TokenInput, {"name": name, "days": days})
        joined = enroll("cli")
        try:
            made = create_token_for(joined.transactions, joined.clock, operator(), email, wanted)
        except ThingUnknown as unknown:
            raise InputRefused({"--administrator": f"There is no administrator “{email}”."}) from unknown
        if as_json:
            click.echo(json.dumps({"id": made.id, "token": made.secret}))
            return
        click.echo(made.secret)
        click.echo(
            "Keep it like a password: it is not shown again. `Authorization: Bearer …` is how it is sent.", err=True
        )


def operator() -> Actor:
    """Whoever runs the command on this server; the audit log names their account."""
    try:
        return local_actor(getpass.getuser())
    except (KeyError, OSError):
        return local_actor("operator")


def _argument_mistakes(said: dict[str, Any]) -> dict[str, str]:
    """What is wrong with an administrator, whatever their role: argument → sentence."""
    try:
        with named_as_given(_ARGUMENTS):
            checked(AdministratorInput, said | {"grants": [{"role": Role.MRAO}]})
    except InputRefused as refusal:
        return dict(refusal.fields)
    return {}


def _place_mistakes(role: Role, organization: str | None, department: str | None) -> dict[str, str]:
    """What of the place does not go with the role: argument → sentence."""
    given = {"--organization": organization is not None, "--department": department is not None}
    wanted = {"--organization": role is not Role.MRAO, "--department": role is Role.DRAO}
    return {
        argument: f"is missing: it says where they are {role.upper()}."
        if wanted[argument]
        else f"does not go with --role {role}: leave it out, or choose another role."
        for argument in given
        if given[argument] is not wanted[argument]
    }


def _grant(tx: Transaction, role: str, organization: str | None, department: str | None) -> dict[str, object]:
    """The role in the place with these names. Raises InputRefused."""
    place = next((o for o in tx.organizations() if o.name == organization), None)
    if organization is not None and place is None:
        raise InputRefused({"--organization": f"There is no organization “{organization}”."})
    part = next((d for d in tx.departments() if place and d.organization_id == place.id and d.name == department), None)
    if department is not None and part is None:
        raise InputRefused({"--department": f"“{organization}” has no department “{department}”."})
    return {
        "role": role,
        "organization_id": place.id if place else None,
        "department_id": part.id if part else None,
    }
