"""`keystead-notify`: notify's processes and the development mailbox."""

from __future__ import annotations

from pathlib import Path

import click

from keystead_kit.db import Database
from keystead_kit.logs import configure_logging
from keystead_kit.server import run_web
from keystead_kit.settings import load_settings
from keystead_notify.bootstrap import SERVICE, migrations, web_parts, worker_parts
from keystead_notify.settings import NotifySettings, NotifyWorkerSettings


@click.group(help="Keystead notify: letters. Settings: KEYSTEAD_NOTIFY_* in the environment.")
def main() -> None:
    """The command group."""


@main.command(help="Serve health, metrics and, in development, /preview.\n\nExample: keystead-notify web")
def web() -> None:
    """The web process."""
    from keystead_notify.web.app import create_app

    settings = load_settings(NotifySettings)
    configure_logging(SERVICE, "web", settings.log_level)
    run_web(create_app(web_parts(settings)), settings.web_host, settings.web_port, settings.trusted_proxies)


@main.command(help="Take facts in and send letters until SIGTERM.\n\nExample: keystead-notify worker")
def worker() -> None:
    """The worker process."""
    from keystead_notify.worker import run

    settings = load_settings(NotifyWorkerSettings)
    configure_logging(SERVICE, "worker", settings.log_level)
    run(worker_parts(settings))


@main.command(help="Bring the database to this version's schema.\n\nExample: keystead-notify migrate")
def migrate() -> None:
    """The migrations."""
    settings = load_settings(NotifySettings)
    configure_logging(SERVICE, "migrate", settings.log_level)
    database = Database(settings.database_url.get_secret_value())
    migrations(database).upgrade()
    database.close()


@main.command(
    help="A mail server for development that keeps every letter and shows it on a page. Listens on 127.0.0.1 only "
    "and refuses to run unless KEYSTEAD_NOTIFY_MODE=development.\n\n"
    "Example: keystead-notify mailbox --smtp-port 2525 --web-port 8025 --folder var/mail"
)
@click.option("--smtp-port", type=click.IntRange(1, 65535), required=True)
@click.option("--web-port", type=click.IntRange(1, 65535), required=True)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="for the .eml files")
def mailbox(smtp_port: int, web_port: int, folder: Path) -> None:
    """The development mailbox."""
    from keystead_notify.dev_mailbox import run_mailbox

    configure_logging("mailbox", "web")
    run_mailbox(smtp_port, web_port, folder)
