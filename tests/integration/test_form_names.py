"""Names of forms: unique in each organization, and nothing is lost on the way from where they were unique at all."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import select, table, text
from tests.support.administrators import Api, master, officer
from tests.support.enroll_app import SETUP, EnrollApp, issued, migrate

from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.enrollment import EnrollmentForm
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_kit.migrations import Migrations

FORM: dict[str, Any] = {"name": "Badges", "certificate_type": "client", "methods": ["email"]}
BEFORE = "0010"
REFERRING = ("enrollment_forms", "web_form_accounts", "portal_sessions", "orders", "order_transitions", "certificates")
CUT = """
import os, signal, sys
from sqlalchemy import event
from keystead_enroll.adapters import tables
from keystead_enroll.bootstrap import MIGRATIONS
from keystead_kit.db import Database
from keystead_kit.migrations import Migrations

database = Database(sys.argv[1])

@event.listens_for(database.engine, "after_cursor_execute")
def cut(_connection, _cursor, statement, *_rest):
    if statement.strip().startswith(("DROP TABLE enrollment_forms", "ALTER TABLE enrollment_forms DROP")):
        os.kill(os.getpid(), signal.SIGKILL)

Migrations(database, tables.metadata, MIGRATIONS).upgrade()
"""


Rows = dict[str, dict[str, dict[str, Any]]]


def rows(app: EnrollApp) -> Rows:
    """All that is stored of forms and of what refers to them, as column → value."""
    with app.enroll.database.read() as session:
        every = {name: select(text("*")).select_from(table(name)) for name in REFERRING}
        found = {name: session.execute(query).mappings().all() for name, query in every.items()}
    return {name: {str([*row.values()][:2]): dict(row) for row in listed} for name, listed in found.items()}


def within(smaller: Rows, greater: Rows) -> bool:
    """Whether the rows are the same, but for columns that came later."""
    return all(
        smaller[name].keys() == listed.keys()
        and all(smaller[name][key].items() <= row.items() for key, row in listed.items())
        for name, listed in greater.items()
    )


def mistakes(api: Api, method: str, path: str, **body: Any) -> list[str]:
    answer = api(method, path, json=body)
    assert answer.status_code == 422, answer.text
    return list(answer.json()["fields"])


def test_nobody_learns_what_the_forms_of_others_are_called(app: EnrollApp) -> None:
    api = master(app)
    own, other = (api.create("/organizations", {"name": name}) for name in ("Physics", "Chemistry"))
    api.create("/forms", FORM | {"organization_ids": [other]})
    rao = officer(app, Grant(Role.RAO, own))
    mine = rao.create("/forms", FORM | {"organization_ids": [own]})
    second = rao.create("/forms", FORM | {"name": "Second", "organization_ids": [own]})
    assert rao("PATCH", f"/forms/{second}", json={"name": "Staff"}).status_code == 200
    assert [found["id"] for found in rao.items("/forms") if found["name"] == "Badges"] == [mine]


def test_an_organization_has_no_two_forms_of_one_name(app: EnrollApp) -> None:
    api = master(app)
    own, other = (api.create("/organizations", {"name": name}) for name in ("Physics", "Chemistry"))
    api.create("/forms", FORM | {"organization_ids": [own]})
    theirs = api.create("/forms", FORM | {"organization_ids": [other]})
    to_all = api.create("/forms", FORM)
    second = api.create("/forms", FORM | {"name": "Second"})
    assert mistakes(api, "POST", "/forms", **FORM, organization_ids=[own]) == ["name"]
    assert mistakes(api, "POST", "/forms", **FORM) == ["name"]
    assert mistakes(api, "PATCH", f"/forms/{theirs}", organization_ids=[other, own]) == ["name"]
    assert mistakes(api, "PATCH", f"/forms/{second}", name="Badges") == ["name"]
    assert mistakes(api, "PATCH", f"/forms/{to_all}", organization_ids=[own]) == ["name"]


def test_a_name_is_free_again_when_its_form_has_another_or_is_gone(app: EnrollApp) -> None:
    api = master(app)
    for end in (("PATCH", {"name": "Cards"}), ("DELETE", None)):
        made = api.create("/forms", FORM)
        assert api(end[0], f"/forms/{made}", **({"json": end[1]} if end[1] else {})).is_success
    api.create("/forms", FORM)


def test_nobody_learns_what_the_accounts_of_others_are_called(app: EnrollApp) -> None:
    api = master(app)
    own, other = (api.create("/organizations", {"name": name}) for name in ("Physics", "Chemistry"))
    staff = next(form for form in api.items("/forms") if form["name"] == "Staff")["id"]
    account = {"form_id": staff, "name": "Faculty", "profile_ids": [app.profile("Person")]}
    theirs = api.create("/accounts", account | {"organization_id": other})
    rao = officer(app, Grant(Role.RAO, own))
    mine = rao.create("/accounts", account | {"organization_id": own})
    assert mistakes(rao, "POST", "/accounts", **account, organization_id=own) == ["name"]
    assert mistakes(api, "PATCH", f"/accounts/{theirs}", organization_id=own) == ["name"]
    second = rao.create("/accounts", account | {"name": "Guests", "organization_id": own})
    assert mistakes(rao, "PATCH", f"/accounts/{second}", name="Faculty") == ["name"]
    migrate(app, Migrations.downgrade, BEFORE)
    names = {row["id"]: row["name"] for row in rows(app)["web_form_accounts"].values()}
    first, last = sorted([theirs, mine])
    assert (names[first], names[last]) == ("Faculty", f"Faculty {last}")
    migrate(app, Migrations.upgrade, "head")
    assert app.enroll.migrations().drift() == []


def test_the_database_takes_no_name_twice_whatever_happens_at_once(app: EnrollApp) -> None:
    with app.enroll.transactions.write() as tx:
        staff, coded = (next(form for form in tx.forms() if form.name == name) for name in ("Staff", "Coded"))
        twin = EnrollmentForm("f" * 32, "Staff", staff.certificate_type, "twin", list(staff.methods))
        assert not tx.add_first(twin)
        assert not tx.set_first(coded, {"name": "Staff"})
        assert coded.name == "Coded"


def test_a_set_up_file_declares_forms_of_one_name_for_two_organizations(lite: EnrollApp) -> None:
    places = [{"name": "Physics"}, {"name": "Chemistry"}]
    forms = [{"name": "Badges", "type": "client", "organizations": [place["name"]]} for place in places]
    made = lite.apply({"organizations": places, "forms": forms})
    assert set(made) == {"Badges (Physics)", "Badges (Chemistry)"}
    assert lite.apply({"forms": [forms[1] | {"help_text": "Ask us."}, forms[0]]}) == made
    with lite.enroll.transactions.read() as tx:
        assert sorted(f.help_text for f in tx.forms() if f.name == "Badges") == ["", "Ask us."]
    with pytest.raises(DeclarationInvalid, match="form “Badges” of organization “Physics” is declared twice"):
        lite.apply({"forms": [forms[0], forms[0]]})
    with pytest.raises(DeclarationInvalid, match="several forms have this name"):
        lite.apply({"forms": [forms[0] | {"organizations": []}]})


def test_a_set_up_file_declares_accounts_of_one_name_for_two_organizations(lite: EnrollApp) -> None:
    lite.apply({"organizations": [{"name": "Physics"}, {"name": "Chemistry"}]})
    accounts = [{"name": "Faculty", "organization": name, "profiles": ["Person"]} for name in ("Physics", "Chemistry")]
    badges = {"name": "Badges", "type": "client", "accounts": accounts}
    lite.apply({"forms": [badges]})
    applied = lite.applied({"forms": [badges | {"accounts": [accounts[1] | {"automatic_approval": False}]}]})
    assert [(done.change, done.fields) for done in applied.done][1:] == [("changed", ("automatic_approval",))]
    with lite.enroll.transactions.read() as tx:
        form = next(form for form in tx.forms() if form.name == "Badges")
        assert sorted(account.automatic_approval for account in tx.accounts(form.id)) == [False, True]
    with pytest.raises(DeclarationInvalid, match="account “Faculty” of form “Badges” is declared twice"):
        lite.apply({"forms": [badges | {"accounts": [accounts[0], accounts[0]]}]})


def test_a_set_up_file_leaves_the_form_of_another_organization_alone(lite: EnrollApp) -> None:
    lite.apply({"organizations": [{"name": "Physics"}, {"name": "Chemistry"}]})
    theirs = lite.apply({"forms": [{"name": "Badges", "type": "client", "organizations": ["Physics"]}]})
    own = lite.apply({"forms": [{"name": "Badges", "type": "client", "organizations": ["Chemistry"]}]})
    assert own["Badges"] != theirs["Badges"]


def test_a_set_up_file_delegates_a_form_that_was_for_all(lite: EnrollApp) -> None:
    narrower = SETUP["forms"][0] | {"organizations": ["Example Hospital"]}
    assert lite.apply({"forms": [narrower]}) == {"Staff": lite.uris["Staff"]}
    assert lite.apply({"forms": [SETUP["forms"][0]]}) == {"Staff": lite.uris["Staff"]}


@pytest.mark.postgres
def test_migrating_there_and_back_loses_no_form_and_nothing_that_refers_to_one(app: EnrollApp) -> None:
    issued(app)
    before = rows(app)
    assert all(before.values())
    migrate(app, Migrations.downgrade, BEFORE)
    assert within(rows(app), before)
    migrate(app, Migrations.upgrade, "head")
    assert rows(app) == before
    assert app.enroll.migrations().drift() == []
    assert mistakes(master(app), "POST", "/forms", **FORM | {"name": "Staff"}) == ["name"]
    issued(app)


@pytest.mark.postgres
def test_the_schema_goes_back_with_forms_of_one_name(app: EnrollApp) -> None:
    api = master(app)
    places = [api.create("/organizations", {"name": name}) for name in ("Physics", "Chemistry")]
    first, second = sorted(api.create("/forms", FORM | {"organization_ids": [place]}) for place in places)
    migrate(app, Migrations.downgrade, BEFORE)
    names = {row["id"]: row["name"] for row in rows(app)["enrollment_forms"].values()}
    assert (names[first], names[second]) == ("Badges", f"Badges {second}")
    migrate(app, Migrations.upgrade, "head")
    assert app.enroll.migrations().drift() == []


@pytest.mark.postgres
def test_a_migration_that_is_cut_off_has_done_nothing(app: EnrollApp) -> None:
    issued(app)
    before = rows(app)
    migrate(app, Migrations.downgrade, BEFORE)
    app.enroll.database.close()
    url = app.enroll.database.url.render_as_string(hide_password=False)
    cut = subprocess.run([sys.executable, "-c", CUT, url], capture_output=True, text=True)
    assert cut.returncode == -9, cut.stderr
    assert within(rows(app), before)
    migrate(app, Migrations.upgrade, "head")
    assert rows(app) == before
    assert app.enroll.migrations().drift() == []


def test_a_migration_that_would_lose_what_rows_refer_to_is_refused(lite: EnrollApp) -> None:
    def lose(migrations: Migrations, _revision: str) -> None:
        with migrations._changing() as connection:
            connection.exec_driver_sql("DELETE FROM enrollment_forms")

    before = rows(lite)
    with pytest.raises(RuntimeError, match="references to nothing in enrollment_form_names, web_form_accounts"):
        migrate(lite, lose, "")
    assert rows(lite) == before
