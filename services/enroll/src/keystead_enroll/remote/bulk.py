"""`keystead bulk`: send a file of machines, watch it, fetch what came of it."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from keystead_enroll.domain.bulk_columns import COLUMNS
from keystead_enroll.domain.bulk_inputs import BulkOptions
from keystead_enroll.remote.client import Refused, Remote
from keystead_enroll.remote.commands import advised, connect, thing_path, with_ids
from keystead_enroll.remote.fields import body_of, options_of
from keystead_enroll.remote.nouns import NOUNS
from keystead_enroll.remote.output import plain, show_facts, show_json, show_table

EXIT_ROWS, EXIT_DETACHED = 5, 130
PART = 256 * 1024
KINDS = {"csv": "text/csv", "jsonl": "application/x-ndjson"}
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl"}
STATES = (
    "refused", "waiting", "ready", "offered", "csr_accepted", "signing", "issued", "installed", "failed", "cancelled",
)  # fmt: skip
ROW_COLUMNS = ("line", "state", "device_name", "owner", "machine", "serial", "why")
_BULK = next(noun for noun in NOUNS if noun.name == "bulk")
_OPTIONS = options_of(BulkOptions)
_json = click.option("as_json", "--json", is_flag=True, help="Print JSON.")
_which = click.argument("which", metavar="NAME|ID")
_output = click.option("-o", "--output", type=click.File("wb"), default="-", help="Where to.")


def add_bulk(group: click.Group) -> None:
    """Adds what only bulk jobs have."""
    submit.params += [option.declaration() for option in _OPTIONS]
    for command in (submit, watch, show, rows, retry, refused, results, template):
        group.add_command(command)


@click.command(
    epilog="\b\nColumns of the file, in any order:\n"
    + "\n".join(
        textwrap.fill(f"{name:<15} {meaning}", 78, initial_indent="  ", subsequent_indent=" " * 18)
        for name, meaning in COLUMNS.items()
    )
)
@click.argument("file", metavar="FILE", type=click.File("rb"))
@click.option("kind", "--format", type=click.Choice(list(KINDS)), help="How it is written; else as its name ends.")
@click.option("watching", "--watch", is_flag=True, help="Stay until the job has ended.")
@_json
@advised
def submit(file: BinaryIO, kind: str | None, watching: bool, as_json: bool, **given: Any) -> None:
    """Send a file of machines that are to have certificates: CSV or JSON lines; - is standard input.

    Good rows proceed, bad ones are told by line, column and reason. The same file with the same options is the same
    job, however often it is sent. With --watch, Ctrl-C leaves the job to itself. Ends with 5 if rows were refused,
    failed or were cancelled.

    \b
    Example:
      keystead bulk submit devices.csv --organization 'Example Hospital' --profile 'Device certificate' --watch
    """
    remote = connect()
    wanted = with_ids(remote, body_of(_OPTIONS, given, None, ()))
    wanted.setdefault("organization_id", _only_organization(remote))
    name = "" if file.name in ("-", "<stdin>") else Path(file.name).name
    if name:
        wanted.setdefault("name", name[:128])
    format = kind or SUFFIXES.get(Path(name).suffix.lower(), "csv")
    with _sending(file, name, quiet=as_json) as content:
        status, job = remote.upload("/bulk-jobs", wanted, content, KINDS[format])
    if not as_json:
        word = "created" if status == 201 else "This file came before; its job is"
        click.echo(f"{word} {job['id']}")
    if watching:
        _watch(remote, str(job["id"]), as_json=as_json)
    elif as_json:
        show_json(job)
    else:
        click.echo(f"hint: keystead bulk watch {job['id']}", err=True)


@click.command()
@_which
@_json
@advised
def watch(which: str, as_json: bool) -> None:
    """Watch a job until it has ended; Ctrl-C leaves it to itself.

    A bar with rate and time left on a terminal, lines elsewhere, with --json a line of JSON for each change. Ends with
    5 if rows were refused, failed or were cancelled.

    \b
    Example:
      keystead bulk watch devices.csv
    """
    remote = connect()
    _watch(remote, thing_path(remote, _BULK, which).rsplit("/", 1)[1], as_json=as_json)


@click.command()
@_which
@_json
@advised
def show(which: str, as_json: bool) -> None:
    """Show a job and how far it has come.

    \b
    Example:
      keystead bulk show devices.csv
    """
    remote = connect()
    job = remote.call("GET", thing_path(remote, _BULK, which))
    if as_json:
        show_json(job)
        return
    progress = job.pop("progress")
    stages = {f"rows {name}": count for name, count in progress.pop("stages").items() if count}
    show_facts(job | progress | stages)


@click.command()
@_which
@click.option("state", "--state", type=click.Choice(STATES), help="Those that stand there.")
@click.option("limit", "--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("every", "--all", is_flag=True, help="All of them, however many.")
@_json
@advised
def rows(which: str, state: str | None, limit: int, every: bool, as_json: bool) -> None:
    """List a job's rows and what came of each.

    \b
    Example:
      keystead bulk rows devices.csv --state refused
    """
    remote = connect()
    params = {"state": state} if state else {}
    found = list(remote.pages(f"{thing_path(remote, _BULK, which)}/rows", params, None if every else limit))
    if as_json:
        show_json(found)
    else:
        show_table([each | {"why": _why(each)} for each in found], ROW_COLUMNS, "There are none.")


@click.command()
@_which
@_json
@advised
def retry(which: str, as_json: bool) -> None:
    """Try the rows again whose request failed.

    \b
    Example:
      keystead bulk retry devices.csv
    """
    remote = connect()
    answer = remote.call("POST", f"{thing_path(remote, _BULK, which)}/retry")
    if as_json:
        show_json(answer)
    else:
        count = answer["rows"]
        click.echo(f"{count:,} {'row is' if count == 1 else 'rows are'} tried again.")


@click.command()
@_which
@_output
@advised
def refused(which: str, output: BinaryIO) -> None:
    """Write the refused rows as they came, with line, field and reason: to be corrected and sent again.

    \b
    Example:
      keystead bulk refused devices.csv -o to-correct.csv
    """
    _download(which, "refused.csv", output)


@click.command()
@_which
@_output
@advised
def results(which: str, output: BinaryIO) -> None:
    """Write every row and what came of it as CSV.

    \b
    Example:
      keystead bulk results devices.csv -o results.csv
    """
    _download(which, "results.csv", output)


@click.command()
def template() -> None:
    """Print the first line of a file: the names of all columns. Leave out what you do not need.

    \b
    Example:
      keystead bulk template > devices.csv
    """
    click.echo(",".join(COLUMNS))


def _download(which: str, name: str, output: BinaryIO) -> None:
    remote = connect()
    for part in remote.stream(f"{thing_path(remote, _BULK, which)}/{name}", {}):
        output.write(part)


def _watch(remote: Remote, job_id: str, *, as_json: bool) -> None:
    from keystead_enroll.remote import watching

    try:
        with watching.telling(as_json=as_json) as teller:
            job = watching.watch(remote, job_id, teller)
    except KeyboardInterrupt:
        click.echo(f"The job goes on. To watch it again: keystead bulk watch {job_id}", err=True)
        sys.exit(EXIT_DETACHED)
    if job["refusal"]:
        raise Refused(422, str(job["refusal"]["detail"]), str(job["refusal"]["advice"]), {})
    if not as_json:
        _say_what_next(job)
    if not watching.went_well(job):
        sys.exit(EXIT_ROWS)


def _say_what_next(job: Any) -> None:
    stages, own = job["progress"]["stages"], job["id"]
    if stages["refused"]:
        click.echo(f"hint: keystead bulk refused {own} -o refused.csv: what to correct and send again", err=True)
    if stages["failed"]:
        click.echo(f"hint: keystead bulk rows {own} --state failed; keystead bulk retry {own}", err=True)


def _why(row: dict[str, Any]) -> str:
    told = [f"{each['field']}: {each['reason']}" if each["field"] else each["reason"] for each in row["mistakes"]]
    return plain(" ".join(told) or row["reason"])


def _only_organization(remote: Remote) -> str:
    found = remote.call("GET", "/organizations", params={"limit": 2})["items"]
    if len(found) != 1:
        raise click.UsageError("Whose machines are they? Name the --organization.")
    return str(found[0]["id"])


@contextmanager
def _sending(file: BinaryIO, name: str, *, quiet: bool) -> Iterator[Iterator[bytes]]:
    """The file's octets as they are sent, with a bar on a terminal if there are many."""
    size = os.fstat(file.fileno()).st_size if name else 0
    if quiet or not sys.stderr.isatty() or (name and size < 4 * PART):
        yield iter(lambda: file.read(PART), b"")
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = ("sending", BarColumn(bar_width=None), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as progress:
        task = progress.add_task("sending", total=size or None)

        def parts() -> Iterator[bytes]:
            while part := file.read(PART):
                yield part
                progress.update(task, advance=len(part))

        yield parts()
