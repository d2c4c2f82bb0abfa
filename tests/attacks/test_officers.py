"""Officers and programs that try to know or to do more than their roles say, and the limits on guessing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.administrators import Api, administrator, api_token, master, officer
from tests.support.enroll_app import EnrollApp, enroll_app, problem_code

from keystead_contracts.base import CertificateType
from keystead_enroll.domain.administration import Grant, Role

CLIENT, SSL = frozenset({CertificateType.CLIENT}), frozenset({CertificateType.SSL})


@pytest.fixture
def app(sqlite_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(sqlite_url, redis_url) as app:
        yield app


@pytest.fixture
def places(app: EnrollApp) -> tuple[str, str]:
    """The set-up organization, with forms, and another one."""
    (hospital,) = master(app).items("/organizations")
    return str(hospital["id"]), master(app).create("/organizations", {"name": "Physics"})


def form(app: EnrollApp, organization: str, kind: str) -> str:
    """A form of this type that is delegated to one organization alone."""
    return master(app).create(
        "/forms", {"name": f"{kind} {organization}", "certificate_type": kind, "organization_ids": [organization]}
    )


def test_types_of_one_role_open_no_audit_lines_of_another(app: EnrollApp, places: tuple[str, str]) -> None:
    own, other = places
    hidden = form(app, own, "ssl")
    shown = [form(app, own, "client"), form(app, other, "ssl")]
    api = officer(app, Grant(Role.RAO, own, certificate_types=CLIENT), Grant(Role.RAO, other, certificate_types=SSL))
    about = {line["target_id"] for line in api.items("/audit")}
    assert about >= set(shown)
    assert hidden not in about


@pytest.mark.parametrize("role", ["rao", "mrao", "drao"])
def test_a_search_by_role_does_not_tell_of_roles_elsewhere(app: EnrollApp, places: tuple[str, str], role: str) -> None:
    own, other = places
    department = master(app).create("/departments", {"organization_id": own, "name": "Optics"})
    who = administrator(app, Grant(Role.DRAO, own, department), Grant(Role.RAO, other))
    found = officer(app, Grant(Role.RAO, own)).items("/administrators", q=f"role:{role} {who.email}")
    assert [each["id"] for each in found] == ([who.id] if role == "drao" else [])
    assert len(master(app).items("/administrators", q=f"role:rao {who.email}")) == 1


def test_tokens_of_one_who_has_more_roles_are_not_an_officers_to_end(app: EnrollApp, places: tuple[str, str]) -> None:
    own, other = places
    who = administrator(app, Grant(Role.RAO, own), Grant(Role.RAO, other))
    token = api_token(app, who)
    api = officer(app, Grant(Role.RAO, own))
    (shown,) = api.items("/tokens", q=f"administrator_id:{who.id}")
    refused = api("DELETE", f"/tokens/{shown['id']}")
    assert (refused.status_code, problem_code(refused)) == (403, "forbidden")
    assert Api(app, token)("GET", "/me").status_code == 200


def test_a_token_makes_no_tokens(app: EnrollApp) -> None:
    refused = master(app)("POST", "/tokens", json={"name": "more"})
    assert (refused.status_code, problem_code(refused)) == (403, "forbidden")


def test_a_token_may_no_more_than_it_says_though_its_owner_may(app: EnrollApp, places: tuple[str, str]) -> None:
    own, other = places
    api = Api(app, api_token(app, administrator(app), [Grant(Role.RAO, own)]))
    assert [each["id"] for each in api.items("/organizations")] == [own]
    assert api("GET", f"/organizations/{other}").status_code == 404
    assert api("POST", "/organizations", json={"name": "More"}).status_code == 403


def test_a_token_may_no_more_than_its_owner_though_it_says_so(app: EnrollApp, places: tuple[str, str]) -> None:
    own, _ = places
    api = Api(app, api_token(app, administrator(app, Grant(Role.RAO, own)), [Grant(Role.MRAO)]))
    assert api("GET", "/me").json()["grants"] == []
    for place in places:
        assert api("GET", f"/organizations/{place}").status_code == 404
    assert api.items("/persons") == []


def test_the_same_idempotency_key_of_two_is_two_creations(app: EnrollApp) -> None:
    headers, body = {"idempotency-key": "the-same"}, {"name": "Physics"}
    first = master(app).create("/organizations", body, headers=headers)
    second = master(app)("POST", "/organizations", json=body, headers=headers)
    assert second.status_code == 422, "the name is taken, as for everybody"
    assert first not in second.text


def test_guessing_tokens_from_one_network_is_limited(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, token_limit_address="3/hour") as app:
        right = master(app)
        assert right("GET", "/me").status_code == 200
        guesses = [Api(app, f"ksa_{number}")("GET", "/me") for number in range(4)]
        assert [answer.status_code for answer in guesses] == [401, 401, 401, 429]
        assert int(guesses[-1].headers["retry-after"]) > 0
        assert right("GET", "/me").status_code == 429, "the right one does not come through either"


def test_right_tokens_use_no_guesses_up(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, token_limit_address="3/hour") as app:
        right = master(app)
        assert [right("GET", "/me").status_code for _ in range(6)] == [200] * 6


def test_guessing_tokens_is_limited_without_redis(sqlite_url: str) -> None:
    with enroll_app(sqlite_url, "redis://127.0.0.1:1/0", token_limit_address="3/hour") as app:
        assert [Api(app, "ksa_x")("GET", "/me").status_code for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer ksa_", "bearer ksr_x", "Basic a3NhX3g6", "Bearer a b", "Bearer ksa_ä"]
)
def test_what_is_no_token_opens_nothing(app: EnrollApp, header: str) -> None:
    answer = app.client().get("/api/v1/me", headers={"authorization": header.encode()})
    assert (answer.status_code, problem_code(answer)) == (401, "unauthenticated")
