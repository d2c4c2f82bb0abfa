"""Commands that work on the server itself: `keystead apply` and `bootstrap`, and `keystead-enroll` to run it."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from sqlalchemy.exc import OperationalError

from keystead_enroll import cli_bootstrap
from keystead_enroll.adapters.declaration import read_declaration
from keystead_enroll.bootstrap import Enroll, build
from keystead_enroll.cli_output import show_applied, show_mistakes
from keystead_enroll.cli_refusals import EXIT_FAILED, advises
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.settings import EnrollSettings, EnrollWorkerSettings, TokenKeySettings
from keystead_enroll.usecases.apply_declaration import apply_declaration
from keystead_kit.logs import configure_logging
from keystead_kit.secrets import write_signing_key
from keystead_kit.server import run_web
from keystead_kit.settings import load_settings


def _enroll(role: str, settings_class: type[EnrollSettings] = EnrollSettings) -> Enroll:
    settings = load_settings(settings_class)
    configure_logging("enroll", role, settings.log_level)
    return build(settings)


@click.command()
@click.option("-f", "--file", "file", required=True, type=click.Path(path_type=Path), help="A YAML set-up file.")
@click.option("--check", is_flag=True, help="Only say what would be done; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@advises
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


cli_bootstrap.add_commands(bootstrap, advises, _enroll)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def service() -> None:
    """Run the enroll service."""


@service.command()
@advises
def web() -> None:
    """Serve portal pages and the agent API."""
    enroll = _enroll("web")
    from keystead_enroll.web.app import create_app

    settings = enroll.settings
    app = create_app(enroll)
    enroll.bus.prepare()
    run_web(
        app,
        settings.web_host,
        settings.web_port,
        settings.trusted_proxies,
        app.state.end_streams,
        streams=settings.most_streams,
    )


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
