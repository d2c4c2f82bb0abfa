"""`keystead-agent setup`: what installers and the agent itself call."""

from __future__ import annotations

import sys

import click


@click.group(hidden=True)
def setup() -> None:
    """What installers and the agent itself call."""


@setup.command()
@click.option("--server", default="", help="The only server that may use this computer.")
@click.option("--token", default="", help="The token with which the service registers this computer.")
def prepare(server: str, token: str) -> None:
    """Make the computer's folders."""
    from keystead_agent.errors import AgentError
    from keystead_agent.installation import prepare as do_prepare
    from keystead_agent.output import show_error

    try:
        do_prepare(server.strip(), token.strip())
    except AgentError as error:
        show_error(error, as_json=False)
        sys.exit(error.exit_code)


@setup.command()
def forget() -> None:
    """Remove this computer's certificates, keys and settings."""
    from keystead_agent.cli import computers_machine
    from keystead_agent.errors import AgentError
    from keystead_agent.installation import forget as do_forget
    from keystead_agent.output import show_error

    try:
        do_forget(computers_machine())
    except AgentError as error:
        show_error(error, as_json=False)
        sys.exit(error.exit_code)


@setup.command()
def helper() -> None:
    """Have the keys for the process that started this one."""
    from datetime import UTC, datetime

    from keystead_agent.spawned import help_parent

    help_parent(lambda: datetime.now(UTC))
