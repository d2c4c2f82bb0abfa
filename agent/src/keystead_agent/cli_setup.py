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
@click.option("--computer", is_flag=True, help="As the service does, not as this account.")
def identity(computer: bool) -> None:
    """Try whether the TPM vouches for keys: make its identity if there is none, and two keys that are removed again.

    Ends with 1 if it does not.
    """
    from keystead_agent.cli import computers_machine, persons_machine
    from keystead_agent.errors import AgentError
    from keystead_agent.findings import Mark
    from keystead_agent.output import show_error, show_findings
    from keystead_agent.trial import try_identity

    try:
        marks = show_findings(try_identity(computers_machine() if computer else persons_machine()), as_json=False)
    except AgentError as error:
        show_error(error, as_json=False)
        sys.exit(error.exit_code)
    sys.exit(1 if Mark.BAD in marks else 0)


@setup.command()
def helper() -> None:
    """Have the keys for the process that started this one."""
    from keystead_agent.cli import now
    from keystead_agent.spawned import help_parent

    help_parent(now)


@setup.command()
def duty() -> None:
    """Work for the process of the service that started this one."""
    from keystead_agent.cli import computers_settings, now
    from keystead_agent.cli_service import run_duty

    run_duty(computers_settings, now)
