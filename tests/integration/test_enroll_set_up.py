"""The set-up file against what is stored, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.enroll_app import (
    LICENCE,
    SETUP,
    EnrollApp,
    settings,
)

from keystead_enroll.bootstrap import build
from keystead_enroll.domain.refusals import DeclarationInvalid


def test_applying_the_same_set_up_again_changes_and_tells_nothing(app: EnrollApp) -> None:
    told = app.facts("form_published")
    assert len(told) == len(SETUP["forms"])
    assert app.apply(SETUP) == app.uris
    assert app.facts("form_published") == told


def test_a_profile_keeps_its_type(app: EnrollApp) -> None:
    server = next(p for p in SETUP["profiles"] if p["name"] == "Server")
    with pytest.raises(DeclarationInvalid) as refused:
        app.apply({"profiles": [server | {"name": "Person"}]})
    [mistake] = refused.value.mistakes
    assert mistake.text == "profile “Person”: its certificate type cannot be changed"


def test_a_changed_set_up_is_told_with_a_higher_version(app: EnrollApp) -> None:
    changed = SETUP["organizations"][0] | {"email_domains": ["example.org", "example.com"]}
    app.apply({"organizations": [changed]})
    told = [fact for fact in app.facts("form_published") if fact["form"] == app.uris["Staff"]]
    told.sort(key=lambda fact: int(fact["version"]))
    assert [fact["email_domains"] for fact in told] == [["example.org"], ["example.com", "example.org"]]
    assert told[0]["version"] < told[1]["version"]


def test_a_form_that_moves_is_withdrawn_at_its_old_address(app: EnrollApp) -> None:
    moved = SETUP["forms"][0] | {"uri_extension": "new-address"}
    assert app.apply({"forms": [moved]}) == {"Staff": "new-address"}
    told = {(f["form"], f["withdrawn"]) for f in app.facts("form_published")}
    assert {(app.uris["Staff"], True), ("new-address", False)} <= told


def test_a_form_at_an_address_that_another_had_is_told_with_a_higher_version(app: EnrollApp) -> None:
    app.apply({"forms": [{"name": "Old", "type": "client", "uri_extension": "staff"}]})
    app.apply({"forms": [{"name": "Old", "type": "client", "uri_extension": "staff-old"}]})
    app.apply({"forms": [{"name": "New", "type": "client", "uri_extension": "staff"}]})
    told = [fact for fact in app.facts("form_published") if fact["form"] == "staff"]
    newest = max(told, key=lambda fact: int(fact["version"]))
    assert (newest["name"], newest["withdrawn"]) == ("New", False)
    assert len({fact["version"] for fact in told}) == 3


def test_what_would_be_done_is_told_and_not_done(app: EnrollApp) -> None:
    told = app.facts("form_published")
    moved = SETUP["forms"][0] | {"uri_extension": "new-address"}
    applied = app.applied({"organizations": [{"name": "New"}], "forms": [moved]}, check=True)
    assert [(done.change, done.thing, done.fields) for done in applied.done] == [
        ("created", "organization “New”", ()),
        ("withdrawn", f"address /e/{app.uris['Staff']} of form “Staff”", ()),
        ("changed", "form “Staff”", ("uri_extension",)),
        ("unchanged", "account “Staff” of form “Staff”", ()),
    ]
    assert app.facts("form_published") == told
    assert app.apply(SETUP) == app.uris
    with app.enroll.transactions.read() as tx:
        assert [organization.name for organization in tx.organizations()] == ["Example Hospital"]


def test_a_profile_keeps_its_certificate_type(app: EnrollApp) -> None:
    with pytest.raises(DeclarationInvalid, match="profile “Person”: its certificate type cannot be changed"):
        app.apply(
            {
                "profiles": [
                    SETUP["profiles"][0] | {"type": "ssl", "subject": "CN={fqdn}", "subject_alternative_names": []}
                ]
            }
        )


def test_whoever_gets_a_link_for_a_wildcard_domain_is_let_in(app: EnrollApp) -> None:
    app.apply({"organizations": [SETUP["organizations"][0] | {"email_domains": ["example.org", "*.wild.example"]}]})
    assert app.browser(email="eve@mail.wild.example").get("/request").status_code == 200
    assert app.browser(email="eve@wild.example").get("/request").status_code == 403


def test_all_mistakes_against_the_stored_set_up_are_told_and_nothing_is_changed(app: EnrollApp) -> None:
    account = {"name": "New", "organization": "Nobody", "profiles": ["Person"]}
    with pytest.raises(DeclarationInvalid) as refused:
        app.apply(
            {
                "organizations": [{"name": "Left out"}],
                "licence": {"version": LICENCE, "text": "Be bad."},
                "forms": [
                    {"name": "A", "type": "client", "accounts": [account]},
                    {
                        "name": "B",
                        "type": "ssl",
                        "accounts": [
                            account | {"organization": "Example Hospital", "department": "None", "profiles": ["X"]},
                            account | {"name": "Second", "organization": "Example Hospital"},
                        ],
                    },
                    {"name": "Staff", "type": "ssl"},
                    {"name": "C", "type": "client", "uri_extension": app.uris["Coded"]},
                    {
                        "name": "D",
                        "type": "client",
                        "accounts": [
                            account
                            | {
                                "organization": "Example Hospital",
                                "authorization": "access_code",
                                "access_code": "RAD2026",
                            }
                        ],
                    },
                ],
                "registration_tokens": [
                    {"name": "a", "token": "z" * 16, "organization": "Nobody"},
                    {"name": "b", "token": "0123456789abcdef", "organization": "Example Hospital"},
                ],
            }
        )
    told = "\n".join(str(mistake) for mistake in refused.value.mistakes)
    for text in (
        "licence “2026-11”",
        "there is no organization “Nobody”",
        "there is no department “None”",
        "there is no profile “X”",
        "is for client certificates",
        "its certificate type cannot be changed",
        "another form has this uri_extension",
        "another account has this access code already",
        "registration token “a”",
        "another one has this token",
    ):
        assert text in told
    assert "RAD2026" not in told
    assert "Radiology staff" not in told
    with app.enroll.transactions.read() as tx:
        assert "Left out" not in {o.name for o in tx.organizations()}


@pytest.mark.postgres
def test_migrations_from_nothing_give_the_models_schema(database_url: str, redis_url: str) -> None:
    enroll = build(settings(database_url, redis_url))
    migrations = enroll.migrations()
    assert migrations.drift() != []
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(migrations.upgrade) for _ in range(1 if enroll.database.is_sqlite else 2)]:
            done.result()
    migrations.upgrade()
    assert migrations.drift() == []
    enroll.close()
