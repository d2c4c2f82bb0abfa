"""Lies about TPMs, told to a whole enroll: none is accepted, none costs more than an answer, and none is an error of
the server."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.integration.test_enroll_attestation import (
    PROVEN,
    cleared,
    device,
    linked,
    list_key,
    ordered,
    roots,
)
from tests.support import software_tpm as soft
from tests.support.attesting_machine import AttestingMachine, spki, text
from tests.support.enroll_app import ADA, EnrollApp, enroll_app, problem_code
from tests.support.servers import PostgresServer, RedisServer
from tests.support.software_tpm import SoftwareTpm
from tests.support.tpm_maker import Authority

from keystead_contracts.agent import MakeKeyAndCsr, Routes
from keystead_contracts.attestation import (
    Activation,
    ChallengeAnswer,
    CredentialChallenge,
)
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.usecases.answer_challenges import MOST_KEYS
from keystead_enroll.usecases.challenge_tpm import MOST_OPEN
from keystead_enroll.usecases.register_devices import CHALLENGE_LIFE
from keystead_kit.secrets import new_id

JSON = {"content-type": "application/json"}
OTHER: dict[str, Any] = {
    "organizations": [{"name": "Other Hospital", "email_domains": ["other.example"]}],
    "registration_tokens": [{"name": "theirs", "token": "f" * 16, "organization": "Other Hospital", "owner": ADA}],
}
CLAIMED: dict[str, Any] = {
    "profiles": [{**PROVEN["profiles"][0], "name": "Claimed", "minimum_assurance": "claimed"}],
    "forms": [
        {
            "name": "Proven",
            "type": "client",
            "accounts": [{"name": "Proven", "organization": "Example Hospital", "profiles": ["Claimed"]}],
        }
    ],
}
Answer = Callable[[AttestingMachine, CredentialChallenge], ChallengeAnswer]


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url, ek_roots_folder=roots()) as app:
        app.uris |= app.apply(PROVEN)
        yield app


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kept(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    _redis: RedisServer,
    _postgres: PostgresServer,
) -> Iterator[EnrollApp]:
    """One enroll for all lies: they change nothing but the liar's own."""
    with _postgres.database() as postgres_url:
        sqlite_url = f"sqlite:///{tmp_path_factory.mktemp('kept')}/test.db"
        url = sqlite_url if request.param == "sqlite" else postgres_url
        with enroll_app(url, _redis.url, ek_roots_folder=roots(), claim_limit_address="100000/minute") as app:
            app.uris |= app.apply(PROVEN)
            yield app


def nonce_of(job: Any) -> str:
    assert isinstance(job.payload, MakeKeyAndCsr)
    return job.payload.attestation_nonce


def refused(response: Any, *code: str) -> bool:
    assert response.status_code in (403, 404, 409, 422), response.text
    return not code or problem_code(response) in code


# Showing an identity that is none

IDENTITIES: dict[str, Callable[[AttestingMachine], dict[str, Any]]] = {
    "a decrypting AK": lambda m: {"public_area": text(soft.ak(attributes=soft.AK_ATTRIBUTES | soft.DECRYPT).public)},
    "another's AK": lambda m: {"public_area": text(soft.ak().public)},
    "an AK that could leave": lambda m: _made(m, attributes=soft.AK_ATTRIBUTES & ~soft.FIXED_TPM),
    "an AK that signs anything": lambda m: _made(m, attributes=soft.AK_ATTRIBUTES & ~soft.RESTRICTED),
    "an AK of SHA-1": lambda m: _made(m, key=soft.rsa_key(2048, 80), scheme=soft.RSASSA, scheme_hash=soft.SHA1),
    "an EK that signs": lambda m: {"endorsement_key": text(soft.ek(attributes=soft.EK_ATTRIBUTES | soft.SIGN).public)},
    "an EK without AES": lambda m: {"endorsement_key": text(soft.ek(cipher_bits=0).public)},
    "an EK that is an AK": lambda m: {"endorsement_key": text(m.tpm.attestation.public)},
    "an EK that is nothing": lambda m: {"endorsement_key": text(b"\0")},
    "an EK with more behind it": lambda m: {"endorsement_key": text(m.tpm.endorsement.public + b"\0")},
    "no creation": lambda m: {"creation_attestation": ""},
    "another's creation": lambda m: {"creation_signature": text(SoftwareTpm().creation()[2])},
    "a point that is none": lambda m: {"public_area": text(m.tpm.attestation.public[:-1] + b"\1")},
}


def _made(machine: AttestingMachine, **changes: Any) -> dict[str, Any]:
    key = changes.pop("key", None)
    tpm = SoftwareTpm(machine.tpm.endorsement, soft.ak(key, **changes))
    return AttestingMachine(machine.app, tpm).attestation_key.model_dump()


@pytest.mark.parametrize("what", IDENTITIES)
def test_an_identity_that_is_none_is_refused_at_registration_and_by_link(kept: EnrollApp, what: str) -> None:
    machine = AttestingMachine.made(kept)
    lie = machine.attestation_key.model_dump() | IDENTITIES[what](machine)
    body = machine.registration() | {"attestation": lie}
    assert refused(machine.client.post(Routes.DEVICES, json=body), "evidence-refused", "malformed")
    browser = kept.browser("Proven")
    order_id = browser.order("Attested")
    claim = {"claim": browser.link(order_id).claim, "agent_secret": "0" * 64, "machine": body["machine"]}
    assert refused(
        machine.client.post(Routes.CLAIMS, json=claim | {"attestation": lie}), "evidence-refused", "malformed"
    )
    assert kept.order(order_id).state == "offered"


def test_a_self_made_endorsement_certificate_vouches_for_nothing(kept: EnrollApp) -> None:
    machine = AttestingMachine.made(kept, Authority.root("Chips Root", which=92))
    assert machine.attest()["level"] == "attested"
    other = AttestingMachine.made(kept)
    borrowed = AttestingMachine(kept, SoftwareTpm(), other.certificates)
    assert borrowed.attest()["level"] == "attested"


# Answering a challenge that is not one's own


def test_the_challenge_of_another_machine_is_not_answered(kept: EnrollApp) -> None:
    machine, other = AttestingMachine.made(kept), AttestingMachine.made(kept)
    challenge = machine.register()
    with pytest.raises(ValueError, match="TPM_RC_INTEGRITY"):
        other.solve(challenge)
    guessed = Activation(challenge_id=challenge.challenge_id, secret=text(bytes(32)))
    assert refused(other.send(other.answer(other.register(), activation=guessed)), "evidence-refused")
    assert device(kept, machine).ek_sha256 is None


ANSWERS: dict[str, Answer] = {
    "an empty secret": lambda m, c: m.answer(c, activation=Activation(challenge_id=c.challenge_id, secret="")),
    "an AK of another machine": lambda m, c: m.answer(
        c, certification=AttestingMachine(m.app).certify(c.nonce, c.challenge_id, m.key)
    ),
    "another device key": lambda m, c: m.answer(
        c, certification=m.certify(c.nonce, c.challenge_id, soft.application_key())
    ),
    "another nonce": lambda m, c: m.answer(c, certification=m.certify(text(bytes(32)), c.challenge_id)),
    "another purpose": lambda m, c: m.answer(c, certification=m.certify(c.nonce, "0" * 32)),
    "a quote": lambda m, c: m.answer(c, certification=m.certify(c.nonce, c.challenge_id, kind=soft.QUOTE)),
    "a forged statement": lambda m, c: m.answer(c, certification=m.certify(c.nonce, c.challenge_id, magic=0)),
    "a name that is none": lambda m, c: m.answer(
        c, certification=m.certify(c.nonce, c.challenge_id).model_copy(update={"attestation_key_name": "AAAA"})
    ),
    "no statement": lambda m, c: m.answer(
        c, certification=m.certify(c.nonce, c.challenge_id).model_copy(update={"certify_info": ""})
    ),
    "half a statement": lambda m, c: m.answer(
        c, certification=m.certify(c.nonce, c.challenge_id).model_copy(update={"certify_info": "AAI="})
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_a_wrong_answer_is_refused_and_uses_the_challenge_up(kept: EnrollApp, what: str) -> None:
    machine = AttestingMachine.made(kept)
    challenge = machine.register()
    wrong = ANSWERS[what](machine, challenge)
    first, second = machine.send(wrong), machine.send(wrong)
    assert refused(first, "evidence-refused") and refused(second, "evidence-refused")
    assert refused(machine.send(machine.answer(challenge)), "evidence-refused")
    assert device(kept, machine).ek_sha256 is None
    assert device(kept, machine).assurance == "claimed"


def test_a_challenge_is_answered_once(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    challenge = machine.register()
    answer = machine.answer(challenge)
    assert machine.send(answer).status_code == 200
    other = machine.send(machine.answer(challenge))
    assert refused(other, "evidence-refused")
    assert "was answered before" in other.json()["detail"]
    assert machine.send(answer).json()["level"] == "vendor"


def test_a_challenge_ends(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    answer = machine.answer(machine.register())
    app.clock.shift += CHALLENGE_LIFE
    assert refused(machine.send(answer), "evidence-refused")


def test_the_challenge_of_a_link_is_no_device_s(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.register()
    _, _, _, challenge = linked(app, machine)
    assert refused(machine.send(machine.answer(challenge)), "evidence-refused")
    assert device(app, machine).ek_sha256 is None


def test_a_device_key_stays_in_its_tpm(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    moved = AttestingMachine(app, SoftwareTpm(), key=machine.key)
    assert refused(moved.send(moved.answer(moved.register())), "evidence-refused")


def test_a_machine_that_waits_does_not_get_out_by_another_tpm(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    again = AttestingMachine(app, machine.tpm, machine.certificates)
    again.attest()
    moved = AttestingMachine(app, SoftwareTpm(), key=again.key)
    assert refused(moved.send(moved.answer(moved.register())), "evidence-refused")
    assert device(app, again).same_as == machine.device_id


@pytest.mark.parametrize("waits", [False, True])
def test_a_device_whose_tpm_is_denied_does_not_get_out_by_saying_nothing_of_it(app: EnrollApp, waits: bool) -> None:
    app.apply(CLAIMED)
    machine = AttestingMachine.made(app)
    machine.register()
    order_id, agent, job = ordered(app, machine, "Claimed")
    if waits:
        AttestingMachine(app, machine.tpm, machine.certificates).attest()
    machine.attest()
    fingerprint = hashlib.sha256(spki(machine.tpm.endorsement)).hexdigest()
    list_key(app, fingerprint, Ruling.DENY)
    assert refused(agent.report(machine.report(agent, job)), "evidence-refused")
    assert app.order(order_id).failure_code == "endorsement_key.not_denied.failed"


def test_a_device_has_some_attestation_keys_and_no_more(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    for _ in range(MOST_KEYS + 1):
        machine.tpm = replace(machine.tpm, attestation=SoftwareTpm().attestation)
        machine.attest()
    with app.enroll.transactions.read() as tx:
        kept = [key.name for key in tx.attestation_keys(device(app, machine).recipient)]
    assert (len(kept), kept[0]) == (MOST_KEYS, machine.tpm.attestation.name.hex())


def test_guessing_costs_an_address_its_patience(database_url: str, redis_url: str) -> None:
    with enroll_app(database_url, redis_url, claim_limit_address="3/minute") as app:
        machine = AttestingMachine(app)
        answer = machine.answer(machine.register())
        guess = answer.model_copy(update={"activation": Activation(challenge_id="0" * 32, secret="")})
        assert [machine.send(guess).status_code for _ in range(5)] == [422] * 3 + [429] * 2


def test_a_link_takes_some_attestation_keys_and_no_more(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    browser = app.browser("Proven")
    claim = browser.link(browser.order("Attested")).claim
    agent, first = machine.redeem(claim)
    for _ in range(MOST_OPEN - 1):
        cleared(machine).redeem(claim, secret=agent.secret)
    with pytest.raises(AssertionError, match="Too many attestation keys"):
        cleared(machine).redeem(claim, secret=agent.secret)
    [job] = agent.jobs()
    assert agent.report(machine.report(agent, job, first)).status_code == 200


# Other organizations


def test_a_machine_is_another_one_s_in_each_organization(app: EnrollApp) -> None:
    other_organization(app)
    machine = AttestingMachine.made(app)
    machine.attest()
    there = AttestingMachine(app, machine.tpm, machine.certificates, token="f" * 16)
    assert there.attest()["level"] == "vendor"
    assert device(app, machine).ek_sha256 == device(app, there).ek_sha256
    assert device(app, machine).organization_id != device(app, there).organization_id


def test_what_an_organization_lists_is_nothing_to_another(app: EnrollApp) -> None:
    other = other_organization(app)
    machine = AttestingMachine(app, token="f" * 16)
    machine.attest()
    with app.enroll.transactions.write() as tx:
        own = next(each for each in tx.organizations() if each.name == "Example Hospital")
        sha256 = device(app, machine).ek_sha256
        tx.add(EndorsementKey(new_id(), own.id, sha256, Ruling.ALLOW, created_at=app.clock.now()))
        tx.add(EndorsementKey(new_id(), other, sha256, Ruling.DENY, created_at=app.clock.now()))
    assert AttestingMachine(app, machine.tpm).attest()["level"] == "listed"
    assert refused(machine.client.post(Routes.DEVICES, json=machine.registration()), "evidence-refused")


def other_organization(app: EnrollApp) -> str:
    """Another organization, with a registration token; its id."""
    app.apply(OTHER)
    with app.enroll.transactions.read() as tx:
        return next(each.id for each in tx.organizations() if each.name == "Other Hospital")


# Octets


def test_no_mutilated_message_is_an_error_of_the_server(kept: EnrollApp) -> None:
    machine = AttestingMachine.made(kept)
    body = machine.registration()
    for field in ("endorsement_key", "public_area", "creation_data", "creation_attestation", "creation_signature"):
        octets = base64.b64decode(body["attestation"][field])
        cuts = [octets[:length] for length in range(0, len(octets), 7)]
        flips = [
            octets[:place] + bytes([octets[place] ^ 0xFF]) + octets[place + 1 :] for place in range(0, len(octets), 11)
        ]
        for wrong in (*cuts, *flips):
            sent = body | {"attestation": body["attestation"] | {field: text(wrong)}}
            assert machine.client.post(Routes.DEVICES, json=sent).status_code in (200, 422)


ODD: dict[str, Any] = {
    "nothing": {},
    "null": None,
    "no JSON": "{",
    "NUL": {"activation": {"challenge_id": "\0" * 32, "secret": ""}, "certification": {}},
    "half a surrogate": '{"activation": {"challenge_id": "\\ud800", "secret": ""}}',
    "an endless secret": {"activation": {"challenge_id": "0" * 32, "secret": "A" * 4096}, "certification": {}},
    "deep": '{"activation":' + "[" * 5000 + "]" * 5000 + "}",
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_answer_is_refused(kept: EnrollApp, what: str) -> None:
    body = ODD[what] if isinstance(ODD[what], str) else json.dumps(ODD[what])
    response = kept.client().post(Routes.ATTESTATION, content=body, headers=JSON)
    assert 400 <= response.status_code < 500


def test_an_unreadable_certificate_is_no_certificate(kept: EnrollApp) -> None:
    machine = AttestingMachine(kept, certificates=[b"\x30\x82\xff\xff", b"junk", b"\0" * 100])
    assert machine.attest()["level"] == "attested"
