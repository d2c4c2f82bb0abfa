"""Persons from a file in the console."""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.csv_import import Imported
from keystead_enroll.usecases.admin.person_import import import_persons
from keystead_enroll.web.console.csv_import import ImportPlace
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.tools import ConsoleTools


def person_imports(tools: ConsoleTools) -> ImportPlace:
    """Where persons come from a file."""

    def do(visitor: Visitor, content: bytes, check: bool) -> Imported:
        passwords = tools.enroll.passwords
        return import_persons(
            tools.transactions, tools.clock, visitor.actor, content, passwords=passwords, dry_run=check
        )

    return ImportPlace(
        base=f"{HOME}/persons",
        nav="persons",
        top=Words("Persons"),
        title=Words("Import persons"),
        intro=Words(
            "A CSV file in UTF-8, with a first line that names its columns, in any order: email, name, "
            "organization, and if you like department, upn, secret_id. Who is there already is changed, nobody is "
            "deleted. A column that is not in the file, and an empty Secret ID, leave things as they are."
        ),
        every=Words("All persons"),
        verb=lambda n: Words.plural("Import {n} person", "Import {n} persons", n),
        things=lambda n: Words.plural("{n} person", "{n} persons", n),
        do=do,
    )
