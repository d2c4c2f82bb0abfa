"""Attacks on registration tokens: more devices than a token is for, guesses, other organizations' machines."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from tests.integration.api.test_certificates import strangers
from tests.integration.test_registration_limits import made, new_key, sent, uses
from tests.support.administrators import master, officer
from tests.support.enroll_app import EnrollApp, enroll_app

from keystead_enroll.domain.administration import Grant, Role

AT_ONCE, LIMIT = 8, 3


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url) as app:
        yield app


def test_machines_that_register_at_the_same_moment_do_not_exceed_the_limit(app: EnrollApp) -> None:
    api, token = master(app), made(app, most_devices=LIMIT)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda key: sent(app, token["secret"], key), [new_key() for _ in range(AT_ONCE)]))
    assert sorted(answer.status_code for answer in answers) == [200] * LIMIT + [403] * (AT_ONCE - LIMIT)
    assert uses(api, token) == (LIMIT, "used_up")
    assert len(api.items("/devices")) == LIMIT, "who was refused left nothing behind"


def test_a_machine_that_registers_several_times_at_once_counts_once(app: EnrollApp) -> None:
    api, token, key = master(app), made(app, most_devices=1), new_key()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: sent(app, token["secret"], key), range(AT_ONCE)))
    assert {answer.status_code for answer in answers} == {200}
    assert uses(api, token) == (1, "used_up")


def test_a_refusal_does_not_tell_what_became_of_a_token(app: EnrollApp) -> None:
    api, known = master(app), new_key()
    place = api.create("/organizations", {"name": "Physics"})
    usable, over = made(app), made(app, name="Over", days=1)
    theirs = made(app, name="Theirs", organization_id=place)
    full, ended = made(app, name="Full", most_devices=1), made(app, name="Ended")
    for token, key in ((full, new_key()), (usable, known)):
        assert sent(app, token["secret"], key).status_code == 200
    api("POST", f"/registration-tokens/{ended['id']}/revocation")
    app.clock.shift = timedelta(days=2)
    tried = [
        sent(app, "ksr_" + "x" * 43),
        sent(app, over["secret"]),
        sent(app, full["secret"]),
        sent(app, ended["secret"]),
        sent(app, theirs["secret"], known),  # a device of another organization
    ]
    told = [(each.status_code, each.json() | {"reference": ""}) for each in tried]
    assert told == [told[0]] * len(told)
    assert told[0][0] == 403 and "used up" not in str(told[0][1])
    assert "raise its limit" in told[0][1]["advice"]


def test_a_token_of_another_organization_is_neither_changed_nor_revoked(app: EnrollApp) -> None:
    token = made(app)
    path = f"/registration-tokens/{token['id']}"
    elsewhere = strangers(app)[0]
    for method, address, body in (
        ("PATCH", path, {"most_devices": 1_000_000}), ("POST", f"{path}/revocation", None), ("DELETE", path, None),
    ):  # fmt: skip
        stranger = officer(app, elsewhere)
        assert stranger(method, address, json=body).status_code == 404, method
    assert sent(app, token["secret"]).status_code == 200


def test_an_officer_of_a_department_does_not_find_the_organization_s_tokens(app: EnrollApp) -> None:
    token, api = made(app), master(app)
    department = api.items("/departments")[0]
    drao = officer(app, Grant(Role.DRAO, department["organization_id"], department["id"]))
    assert drao("POST", f"/registration-tokens/{token['id']}/revocation").status_code == 404
    assert drao.items("/registration-tokens", q="state:usable") == []
