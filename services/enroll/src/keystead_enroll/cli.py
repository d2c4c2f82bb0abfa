"""`keystead`, for administrators: the nouns of the API, and what works on the server itself.

The latter is imported only when it is wanted: it brings the service's libraries with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import click

from keystead_enroll.remote.commands import noun_groups
from keystead_enroll.remote.extras import add_extras, add_to_nouns

EXIT_CODES = """\b
Exit codes: 0 done, 1 failed, 2 usage, settings or input wrong, 3 refused by a
rule, 4 server or database not reachable, 5 a bulk job ended with rows that
were refused, failed or were cancelled, 130 left to itself by Ctrl-C.
"""
ON_THE_SERVER: Mapping[str, str] = MappingProxyType(
    {
        "apply": "Bring organizations, profiles, forms and accounts to what a file declares.",
        "bootstrap": "The first administrator and the first API token.",
        "ca": "The built-in CA.",
    }
)
ANYWHERE: Mapping[str, str] = MappingProxyType(
    {
        "ek-roots": "TPM manufacturers' certificates, by which a real TPM is known.",
        "evidence": "Evidence that a key is in a TPM: judge it again.",
    }
)
_MODULES: Mapping[str, str] = MappingProxyType({"ca": "cli_ca", "ek-roots": "cli_ek_roots", "evidence": "cli_evidence"})


class _Keystead(click.Group):
    """The root command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All, by name."""
        return sorted([*self.commands, *ON_THE_SERVER, *ANYWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported if it brings libraries with it."""
        if cmd_name in ON_THE_SERVER or cmd_name in ANYWHERE:
            module = _MODULES.get(cmd_name, "cli_server")
            command: click.Command = getattr(import_module(f"keystead_enroll.{module}"), cmd_name.replace("-", "_"))
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their help, without importing any."""
        remote = {name: command.get_short_help_str(60) for name, command in self.commands.items()}
        for heading, commands in (
            ("Through the API", remote),
            ("On the server itself", ON_THE_SERVER),
            ("Anywhere", ANYWHERE),
        ):
            with formatter.section(heading):
                formatter.write_dl(sorted(commands.items()))


@click.group(cls=_Keystead, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Keystead for administrators.

    Most commands speak to a server's API: `keystead login URL` once, or KEYSTEAD_URL with KEYSTEAD_TOKEN_FILE. `ca`,
    `apply` and `bootstrap` work on the server itself, with the KEYSTEAD_ENROLL_… settings of the service; `evidence`
    needs neither.

    \b
    Examples:
      keystead login https://enroll.example.org
      keystead order list --search state:awaiting_approval
      keystead cert list --search "type:device expires:<30d"
      keystead bulk submit devices.csv --profile 'Device certificate' --watch
      keystead apply -f setup.yaml --check
    """


_groups = {group.name or "": group for group in noun_groups()}
for _group in _groups.values():
    main.add_command(_group)
add_to_nouns(_groups)
add_extras(main)
