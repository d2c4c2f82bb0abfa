"""`keystead-auth`: auth's processes and chores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from keystead_auth.adapters.randomness import SystemRandomness
from keystead_auth.adapters.saml_keys import saml_key_mistakes, write_saml_key
from keystead_auth.adapters.store import SqlTransactions
from keystead_auth.bootstrap import SERVICE, migrations, password_link, web_parts, worker_parts
from keystead_auth.settings import AuthSettings, AuthWebSettings
from keystead_auth.usecases.choose_password import set_password
from keystead_auth.usecases.invite_administrator import find_administrator, invite_by_hand
from keystead_contracts.refusals import Refusal
from keystead_kit.clock import SystemClock
from keystead_kit.db import Database
from keystead_kit.logs import configure_logging
from keystead_kit.secrets import write_signing_key
from keystead_kit.server import run_web
from keystead_kit.settings import load_settings

EXIT_FAILED, EXIT_USAGE = 1, 2


@click.group(help="Keystead auth: who is this person. Settings: KEYSTEAD_AUTH_* in the environment.")
def main() -> None:
    """The command group."""


@main.command(help="Serve the sign-in pages until SIGTERM.\n\nExample: keystead-auth web")
def web() -> None:
    """The web process."""
    from keystead_auth.web.app import create_app

    settings = load_settings(AuthWebSettings)
    configure_logging(SERVICE, "web", settings.log_level)
    try:
        parts = web_parts(settings)
    except (ValueError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        click.echo("hint: make a key with `keystead-auth keys` and name it in KEYSTEAD_AUTH_TOKEN_KEY_FILE", err=True)
        raise SystemExit(EXIT_USAGE) from error
    parts.bus.prepare()
    run_web(create_app(parts), settings.web_host, settings.web_port, settings.trusted_proxies)


@main.command(help="Decide sign-in requests and take in facts until SIGTERM.\n\nExample: keystead-auth worker")
def worker() -> None:
    """The worker process."""
    from keystead_auth.worker import run

    settings = load_settings(AuthSettings)
    configure_logging(SERVICE, "worker", settings.log_level)
    run(worker_parts(settings))


@main.command(help="Bring the database to this version's schema.\n\nExample: keystead-auth migrate")
def migrate() -> None:
    """The migrations."""
    settings = load_settings(AuthSettings)
    configure_logging(SERVICE, "migrate", settings.log_level)
    database = Database(settings.database_url.get_secret_value())
    migrations(database).upgrade()
    database.close()


@main.group(help="Administrators of the console, as they sign in. Who they are: keystead administrator --help.")
def administrator() -> None:
    """Chores around administrators."""


@administrator.command(
    help="Print a link by which an administrator chooses a password, without mail.\n\n"
    "Example: keystead-auth administrator invite ada@example.org"
)
@click.argument("email")
@click.option("--new-authenticator", is_flag=True, help="forget the old one, for who lost it and the recovery codes")
def invite(email: str, new_authenticator: bool) -> None:
    """An invitation."""
    with _store() as (settings, transactions):
        link, until = invite_by_hand(
            transactions, SystemRandomness(), SystemClock(), email=email, new_authenticator=new_authenticator,
            link_for=password_link(settings.public_origin),
        )  # fmt: skip
    click.echo(link)
    click.echo(f"It works once, until {until:%Y-%m-%d %H:%M} UTC. Whoever has it becomes {email}.", err=True)


@administrator.command(
    "set-password",
    help="Set an administrator's password.\n\n"
    "Example: keystead-auth administrator set-password ada@example.org --password-file secrets/administrator",
)
@click.argument("email")
@click.option(
    "--password-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="one line"
)
def set_password_command(email: str, password_file: Path) -> None:
    """A password."""
    with _store() as (_, transactions):
        password = password_file.read_text().rstrip("\r\n")
        set_password(transactions, SystemClock(), find_administrator(transactions, email), password)
    click.echo(f"set the password of {email}")


@contextmanager
def _store() -> Iterator[tuple[AuthSettings, SqlTransactions]]:
    """The settings and the database. A refusal is told, and ends the command."""
    settings = load_settings(AuthSettings)
    configure_logging(SERVICE, "cli", settings.log_level)
    database = Database(settings.database_url.get_secret_value())
    try:
        yield settings, SqlTransactions(database)
    except Refusal as refusal:
        click.echo(f"error: {refusal.detail}", err=True)
        if refusal.advice:
            click.echo(f"hint: {refusal.advice}", err=True)
        raise SystemExit(EXIT_FAILED) from refusal
    finally:
        database.close()


@main.command(
    "saml-key",
    help="Make the key with which identity providers know this server, and its certificate, unless it is there.\n\n"
    "Example: keystead-auth saml-key --key secrets/saml.key.pem --certificate secrets/saml.crt.pem "
    "--host enroll.example.org",
)
@click.option("--key", type=click.Path(path_type=Path), required=True, help="for KEYSTEAD_AUTH_SAML_KEY_FILE")
@click.option(
    "--certificate", type=click.Path(path_type=Path), required=True, help="for KEYSTEAD_AUTH_SAML_CERTIFICATE_FILE"
)
@click.option("--host", required=True, help="the name in the certificate, for people to read")
def saml_key(key: Path, certificate: Path, host: str) -> None:
    """The SAML key."""
    mistakes = saml_key_mistakes(key, certificate, host)
    if mistakes:
        options = {"key_file": "--key", "certificate_file": "--certificate", "host": "--host"}
        for argument, mistake in mistakes.items():
            click.echo(f"error: {options[argument]}: {mistake}", err=True)
        raise SystemExit(EXIT_USAGE)
    made = write_saml_key(key, certificate, host)
    click.echo(f"{'made' if made else 'kept'} {key}")


@main.command(
    help="Make the key pair of identity tokens, unless it is there.\n\n"
    "Example: keystead-auth keys --private secrets/token.pem --public public/token.pub.pem"
)
@click.option("--private", type=click.Path(path_type=Path), required=True, help="for KEYSTEAD_AUTH_TOKEN_KEY_FILE")
@click.option("--public", type=click.Path(path_type=Path), required=True, help="for enroll, which verifies with it")
def keys(private: Path, public: Path) -> None:
    """The token key pair."""
    made = write_signing_key(private, public)
    click.echo(f"{'made' if made else 'kept'} {private}")
