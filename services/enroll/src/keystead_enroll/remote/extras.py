"""Commands that are none of a noun's usual ones: sign in, who am I, files in and out, shell completion."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import BinaryIO

import click
from click.shell_completion import get_completion_class

from keystead_enroll.remote.bulk import add_bulk
from keystead_enroll.remote.client import Access, Remote, config_file, keep_access
from keystead_enroll.remote.commands import EXIT_FAILED, advised, connect, thing_path
from keystead_enroll.remote.nouns import NOUNS
from keystead_enroll.remote.output import plain, show_facts, show_json
from keystead_enroll.remote.request import cert_request
from keystead_enroll.remote.trial import form_try

FORMATS = ("pem", "der", "chain", "p7b", "root")


def add_extras(main: click.Group) -> None:
    """Adds them to `keystead`."""
    for command in (login, logout, me, dashboard, completion):
        main.add_command(command)


def add_to_nouns(groups: dict[str, click.Group]) -> None:
    """Adds what only one noun has."""
    add_bulk(groups["bulk"])
    groups["form"].add_command(form_try)
    groups["cert"].add_command(cert_request)
    groups["cert"].add_command(cert_download)
    groups["cert"].add_command(cert_evidence)
    groups["cert"].add_command(cert_export)
    groups["known-tpm"].add_command(known_tpm_import)
    groups["known-tpm"].add_command(known_tpm_export)
    groups["person"].add_command(person_import)
    groups["person"].add_command(person_export)
    groups["audit"].add_command(audit_export)


@click.command()
@click.argument("server", metavar="URL")
@click.option("--token-file", type=click.Path(path_type=Path), help="A file with the token; else it is asked for.")
@click.option("--ca-file", type=click.Path(path_type=Path, exists=True), help="The server's CA, PEM, if not public.")
@advised
def login(server: str, token_file: Path | None, ca_file: Path | None) -> None:
    """Remember a server and an API token for the next commands.

    \b
    Example:
      keystead login https://enroll.example.org
    """
    if token_file:
        try:
            token = token_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise click.BadParameter(f"{token_file} cannot be read.", param_hint="--token-file") from error
    elif sys.stdin.isatty():
        token = click.prompt("API token (the console makes one under API tokens)", hide_input=True, err=True).strip()
    else:
        raise click.UsageError("There is nobody to ask for the token: name its file with --token-file.")
    access = Access(server.rstrip("/"), token, ca_file.resolve() if ca_file else None)
    who = Remote(access).call("GET", "/me")
    keep_access(access, config_file())
    click.echo(f"{access.server}: you are {who['name']}.")


@click.command()
def logout() -> None:
    """Forget what `keystead login` remembered. The token itself goes on: `keystead token delete` ends it."""
    config_file().unlink(missing_ok=True)
    click.echo("forgotten")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@advised
def me(as_json: bool) -> None:
    """Say whose token this is, and what it may do."""
    who = connect().call("GET", "/me")
    show_json(who) if as_json else show_facts(who)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, also what each day and week brought.")
@advised
def dashboard(as_json: bool) -> None:
    """Say what waits, what failed, and how many certificates there are.

    \b
    Example:
      keystead dashboard
    """
    figures = connect().call("GET", "/dashboard")
    if as_json:
        show_json(figures)
    else:
        show_facts({name: value for name, value in figures.items() if name not in ("days", "weeks")})


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example:
      keystead completion bash > ~/.local/share/bash-completion/completions/keystead
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.BadParameter(shell)
    root = click.get_current_context().find_root()
    click.echo(found(root.command, {}, "keystead", "_KEYSTEAD_COMPLETE").source())


@click.command("download")
@click.argument("which", metavar="SERIAL|ID")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="pem", show_default=True)
@click.option("-o", "--output", type=click.File("wb"), default="-", help="Where to; standard output if not given.")
@advised
def cert_download(which: str, kind: str, output: BinaryIO) -> None:
    """Write a certificate, its chain or its root to a file.

    \b
    Example:
      keystead cert download 4f2a… --format p7b -o chain.p7b
    """
    remote = connect()
    noun = next(noun for noun in NOUNS if noun.name == "cert")
    path = thing_path(remote, noun, which)
    output.write(b"".join(remote.stream(f"{path}/file", {"format": kind})))


@click.command("evidence")
@click.argument("which", metavar="SERIAL|ID")
@click.option("-o", "--output", type=click.File("wb"), default="-", help="Where to; standard output if not given.")
@advised
def cert_evidence(which: str, output: BinaryIO) -> None:
    """Write the evidence that a certificate's key is in a TPM to a file, for `keystead evidence verify`.

    \b
    Example:
      keystead cert evidence 4f2a… -o evidence.json
    """
    remote = connect()
    noun = next(noun for noun in NOUNS if noun.name == "cert")
    output.write(b"".join(remote.stream(f"{thing_path(remote, noun, which)}/evidence", {})))


def _export(name: str, path: str, words: str, example: str) -> click.Command:
    @advised
    def run(search: str, output: BinaryIO) -> None:
        written = 0
        for part in connect().stream(path, {"q": search}):
            output.write(part)
            written += len(part)
            if sys.stderr.isatty() and output.name != "<stdout>":
                click.echo(f"\r{written // 1024} KiB", nl=False, err=True)
        if sys.stderr.isatty() and output.name != "<stdout>":
            click.echo(err=True)

    return click.Command(
        "export",
        callback=run,
        params=[
            click.Option(["search", "--search", "-s"], default="", help=f"Words and fields, such as: {example}"),
            click.Option(["output", "--output", "-o"], type=click.File("wb"), default="-", help="Where to."),
        ],
        help=f"Write {words} as CSV, all that the search finds.\n\n\b\nExample:\n"
        f"  keystead {name} export --search '{example}' -o {name}s.csv",
    )


cert_export = _export("cert", "/certificates/export.csv", "certificates", "state:valid expires:<30d")
person_export = _export("person", "/persons/export", "persons", "secret_id:no")
audit_export = _export("audit", "/audit/export", "the audit log", "at:<30d")


known_tpm_export = _export("known-tpm", "/endorsement-keys/export", "known TPMs", "ruling:allow")


def _import(name: str, path: str, words: str, file_name: str) -> click.Command:
    @advised
    def run(file: BinaryIO, check: bool, as_json: bool) -> None:
        params = {"dry_run": "true"} if check else {}
        headers = {"content-type": "text/csv; charset=utf-8"}
        if sys.stderr.isatty():
            click.echo("reading…", err=True)
        done = connect().call("POST", path, content=file.read(), params=params, headers=headers)
        if as_json:
            click.echo(json.dumps(done, ensure_ascii=False))
        else:
            for mistake in done["mistakes"]:
                click.echo(f"line {mistake['line']}: {mistake['field']}: {mistake['reason']}", err=True)
            counts = ", ".join(f"{done[each]} {each}" for each in ("created", "changed", "unchanged", "refused"))
            click.echo(f"{'Would be' if check else 'Done'}: {plain(counts)}.")
        if done["refused"]:
            raise SystemExit(EXIT_FAILED)

    return click.Command(
        "import",
        callback=run,
        params=[
            click.Argument(["file"], type=click.File("rb")),
            click.Option(["check", "--check"], is_flag=True, help="Only say what would be done; change nothing."),
            click.Option(["as_json", "--json"], is_flag=True, help="Print JSON."),
        ],
        help=f"{words} from a CSV file. Good rows are taken, bad ones told by line; exit 1 if there are any.\n\n"
        f"\b\nExample:\n  keystead {name} import {file_name} --check",
    )


known_tpm_import = _import("known-tpm", "/endorsement-keys/import", "Add and change known TPMs", "tpms.csv")
person_import = _import("person", "/persons/import", "Create and change persons", "staff.csv")
