"""Registration tokens for a group of machines: how many may register, until when, and who came with which."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from tests.integration.api.test_devices import hospital
from tests.integration.test_enroll_devices import Key, registration
from tests.integration.test_provided_csr import text_of
from tests.support.administrators import Api, console, master
from tests.support.enroll_app import ADA, EnrollApp, problem_code

from keystead_contracts.agent import Routes


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def made(app: EnrollApp, **changes: Any) -> dict[str, Any]:
    """A token of the hospital's: its id and secret."""
    body = {"name": "Lab", "organization_id": hospital(app), "group": "Laptops 2027"} | changes
    answer: dict[str, Any] = master(app)("POST", "/registration-tokens", json=body).json()
    return answer


def sent(app: EnrollApp, secret: str, key: Key | None = None) -> httpx.Response:
    return app.client().post(Routes.DEVICES, json=registration(app, key or new_key(), registration_token=secret))


def uses(api: Api, token: dict[str, Any]) -> tuple[int, str]:
    shown = api("GET", f"/registration-tokens/{token['id']}").json()
    return shown["uses"], shown["state"]


def test_a_token_registers_as_many_devices_as_it_is_for(app: EnrollApp) -> None:
    api, first = master(app), new_key()
    token = made(app, most_devices=2)
    assert uses(api, token) == (0, "usable")
    assert sent(app, token["secret"], first).status_code == 200
    assert sent(app, token["secret"], first).status_code == 200
    assert uses(api, token) == (1, "usable")
    assert sent(app, token["secret"]).status_code == 200
    refused = sent(app, token["secret"])
    assert (refused.status_code, problem_code(refused)) == (403, "registration-refused")
    assert uses(api, token) == (2, "used_up")
    assert sent(app, token["secret"], first).status_code == 200, "a device that is here already is no new one"
    api("DELETE", f"/devices/{api.items('/devices')[0]['id']}")
    assert sent(app, token["secret"]).status_code == 403
    assert api("PATCH", f"/registration-tokens/{token['id']}", json={"most_devices": 3}).json()["state"] == "usable"
    assert sent(app, token["secret"]).status_code == 200
    assert uses(api, token) == (3, "used_up")


def test_a_device_knows_its_group_and_by_which_token_it_came(app: EnrollApp) -> None:
    api = master(app)
    token, other = made(app), made(app, name="Other", group="")
    device = sent(app, token["secret"]).json()["device_id"]
    sent(app, other["secret"])
    shown = api("GET", f"/devices/{device}").json()
    assert [shown[name] for name in ("group", "registration_token", "registration_token_id")] == [
        "Laptops 2027", "Lab", token["id"],
    ]  # fmt: skip
    for search in ("group:2027", "token:lab", f"token_id:{token['id']}", "Laptops"):
        assert [each["id"] for each in api.items("/devices", q=search)] == [device], search
    assert api.items("/devices", q="connected:yes") == []
    assert len(api.items("/devices", q="connected:no assurance:software")) == 2
    visit = console(app)
    page = visit.get(f"/devices/{device}").text
    assert "Laptops 2027" in page and f'/console/registration-tokens/{token["id"]}">Lab</a>' in page
    api("DELETE", f"/registration-tokens/{token['id']}")
    page = visit.get(f"/devices/{device}").text
    assert "Lab" in text_of(page) and "/console/registration-tokens/" not in page


def test_a_registration_again_does_not_change_by_which_token_a_device_came(app: EnrollApp) -> None:
    api, key = master(app), new_key()
    first, second = made(app), made(app, name="Second", group="Desktops")
    assert sent(app, first["secret"], key).json() == sent(app, second["secret"], key).json()
    assert uses(api, second) == (0, "usable")
    assert [each["group"] for each in api.items("/devices")] == ["Laptops 2027"]


def test_tokens_are_found_by_what_they_are_worth(app: EnrollApp) -> None:
    api = master(app)
    usable, full, over, ended = (
        made(app, name=name, days=days, most_devices=most)
        for name, days, most in (("A", 30, 5), ("B", 30, 1), ("C", 1, None), ("D", 30, None))
    )
    sent(app, full["secret"])
    api("POST", f"/registration-tokens/{ended['id']}/revocation")
    app.clock.shift = timedelta(days=2)
    api = master(app)
    for state, token in (("usable", usable), ("used_up", full), ("expired", over), ("revoked", ended)):
        assert [each["id"] for each in api.items("/registration-tokens", q=f"state:{state} group:laptops")] == [
            token["id"]
        ]
        assert uses(api, token)[1] == state


def test_a_revoked_token_stays_revoked_and_known(app: EnrollApp) -> None:
    api = master(app)
    token = made(app)
    key = new_key()
    assert sent(app, token["secret"], key).status_code == 200
    for _ in range(2):
        shown = api("POST", f"/registration-tokens/{token['id']}/revocation").json()
        assert (shown["state"], shown["uses"], shown["created_by"]) == ("revoked", 1, "Grace Hopper (test)")
    assert sent(app, token["secret"], key).status_code == 403
    changed = api("PATCH", f"/registration-tokens/{token['id']}", json={"most_devices": 9})
    assert (changed.status_code, problem_code(changed)) == (409, "conflict")
    lines = api.items("/audit", q=f"target_id:{token['id']}")
    assert [line["action"] for line in lines] == ["registration_token.revoke", "registration_token.create"]
    assert lines[1]["details"] == {"days": 30, "owner": None, "group": "Laptops 2027", "most_devices": None}


def test_more_time_is_given(app: EnrollApp) -> None:
    token = made(app, days=1)
    app.clock.shift = timedelta(days=2)
    api = master(app)
    assert sent(app, token["secret"]).status_code == 403
    later = (app.clock.now() + timedelta(days=3)).isoformat()
    assert api("PATCH", f"/registration-tokens/{token['id']}", json={"expires_at": later}).json()["state"] == "usable"
    assert sent(app, token["secret"]).status_code == 200
    naive = api("PATCH", f"/registration-tokens/{token['id']}", json={"expires_at": "2027-01-01T00:00:00"})
    assert list(naive.json()["fields"]) == ["expires_at"]


def test_the_console_makes_changes_and_revokes_a_token_with_limits(lite: EnrollApp) -> None:
    app = lite
    visit, place = console(app), hospital(app)
    made_page = visit.send(
        "/registration-tokens/new", name="Lab", organization_id=place, group="Laptops", most_devices="2", days="7"
    )
    assert "ksr_" in made_page.text
    token = master(app).items("/registration-tokens", q="Lab")[0]
    assert (token["most_devices"], token["group"]) == (2, "Laptops")
    listed = text_of(visit.get("/registration-tokens").text)
    assert "0 of 2" in listed and "Lets machines in" in listed
    path = f"/registration-tokens/{token['id']}"
    for mistake in ({"days": "0"}, {"days": "x"}, {"most_devices": "-1", "days": ""}):
        field = "most_devices" if "most_devices" in mistake else "days"
        fields = {"group": "Laptops", "owner": "", "most_devices": "2"} | mistake
        visit.get(f"{path}/change")
        assert f'id="f-{field}-error"' in visit.mistakes(visit.post(f"{path}/change", **fields))
    saved = visit.follow(visit.send(f"{path}/change", group="Desktops", owner=ADA, most_devices="", days=""))
    assert "Saved." in saved.text and "Desktops" in saved.text
    after = master(app)("GET", path).json()
    assert (after["most_devices"], after["owner"], after["expires_at"]) == (None, ADA, token["expires_at"])
    gone = visit.follow(visit.send(f"{path}/revoke"))
    assert "Revoked." in gone.text and f"{path}/change" not in gone.text and f"{path}/delete" in gone.text


def test_a_declared_token_has_limits_and_keeps_those_that_the_file_leaves_out(lite: EnrollApp) -> None:
    app = lite
    token: dict[str, Any] = {
        "name": "Declared", "token": "a token of the hospital's", "organization": "Example Hospital",
    }  # fmt: skip
    limits = {"group": "Carts", "most_devices": 40, "expires_at": "2031-01-31"}
    assert app.applied({"registration_tokens": [token | limits]}).counts["created"] == 1
    api = master(app)
    (shown,) = api.items("/registration-tokens", q="Declared")
    assert shown["expires_at"].startswith("2031-01-31T00:00:00") and shown["most_devices"] == 40
    assert app.applied({"registration_tokens": [token]}).counts["unchanged"] >= 1
    assert api.items("/registration-tokens", q="Declared") == [shown]
    changed = app.applied({"registration_tokens": [token | limits | {"most_devices": None, "group": "Trolleys"}]})
    assert [each.fields for each in changed.done if each.fields] == [("group", "most_devices")]
    with pytest.raises(ValidationError, match="most_devices"):
        app.apply({"registration_tokens": [token | {"most_devices": 0}]})
