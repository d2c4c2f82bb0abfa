"""Command lines: `keystead` for administrators, `keystead-enroll` to run the service."""

from __future__ import annotations

import getpass
import secrets as randomness
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from keystead_enroll import cli_people
from keystead_enroll.adapters.builtin_ca import CaFolder
from keystead_enroll.adapters.declaration import read_declaration
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.bootstrap import Enroll, build
from keystead_enroll.cli_output import (
    show_applied,
    show_ca,
    show_decision,
    show_details,
    show_error,
    show_mistakes,
    show_orders,
)
from keystead_enroll.domain.administration import Actor, local_actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.errors import CaRefused, Refusal
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.settings import CaSettings, EnrollSettings, EnrollWorkerSettings, TokenKeySettings
from keystead_enroll.usecases.apply_declaration import apply_declaration
from keystead_enroll.usecases.change_order import cancel_any_order, decide_order
from keystead_enroll.usecases.create_ca import CaNames, create_ca
from keystead_enroll.usecases.list_orders import list_orders
from keystead_enroll.usecases.show_order import show_order
from keystead_kit.clock import SystemClock
from keystead_kit.http import run_web
from keystead_kit.logs import configure_logging
from keystead_kit.secrets import write_signing_key
from keystead_kit.setting_types import LEAST_PASSPHRASE_OCTETS
from keystead_kit.settings import load_settings

EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_UNREACHABLE = 1, 2, 3, 4
EXIT_CODES = """\b
Exit codes: 0 done, 1 failed, 2 usage, settings or set-up file wrong, 3 refused
by a rule, 4 database not reachable.
"""
DATABASE_ADVICE = (
    "See whether it runs and KEYSTEAD_ENROLL_DATABASE_URL names it; `keystead-enroll migrate` makes its tables."
)


def _advises(command: Callable[..., None]) -> Callable[..., None]:
    """Writes a refusal as `error:` and `hint:` lines and exits as `EXIT_CODES` says."""

    @wraps(command)
    def advised(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except DeclarationInvalid as refusal:
            show_mistakes(str(kwargs["file"]), refusal)
            sys.exit(EXIT_USAGE)
        except CaRefused as refusal:
            show_error(refusal.detail, refusal.advice)
            sys.exit(EXIT_FAILED)
        except InputRefused as refusal:
            show_error("; ".join(f"{field}: {reason}" for field, reason in refusal.fields.items()), "")
            sys.exit(EXIT_USAGE)
        except Refusal as refusal:
            show_error(refusal.detail, refusal.advice)
            sys.exit(EXIT_REFUSED)
        except (OperationalError, ProgrammingError) as error:
            reason = str(error.orig).strip().splitlines()[0]
            show_error(f"the database cannot be used: {reason}", DATABASE_ADVICE)
            sys.exit(EXIT_UNREACHABLE)

    return advised


def _enroll(role: str, settings_class: type[EnrollSettings] = EnrollSettings) -> Enroll:
    settings = load_settings(settings_class)
    configure_logging("enroll", role, settings.log_level)
    return build(settings)


def _operator() -> Actor:
    """Whoever runs the command on this server; the audit log names their account."""
    return local_actor(getpass.getuser())


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Keystead for administrators. Reads the same KEYSTEAD_ENROLL_… settings as the service.

    \b
    Examples:
      keystead ca init --organization "Example Hospital"
      keystead apply -f setup.yaml --check
      keystead order list --state awaiting_approval
    """


@main.group()
def ca() -> None:
    """The built-in CA."""


@ca.command("init")
@click.option("--organization", required=True, help="O of both CAs' names.")
@click.option("--root-name", default="Keystead Root CA", show_default=True)
@click.option("--issuing-name", default="Keystead Issuing CA", show_default=True)
@click.option("--root-folder", type=click.Path(path_type=Path), help="Put the root's key here, to be taken offline.")
@click.option("--root-passphrase-file", type=click.Path(path_type=Path), help="Encrypts the root's key.")
@click.option("--unencrypted-root-key", is_flag=True, help="Leave the root's key in plain text.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_advises
def ca_init(
    organization: str,
    root_name: str,
    issuing_name: str,
    root_folder: Path | None,
    root_passphrase_file: Path | None,
    unencrypted_root_key: bool,
    as_json: bool,
) -> None:
    """Make a root and an issuing CA in KEYSTEAD_ENROLL_CA_FOLDER.

    The issuing CA's key is encrypted with KEYSTEAD_ENROLL_CA_KEY_PASSPHRASE, the root's with the passphrase in
    --root-passphrase-file or one that is asked for. No other settings are needed.

    \b
    Example:
      keystead ca init --organization "Example Hospital" \\
        --root-folder /mnt/offline --root-passphrase-file /mnt/offline/passphrase
    """
    settings = load_settings(CaSettings)
    root_passphrase = _root_passphrase(root_passphrase_file, unencrypted_root_key)
    issuing_passphrase = settings.ca_key_passphrase
    store = CaFolder(
        settings.ca_folder,
        root_folder=root_folder,
        issuing_passphrase=issuing_passphrase.get_secret_value().encode() if issuing_passphrase else None,
        root_passphrase=root_passphrase,
    )
    made = create_ca(
        CaNames(organization, root_name, issuing_name),
        now=SystemClock().now(),
        random_bytes=randomness.token_bytes,
        lint=PkilintLinter().lint,
        store=store,
    )
    show_ca(
        made,
        settings.ca_folder,
        root_folder or settings.ca_folder,
        root_encrypted=root_passphrase is not None,
        issuing_encrypted=issuing_passphrase is not None,
        as_json=as_json,
    )


def _root_passphrase(file: Path | None, unencrypted: bool) -> bytes | None:
    """What encrypts the root's key, from the file or the terminal; None if it is to stay in plain text."""
    if file and unencrypted:
        raise click.UsageError("Give either --root-passphrase-file or --unencrypted-root-key.")
    if unencrypted:
        return None
    if file:
        try:
            passphrase = file.read_bytes().strip()
        except OSError as error:
            raise click.UsageError(f"--root-passphrase-file {file}: {error.strerror}.") from error
    elif sys.stdin.isatty():
        asked: str = click.prompt(
            "Passphrase for the root's key", hide_input=True, confirmation_prompt="Once more", err=True
        )
        passphrase = asked.encode()
    else:
        raise click.UsageError(
            "The root's key needs a passphrase: name its file with --root-passphrase-file, or give "
            "--unencrypted-root-key if the key may lie in plain text."
        )
    if len(passphrase) < LEAST_PASSPHRASE_OCTETS:
        raise click.UsageError(
            f"The root's passphrase{f' in {file}' if file else ''} has {len(passphrase)} octets, and "
            f"{LEAST_PASSPHRASE_OCTETS} are the least. Make one: openssl rand -hex 32"
        )
    return passphrase


@main.command()
@click.option("-f", "--file", "file", required=True, type=click.Path(path_type=Path), help="A YAML set-up file.")
@click.option("--check", is_flag=True, help="Only say what would be done; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_advises
def apply(file: Path, check: bool, as_json: bool) -> None:
    """Bring organizations, profiles, forms, accounts, administrators and identity providers to what a file declares.

    Safe to repeat. What the file does not mention stays as it is. All mistakes are told at once, with their lines;
    nothing is changed until there are none.

    \b
    Examples:
      keystead apply -f setup.yaml --check
      keystead apply -f setup.yaml
    """
    reading = read_declaration(file)
    enroll = _enroll("cli")
    try:
        applied = apply_declaration(
            enroll.transactions,
            enroll.clock,
            enroll.secrets,
            enroll.linter,
            reading.declaration,
            mistakes=reading.mistakes,
            left_out=reading.left_out,
            check=check,
        )
    except OperationalError:
        if reading.mistakes:
            show_mistakes(str(file), DeclarationInvalid(reading.mistakes))
        raise
    show_applied(applied, enroll.settings.public_origin, check=check, as_json=as_json)


@main.group()
def order() -> None:
    """Requests of people: look at them, decide those that wait for approval."""


@order.command("list")
@click.option(
    "--state",
    metavar="STATE",
    type=click.Choice([state.value for state in OrderState]),
    help=f"Only those in this state: {', '.join(OrderState)}.",
)
@click.option("--form", help="Only those of this form: its name, or the end of its address.")
@click.option("--person", metavar="EMAIL", help="Only those of this person.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_advises
def order_list(state: str | None, form: str | None, person: str | None, limit: int, as_json: bool) -> None:
    """List requests, newest first.

    \b
    Examples:
      keystead order list --state awaiting_approval
      keystead order list --person ada@example.org --limit 10
    """
    enroll = _enroll("cli")
    wanted = OrderState(state) if state else None
    found = list_orders(enroll.transactions, state=wanted, form=form, person=person, limit=limit)
    show_orders(found, limit, as_json=as_json)


@order.command("show")
@click.argument("order_id", metavar="ORDER")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_advises
def order_show(order_id: str, as_json: bool) -> None:
    """Show a request and all that happened to it.

    Example: keystead order show 5f0c4e1b9a7d4f3e8c2b6a1d0e9f8c7b
    """
    show_details(show_order(_enroll("cli").transactions, _operator(), order_id), as_json=as_json)


@order.command("approve")
@click.argument("order_id", metavar="ORDER")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_advises
def order_approve(order_id: str, as_json: bool) -> None:
    """Approve a request. The person gets a letter.

    Example: keystead order approve 5f0c4e1b9a7d4f3e8c2b6a1d0e9f8c7b
    """
    enroll = _enroll("cli")
    decided = decide_order(
        enroll.transactions, enroll.clock, enroll.settings.public_origin, _operator(), order_id, approve=True
    )
    show_decision("Approved", decided, as_json=as_json)


@order.command("reject")
@click.argument("order_id", metavar="ORDER")
@click.option("--reason", required=True, help="What the person will read, in the letter and on the page.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_advises
def order_reject(order_id: str, reason: str, as_json: bool) -> None:
    """Decline a request. The person gets a letter with the reason.

    \b
    Example:
      keystead order reject 5f0c4e1b9a7d4f3e8c2b6a1d0e9f8c7b \\
        --reason "Ask your manager first."
    """
    enroll = _enroll("cli")
    decided = decide_order(
        enroll.transactions,
        enroll.clock,
        enroll.settings.public_origin,
        _operator(),
        order_id,
        approve=False,
        remark=reason,
    )
    show_decision("Rejected", decided, as_json=as_json)


@order.command("cancel")
@click.argument("order_id")
@click.option("--reason", default="", help="What the person will read.")
@_advises
def order_cancel(order_id: str, reason: str) -> None:
    """End a request that is not installed yet; its certificate is retired. Example: keystead order cancel 5f0c…"""
    enroll = _enroll("cli")
    cancel_any_order(enroll.transactions, enroll.clock, enroll.settings.public_origin, _operator(), order_id, reason)
    click.echo("cancelled")


cli_people.add_commands(main, _advises, _enroll)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def service() -> None:
    """Run the enroll service."""


@service.command()
def web() -> None:
    """Serve portal pages and the agent API."""
    enroll = _enroll("web")
    from keystead_enroll.web.app import create_app

    settings = enroll.settings
    app = create_app(enroll)
    run_web(app, settings.web_host, settings.web_port, settings.trusted_proxies, app.state.end_streams)


@service.command()
def worker() -> None:
    """Issue certificates and relay facts."""
    enroll = _enroll("worker", EnrollWorkerSettings)
    from keystead_enroll.worker import run

    run(enroll)


@service.command()
@click.option("--check", is_flag=True, help="Only say whether models and migrations agree; exit 1 if not.")
def migrate(check: bool) -> None:
    """Bring the database's schema to this release."""
    migrations = _enroll("migrate").migrations()
    migrations.upgrade()
    if check:
        drift = migrations.drift()
        for difference in drift:
            click.echo(f"error: {difference}", err=True)
        sys.exit(EXIT_FAILED if drift else 0)


@service.command()
def keys() -> None:
    """Make the token key that the settings name, unless it is there."""
    private = load_settings(TokenKeySettings).token_key_file
    made = write_signing_key(private, private.with_suffix(".pub.pem"))
    click.echo(f"{'made' if made else 'kept'} {private}")
