"""`keystead-auth`: auth's processes and chores."""

from __future__ import annotations

from pathlib import Path

import click

from keystead_auth.adapters.saml_keys import write_saml_key
from keystead_auth.bootstrap import SERVICE, migrations, web_parts, worker_parts
from keystead_auth.settings import AuthSettings, AuthWebSettings
from keystead_kit.db import Database
from keystead_kit.http import run_web
from keystead_kit.logs import configure_logging
from keystead_kit.secrets import write_signing_key
from keystead_kit.settings import load_settings

EXIT_USAGE = 2


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
