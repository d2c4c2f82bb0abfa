"""The commands of each noun, made from its description when they are asked for."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from keystead_enroll.remote.client import NotReachable, Refused, Remote, RemoteError, config_file, find_access
from keystead_enroll.remote.fields import REFERENCES, Option, body_of, options_of
from keystead_enroll.remote.nouns import NOUNS, Noun, Verb, load
from keystead_enroll.remote.output import plain, show_facts, show_json, show_table

EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_UNREACHABLE = 1, 2, 3, 4
_ID = re.compile(r"[0-9a-f]{32}|\d{1,18}")
NOUN_OF = {noun.word: noun.name for noun in NOUNS}
_JSON = click.Option(["as_json", "--json"], is_flag=True, help="Print JSON.")
_YES = click.Option(["yes", "--yes"], is_flag=True, help="Do not ask.")


def connect() -> Remote:
    """The API that the environment or `keystead login` names. Raises RemoteError."""
    return Remote(find_access(os.environ, config_file()))


def advised(command: Callable[..., None]) -> Callable[..., None]:
    """Writes what went wrong as `error:` and `hint:` lines, and exits as the help says."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except RemoteError as error:
            click.echo(f"error: {error.detail}", err=True)
            for name, sentence in error.fields.items():
                click.echo(f"  {name.replace('_', ' ')}: {sentence}", err=True)
            if error.advice:
                click.echo(f"hint: {error.advice}", err=True)
            sys.exit(_exit_code(error))

    return run


def _exit_code(error: RemoteError) -> int:
    if isinstance(error, Refused):
        return EXIT_USAGE if error.status in (400, 422) else EXIT_FAILED if error.status >= 500 else EXIT_REFUSED
    return EXIT_UNREACHABLE if isinstance(error, NotReachable) else EXIT_USAGE


class NounGroup(click.Group):
    """The verbs of a noun. What they take is read from the API's inputs only once a command is wanted."""

    def __init__(self, noun: Noun) -> None:
        super().__init__(noun.name, help=noun.help)
        self._noun = noun
        self._makers = _makers(noun)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in a person's order."""
        return [*self._makers, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command."""
        maker = self._makers.get(cmd_name)
        return maker() if maker else super().get_command(ctx, cmd_name)


def noun_groups() -> list[click.Group]:
    """A group for every noun."""
    return [NounGroup(noun) for noun in NOUNS]


def _makers(noun: Noun) -> dict[str, Callable[[], click.Command]]:
    makers: dict[str, Callable[[], click.Command]] = {"list": lambda: _list(noun)}
    if noun.show:
        makers["show"] = lambda: _show(noun)
    if noun.create:
        makers["create"] = lambda: _create(noun)
    if noun.change:
        makers["change"] = lambda: _change(noun)
    for verb in noun.verbs:
        makers[verb.name] = lambda verb=verb: _verb(noun, verb)  # type: ignore[misc]
    if noun.delete:
        makers["delete"] = lambda: _delete(noun)
    return makers


def _list(noun: Noun) -> click.Command:
    @advised
    def run(search: str, sort: str, limit: int, every: bool, as_json: bool) -> None:
        params = {"q": search} | ({"sort": sort} if sort else {})
        rows = list(connect().pages(noun.path, params, None if every else limit))
        if as_json:
            show_json(rows)
            return
        show_table(rows, noun.columns, "Nothing was found.")
        if not every and len(rows) == limit and sys.stdout.isatty():
            click.echo(f"At most {limit} are shown; --limit or --all shows more.", err=True)

    return click.Command(
        "list",
        callback=run,
        params=[
            click.Option(["search", "--search", "-s"], default="", help=f"Words and fields, such as: {noun.search}"),
            click.Option(["sort", "--sort"], default="", help="A field to sort by; “-field” for descending."),
            click.Option(["limit", "--limit"], type=click.IntRange(1), default=50, show_default=True),
            click.Option(["every", "--all"], is_flag=True, help="All of them, however many."),
            _JSON,
        ],
        help=f"List them.\n\n\b\nExample:\n  keystead {noun.name} list --search '{noun.search}'",
    )


def _show(noun: Noun) -> click.Command:
    @advised
    def run(which: str, as_json: bool, place: str | None = None) -> None:
        remote = connect()
        found = remote.call("GET", thing_path(remote, noun, which, place))
        show_json(found) if as_json else show_facts(found)

    return click.Command(
        "show", callback=run, params=[_which(noun), *_place(noun), _JSON],
        help=f"Show one.\n\n\b\nExample:\n  keystead {noun.name} show {_example(noun)}",
    )  # fmt: skip


def _create(noun: Noun) -> click.Command:
    options = options_of(noun.model())

    @advised
    def run(as_json: bool, file: Path | None, key: str | None, **given: Any) -> None:
        remote = connect()
        body = with_ids(remote, body_of(options, given, file, ()))
        headers = {"idempotency-key": key} if key else {}
        made = remote.call("POST", noun.path, json=body, headers=headers)
        if as_json:
            show_json(made)
            return
        click.echo(f"created {made[noun.made]}")
        if noun.secret:
            secret = made.get(noun.secret)
            click.echo(secret if secret else "It was made before; what it opens was told then, once.")

    return click.Command(
        "create",
        callback=run,
        params=[
            *(option.declaration() for option in options),
            _file_option(),
            click.Option(["key", "--idempotency-key"], help="Sent again with the same key, it is created once."),
            _JSON,
        ],
        help=f"Make one.\n\n\b\nExample:\n  keystead {noun.name} create {_usage(options)}",
    )


def _change(noun: Noun) -> click.Command:
    options = options_of(noun.model(noun.changed))

    @advised
    def run(which: str, as_json: bool, file: Path | None, cleared: tuple[str, ...], **given: Any) -> None:
        remote = connect()
        body = with_ids(remote, body_of(options, given, file, cleared))
        if not body:
            raise click.UsageError("Nothing is to be changed: name a field.")
        changed = remote.call("PATCH", thing_path(remote, noun, which, place_asked=False), json=body)
        show_json(changed) if as_json else show_facts(changed)

    return click.Command(
        "change",
        callback=run,
        params=[
            _which(noun),
            *(option.declaration() for option in options),
            click.Option(["cleared", "--clear"], multiple=True, metavar="FIELD", help="Leave the field empty."),
            _file_option(),
            _JSON,
        ],
        help="Change what is named.\n\n\b\nExample:\n"
        f"  keystead {noun.name} change {_example(noun)} {_usage(options[-2:])}",
    )


def _delete(noun: Noun) -> click.Command:
    @advised
    def run(which: str, yes: bool, place: str | None = None) -> None:
        remote = connect()
        path = thing_path(remote, noun, which, place)
        _ask(f"Delete the {noun.word} “{which}”?", "", yes)
        remote.call("DELETE", path)
        click.echo("deleted")

    return click.Command(
        "delete", callback=run, params=[_which(noun), *_place(noun), _YES],
        help=f"Delete one.\n\n\b\nExample:\n  keystead {noun.name} delete {_example(noun)} --yes",
    )  # fmt: skip


def _verb(noun: Noun, verb: Verb) -> click.Command:
    options = options_of(load(verb.given)) if verb.given else []

    @advised
    def run(which: str, as_json: bool, yes: bool = True, place: str | None = None, **given: Any) -> None:
        remote = connect()
        path = thing_path(remote, noun, which, place)
        if verb.asks:
            _ask(f"{verb.name.replace('-', ' ').capitalize()} “{which}”?", verb.asks, yes)
        kwargs = {"json": with_ids(remote, body_of(options, given, None, ()))} if verb.given else {}
        answer = remote.call(verb.method, f"{path}{verb.path}", **kwargs)
        if as_json:
            show_json(answer)
        elif verb.told or answer is None:
            click.echo(verb.told or "done")
        elif len(answer) == 1:
            click.echo(plain(next(iter(answer.values()))))
        else:
            show_facts(answer)

    return click.Command(
        verb.name,
        callback=run,
        params=[
            _which(noun),
            *_place(noun),
            *(o.declaration() for o in options),
            *([_YES] if verb.asks else []),
            _JSON,
        ],
        help=f"{verb.help}\n\n\b\nExample:\n  keystead {noun.name} {verb.name} {_example(noun)} {_usage(options)}",
    )


def _which(noun: Noun) -> click.Argument:
    return click.Argument(["which"], metavar=(f"{noun.named.upper()}|ID" if noun.named else "ID"))


def _place(noun: Noun) -> list[click.Option]:
    """The option that tells things of one name apart, where organizations have them."""
    told = "Whose it is, if several have one of that name."
    return [click.Option(["place", "--organization"], help=told)] if noun.placed else []


def _example(noun: Noun) -> str:
    examples = {
        "email": "ada@example.org",
        "serial": "4f2a…",
        "sha256": "5c31…",
        "name": "'Example Hospital'",
        "": "5f0c4e1b…",
    }
    return examples[noun.named]


def _usage(options: list[Option]) -> str:
    return " ".join(f"{o.flag} …" for o in options[:3] if not o.boolean)


def _file_option() -> click.Option:
    return click.Option(
        ["file", "--file", "-f"], type=click.Path(path_type=Path), help="Fields from a YAML or JSON file; options win."
    )


def _ask(question: str, consequence: str, yes: bool) -> None:
    """Raises click.Abort unless it may go on."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("This asks before it goes on; give --yes where nobody can answer.")
    click.confirm(f"{consequence} {question}".strip(), abort=True, err=True)


def thing_path(
    remote: Remote, noun: Noun, which: str, organization: str | None = None, *, place_asked: bool = True
) -> str:
    """The path of one thing, called by its id or its name. `organization`: id or name of that whose it is.
    `place_asked`: whether the command has an option for it."""
    if _ID.fullmatch(which) and (noun.named != "serial" or len(which) == 32):
        return f"{noun.path}/{which}"
    if not noun.named:
        return f"{noun.path}/{quote(which, safe='')}"
    place = _ids(remote, *REFERENCES["organization_id"], organization)
    option = " Name its --organization, or give an id." if noun.placed and place_asked else ""
    return f"{noun.path}/{_id_of(remote, noun.word, noun.path, which, noun.named, place, option)}"


def _id_of(
    remote: Remote, kind: str, path: str, name: str, named: str = "name", place: str | None = None, option: str = ""
) -> str:
    """The id of the thing with this name, or whose serial number begins so, in the organization with the id `place` if
    that is given, or else for all of them. Raises Refused if there is none, or if there are several: then the advice
    says whose they are, and that `option` helps."""
    search, wanted = f'"{name.replace(chr(34), " ")}"', name.casefold()
    values = ((str(each[named]).casefold(), each) for each in remote.pages(path, {"q": search}, None))
    found = [each for value, each in values if value == wanted or (named == "serial" and value.startswith(wanted))]
    if place is not None:
        found = [each for each in found if place in _places(each)] or [each for each in found if not _places(each)]
    if len(found) == 1:
        return str(found[0]["id"])
    if not found:
        advice = f"`keystead {NOUN_OF.get(kind, kind.replace(' ', '-'))} list` shows those that you may see."
        raise Refused(404, f"There is no {kind} “{name}”.", advice, {})
    told = "; ".join(f"{each['id']}{_whose(remote, each)}" for each in found[:5])
    raise Refused(409, f"There are {len(found)} for “{name}”: {told}.", (option or "Give the id of one.").strip(), {})


def _places(thing: dict[str, Any]) -> list[str]:
    """The ids of the organizations that a thing is of."""
    one = thing.get("organization_id")
    return [one] if one else thing.get("organization_ids") or []


def _whose(remote: Remote, thing: dict[str, Any]) -> str:
    """Whose a thing is, in words."""
    names = [remote.call("GET", f"{REFERENCES['organization_id'][1]}/{each}")["name"] for each in _places(thing)[:3]]
    if names:
        return f" of “{'”, “'.join(names)}”"
    return " for all organizations" if "organization_ids" in thing else ""


def ids_of(remote: Remote, field: str, value: Any) -> Any:
    """The id, or the ids, that names stand for in a field of `REFERENCES`; ids stay. Raises Refused."""
    return _ids(remote, *REFERENCES[field], value)


def with_ids(remote: Remote, body: dict[str, Any]) -> dict[str, Any]:
    """`body` with ids instead of names, wherever a field refers to something else."""
    made = dict(body)
    for name in REFERENCES:
        if name in made:
            made[name] = _reference(remote, name, made)
    for grant in made.get("grants") or []:
        for name in ("organization_id", "department_id"):
            grant[name] = _reference(remote, name, grant)
    return made


def _reference(remote: Remote, name: str, body: dict[str, Any]) -> Any:
    """The ids that a field of `body` stands for. A department or a form is one of the organization that stands there
    too."""
    place = body.get("organization_id") if name in ("department_id", "form_id") else None
    return _ids(remote, *REFERENCES[name], body.get(name), place)


def _ids(remote: Remote, kind: str, path: str, value: Any, place: str | None = None) -> Any:
    if isinstance(value, list):
        return [_ids(remote, kind, path, each) for each in value]
    return value if value is None or _ID.fullmatch(value) else _id_of(remote, kind, path, value, place=place)
