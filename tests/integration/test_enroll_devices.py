"""Registered devices: registration, signed assertions, pushed jobs."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.support.administrators import master
from tests.support.enroll_app import (
    BOB,
    MACHINE,
    REGISTRATION_TOKEN,
    Agent,
    EnrollApp,
    enroll_app,
    problem_code,
    public_pem,
)
from tests.support.servers import PostgresServer, RedisServer
from tests.unit.enroll_pki.samples import evidence, tpm2b, tpmt_public

from keystead_contracts.agent import RegistrationRequest, Routes, SoftwareEvidence, registration_proof_input

Key = ec.EllipticCurvePrivateKey


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kept(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    _redis: RedisServer,
    _postgres: PostgresServer,
) -> Iterator[EnrollApp]:
    """One enroll for all refusals: they leave nothing behind."""
    with _postgres.database() as postgres_url:
        sqlite_url = f"sqlite:///{tmp_path_factory.mktemp('kept')}/test.db"
        with enroll_app(sqlite_url if request.param == "sqlite" else postgres_url, _redis.url) as app:
            yield app


@dataclass
class Registered:
    id: str
    key: Key


def registration(app: EnrollApp, key: Any, **changes: Any) -> dict[str, Any]:
    """A registration's body, as an agent with a software key sends it."""
    token = changes.get("registration_token", REGISTRATION_TOKEN)
    proof = key.sign(registration_proof_input(app.origin, token), ec.ECDSA(hashes.SHA256()))
    values = {
        "registration_token": token,
        "machine": MACHINE,
        "public_key_pem": public_pem(key),
        "proof": base64.b64encode(proof).decode(),
        "evidence": SoftwareEvidence(),
    }
    return RegistrationRequest(**(values | changes)).model_dump(mode="json")


def register(app: EnrollApp, client: httpx.Client, **changes: Any) -> Registered:
    """A registered device of Ada's."""
    key = ec.generate_private_key(ec.SECP256R1())
    response = client.post(Routes.DEVICES, json=registration(app, key, **changes))
    assert response.status_code == 200, response.text
    return Registered(response.json()["device_id"], key)


def assertion(app: EnrollApp, device: Registered, *, key: Any = None, algorithm: str = "ES256", **changes: Any) -> str:
    """A device's signed assertion; a change to None leaves the claim out."""
    now = int(time.time())
    claims = {
        "iss": device.id,
        "sub": device.id,
        "aud": app.origin,
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_hex(16),
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key or device.key, algorithm=algorithm)


def signed_in(app: EnrollApp, device: Registered, client: httpx.Client) -> Agent:
    """The device's agent with a bearer token."""
    agent = Agent(app, client)
    response = client.post(Routes.TOKEN, json={"assertion": assertion(app, device)})
    assert response.status_code == 200, response.text
    agent.token = response.json()["access_token"]
    return agent


def test_a_registered_device_gets_its_owners_orders(app: EnrollApp) -> None:
    device = register(app, app.client())
    agent = signed_in(app, device, app.client())
    assert agent.recipient == f"device:{device.id}"
    browser = app.browser()
    assert "laptop" in browser.get(f"/request?profile={app.profile('Person')}").text
    order_id = browser.order(target=device.id)
    [job] = agent.jobs()
    assert agent.report(agent.csr_report(job)).status_code == 200
    app.work()
    [job] = agent.jobs()
    assert agent.report(agent.installed_report(job)).json() == {"order_state": "installed"}
    assert app.order(order_id).machine == "laptop"


def test_what_is_to_be_a_persons_alone_is_given_to_no_registered_device(app: EnrollApp) -> None:
    api, server = master(app), app.profile("Server")
    device, browser = register(app, app.client()), app.browser("Servers")
    assert "laptop" in browser.get(f"/request?profile={server}").text
    api("PATCH", f"/profiles/{server}", json={"scope": "user"})
    assert "laptop" not in browser.get(f"/request?profile={server}").text
    told = browser.mistakes(browser.request("Server", dns_names="www.example.org", target=device.id))
    assert "The choices on this page have changed." in told


def test_another_persons_device_cannot_be_chosen(app: EnrollApp) -> None:
    device = register(app, app.client())
    browser = app.browser(email=BOB)
    assert "laptop" not in browser.get(f"/request?profile={app.profile('Person')}").text
    assert "The choices on this page have changed." in browser.mistakes(browser.request(target=device.id))
    owner = app.browser()
    assert "not registered for you any more" in owner.mistakes(owner.request(target="f" * 32))


def test_the_same_key_registers_once(app: EnrollApp) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    ids = {app.client().post(Routes.DEVICES, json=registration(app, key)).json()["device_id"] for _ in range(2)}
    assert len(ids) == 1


def test_one_key_that_registers_several_times_at_once_is_one_device(app: EnrollApp) -> None:
    body = registration(app, ec.generate_private_key(ec.SECP256R1()))
    clients = [app.client() for _ in range(6)]
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(lambda client: client.post(Routes.DEVICES, json=body), clients))
    assert [answer.status_code for answer in answers] == [200] * len(clients)
    assert len({answer.json()["device_id"] for answer in answers}) == 1


def test_a_device_shows_evidence_for_its_own_key(app: EnrollApp) -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    good = registration(app, key, evidence=evidence(tpm2b(tpmt_public(key.public_key()))))
    bad = registration(app, key, evidence=evidence(tpm2b(tpmt_public(other.public_key()))))
    refused = app.client().post(Routes.DEVICES, json=bad)
    assert (refused.status_code, problem_code(refused)) == (422, "evidence-refused")
    assert app.client().post(Routes.DEVICES, json=good).status_code == 200


def _other_origin(app: EnrollApp, key: Key) -> dict[str, Any]:
    proof = key.sign(registration_proof_input("https://evil.example", REGISTRATION_TOKEN), ec.ECDSA(hashes.SHA256()))
    return registration(app, key, proof=base64.b64encode(proof).decode())


REFUSED: dict[str, Callable[[EnrollApp, Key], dict[str, Any]]] = {
    "unknown token": lambda app, key: registration(app, key, registration_token="x" * 16),
    "half a surrogate": lambda app, key: registration(app, key) | {"registration_token": "\ud800" * 16},
    "proof for another server": _other_origin,
    "no proof": lambda app, key: registration(app, key, proof="AAAA"),
    "another's key": lambda app, key: registration(
        app, key, public_key_pem=public_pem(ec.generate_private_key(ec.SECP256R1()))
    ),
    "no key": lambda app, key: registration(app, key, public_key_pem="no key"),
    "a curve nobody uses": lambda app, key: registration(
        app, key, public_key_pem=public_pem(ec.generate_private_key(ec.SECP256K1()))
    ),
    "a short key": lambda app, key: registration(
        app,
        key,
        public_key_pem=public_pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 that is the point
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_registration_that_proves_nothing_is_refused(kept: EnrollApp, what: str) -> None:
    app = kept
    body = REFUSED[what](app, ec.generate_private_key(ec.SECP256R1()))
    response = app.client().post(Routes.DEVICES, content=json.dumps(body), headers={"content-type": "application/json"})
    expected = (422, "malformed") if "surrogate" in what else (403, "registration-refused")
    assert (response.status_code, problem_code(response)) == expected


def test_an_assertion_serves_once(app: EnrollApp) -> None:
    device = register(app, app.client())
    once = assertion(app, device)
    codes = [app.client().post(Routes.TOKEN, json={"assertion": once}).status_code for _ in range(2)]
    assert codes == [200, 401]


WRONG: dict[str, Callable[[EnrollApp, Registered], str]] = {
    "no JWT": lambda app, device: "a.b.c",
    "not text": lambda app, device: "\ud800.b.c",
    "another's key": lambda app, device: assertion(app, device, key=ec.generate_private_key(ec.SECP256R1())),
    "unknown device": lambda app, device: assertion(app, device, iss="0" * 32),
    "NUL device": lambda app, device: assertion(app, device, iss="\0"),
    "surrogate device": lambda app, device: assertion(app, device, iss="\ud800"),
    "device is a number": lambda app, device: assertion(app, device, iss=None, sub=None),
    "another subject": lambda app, device: assertion(app, device, sub="0" * 32),
    "another server": lambda app, device: assertion(app, device, aud="https://evil.example"),
    "over": lambda app, device: assertion(app, device, iat=1, exp=61),
    "too long": lambda app, device: assertion(app, device, exp=int(time.time()) + 3600),
    "from the future": lambda app, device: assertion(app, device, iat=int(time.time()) + 600),
    "endless": lambda app, device: assertion(app, device, exp=float("inf")),
    "end is text": lambda app, device: assertion(app, device, exp="soon"),
    "short id": lambda app, device: assertion(app, device, jti="1"),
    "NUL id": lambda app, device: assertion(app, device, jti="\0" * 32),
    "surrogate id": lambda app, device: assertion(app, device, jti="\ud800" * 32),
    "no id": lambda app, device: assertion(app, device, jti=None),
    "RS256 for an EC key": lambda app, device: assertion(
        app, device, key=rsa.generate_private_key(65537, 2048), algorithm="RS256"
    ),
    "ES384 for a P-256 key": lambda app, device: assertion(
        app, device, key=ec.generate_private_key(ec.SECP384R1()), algorithm="ES384"
    ),
    "HS256 with the public key": lambda app, device: hs256(app, device),
    "unsigned": lambda app, device: jwt.encode(
        {"iss": device.id, "sub": device.id, "aud": app.origin, "exp": int(time.time()) + 60},
        None,  # type: ignore[arg-type]
        algorithm="none",
    ),
}


def hs256(app: EnrollApp, device: Registered) -> str:
    """A token signed with the public key as a shared secret."""
    good = assertion(app, device).split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    body = f"{header}.{good[1]}"
    mac = hmac.digest(public_pem(device.key).encode(), body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


@pytest.mark.parametrize("what", WRONG)
def test_an_assertion_that_is_not_the_devices_is_refused(kept: EnrollApp, what: str) -> None:
    app = kept
    device = register(app, app.client())
    response = app.client().post(
        Routes.TOKEN,
        content=json.dumps({"assertion": WRONG[what](app, device)}),
        headers={"content-type": "application/json"},
    )
    expected = (422, "malformed") if what == "not text" else (401, "assertion-invalid")
    assert (response.status_code, problem_code(response)) == expected


def test_a_time_with_a_fraction_is_a_time(app: EnrollApp) -> None:
    device = register(app, app.client())
    now = time.time()
    response = app.client().post(Routes.TOKEN, json={"assertion": assertion(app, device, iat=now, exp=now + 30.5)})
    assert response.status_code == 200
