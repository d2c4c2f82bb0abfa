"""Commands that work on the server itself: `keystead ca`, `apply` and `bootstrap`, and `keystead-enroll` to run it."""

from __future__ import annotations

import secrets as randomness
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from keystead_enroll import cli_bootstrap
from keystead_enroll.adapters.builtin_ca import CaFolder
from keystead_enroll.adapters.declaration import read_declaration
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.bootstrap import Enroll, build
from keystead_enroll.cli_output import (
    show_applied,
    show_ca,
    show_error,
    show_mistakes,
)
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.errors import CaRefused, Refusal
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.settings import CaSettings, EnrollSettings, EnrollWorkerSettings, TokenKeySettings
from keystead_enroll.usecases.apply_declaration import apply_declaration
from keystead_enroll.usecases.create_ca import CaNames, create_ca
from keystead_kit.clock import SystemClock
from keystead_kit.http import run_web
from keystead_kit.logs import configure_logging
from keystead_kit.secrets import write_signing_key
from keystead_kit.setting_types import LEAST_PASSPHRASE_OCTETS
from keystead_kit.settings import load_settings

EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_UNREACHABLE = 1, 2, 3, 4
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


@click.group()
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


@click.command()
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
            actor=cli_bootstrap.operator(),
        )
    except OperationalError:
        if reading.mistakes:
            show_mistakes(str(file), DeclarationInvalid(reading.mistakes))
        raise
    show_applied(applied, enroll.settings.public_origin, check=check, as_json=as_json)


@click.group()
def bootstrap() -> None:
    """The first administrator and the first API token, made on the server itself with its settings."""


cli_bootstrap.add_commands(bootstrap, _advises, _enroll)


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
