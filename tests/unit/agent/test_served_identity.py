"""The computer's identity for the process of a person: the service answers for it over a socket pair, Windows is
`tests.support.windows_computer`."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.support.pcp_identity import NONCE, ORDER, challenged, identities, identity
from tests.support.windows_computer import WindowsComputer
from tests.unit.agent.samples import SERVER, job, wish

from keystead_agent.backoff import Stop
from keystead_agent.errors import AgentBusy, AgentError, EndorsementUnusable, PolicyRefused
from keystead_agent.keystore.attesting import Challenge
from keystead_agent.keystore.persisted import KeyScope, PersistedKey
from keystead_agent.local import messages
from keystead_agent.local.client import ServiceConnection, ServiceRefused, ask_activation, ask_identity
from keystead_agent.local.connection import LONGEST_FRAME, LocalTrouble, Peer, Reader, ServiceMissing, received
from keystead_agent.local.identity import ServiceIdentity
from keystead_agent.local.messages import (
    LONGEST_ANSWER,
    Activate,
    AskIdentity,
    frame,
)
from keystead_agent.local.rules import require_at_computer
from keystead_agent.local.server import MOST_LINKS, LocalServer
from keystead_agent.local.unix import UnixConnection
from keystead_contracts.agent import CsrReady, TpmEvidence
from keystead_contracts.attestation import purpose_at, qualifying_data
from keystead_enroll.domain.attestation import AttestationPolicy, Question, judge_certification
from keystead_enroll.domain.attestation_checks import failures
from keystead_enroll.domain.attestation_evidence import read_certification
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

AT_THE_COMPUTER = Peer(account="S-1-5-21-1-1001", pid=1, interactive=True)
FROM_AFAR = Peer(account="S-1-5-21-1-1001", pid=1)


class Asked(UnixConnection):
    """The service's end; who is at the other is what the test says."""

    def __init__(self, end: socket.socket, peer: Peer) -> None:
        super().__init__(end)
        self._peer = peer

    def peer(self) -> Peer:
        return self._peer


class Service:
    """The service of `computer`, asked by `peer`."""

    def __init__(self, computer: WindowsComputer) -> None:
        self.computer = computer
        self.peer = AT_THE_COMPUTER
        self.told: list[tuple[str, dict[str, object]]] = []
        self.asked = 0
        self._threads: list[threading.Thread] = []

    def connect(self) -> ServiceConnection:
        self.asked += 1
        ours, theirs = socket.socketpair()
        server = LocalServer(self.computer.machine, self.computer.machine, stop=Stop(), tell=self._tell)
        self._threads.append(threading.Thread(target=server.answer, args=[Asked(theirs, self.peer)]))
        self._threads[-1].start()
        return UnixConnection(ours)

    def _tell(self, event: str, /, **fields: object) -> None:
        self.told.append((event, fields))

    def end(self) -> None:
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(WindowsComputer(tmp_path / "computer", machine_keys=True))
    yield running
    running.end()


@pytest.fixture
def person(service: Service, tmp_path: Path) -> WindowsComputer:
    """A person's process on that computer, who is no administrator."""
    ncrypt = service.computer.ncrypt
    return WindowsComputer(tmp_path / "person", ncrypt=ncrypt, service=ServiceIdentity(service.connect))


def machine_keys(computer: WindowsComputer) -> set[str]:
    return {path.stem for path in computer.ncrypt.folder.glob("*/machine/*.json")}


def test_a_person_shows_the_computers_identity(service: Service, person: WindowsComputer) -> None:
    shown = person.machine.attestation()
    assert shown is not None
    assert shown == service.computer.machine.attestation()
    assert person.machine.attestation() == shown
    assert service.asked == 1


def test_a_persons_key_is_certified_by_the_computers_identity(service: Service, person: WindowsComputer) -> None:
    shown = person.machine.attestation()
    assert shown is not None
    challenge = challenged(identity(service.computer))
    wished = job(wish(attestation_nonce=NONCE), order_id=ORDER)
    answer = person.machine.perform(SERVER, "claim", wished, challenge).body
    assert isinstance(answer, CsrReady)
    evidence = answer.evidence
    assert isinstance(evidence, TpmEvidence)
    assert evidence.activation is not None
    assert base64.b64decode(evidence.activation.secret) == b"s" * 32
    assert evidence.certification is not None
    certified, name = read_certification(evidence.public_area, evidence.certification)
    signer = parse_tpm2b_public(base64.b64decode(shown.public_area))
    key = x509.load_pem_x509_csr(answer.csr_pem.encode()).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    question = Question(qualifying_data(b"n" * 32, purpose_at(SERVER, ORDER), der), open=True)
    assert name == signer.name
    assert failures(judge_certification(certified, signer, question, cast(Any, key), AttestationPolicy())) == ()
    assert ("challenge_opened", {"user": AT_THE_COMPUTER.account, "pid": 1}) in service.told


def test_a_persons_process_does_nothing_that_takes_an_administrator(service: Service, person: WindowsComputer) -> None:
    made = identity(service.computer)
    person.ncrypt.administrator = False
    assert person.machine.attestation() == made.key
    with pytest.raises(ServiceRefused, match="blocks"):
        ask_activation(service.connect(), base64.b64decode(challenged(made).credential_blob), b"")


def test_a_person_who_is_shown_a_new_identity_leaves_the_computers_alone(
    service: Service, person: WindowsComputer
) -> None:
    first = person.machine.attestation()
    kept = identity(service.computer)
    with service.computer.machine.keys.changing():
        service.computer.machine.keys.hardware().discard(kept.blob)
    second = person.machine.attestation()
    assert second is not None
    assert second != first
    names = machine_keys(service.computer)
    assert names == {PersistedKey.read(identity(service.computer).blob).name}
    person.restart()
    person.recover()
    person.install()
    assert machine_keys(service.computer) == names


def test_what_a_person_keeps_of_the_identity_is_not_kept_as_a_key_of_theirs(
    service: Service, person: WindowsComputer
) -> None:
    assert person.machine.attestation() is not None
    folder = person.settings.state_dir / "device" / "attestation"
    assert sorted(path.name for path in folder.iterdir()) == ["attestation.json", "identity.pcp.json"]
    kept = PersistedKey.read((folder / "identity.pcp.json").read_bytes())
    assert kept.scope is KeyScope.MACHINE


def test_without_the_service_a_person_has_keys_and_no_identity(tmp_path: Path) -> None:
    def missing() -> ServiceConnection:
        raise ServiceMissing("the agent's service does not answer")

    alone = WindowsComputer(tmp_path, service=ServiceIdentity(missing))
    assert alone.machine.attestation() is None
    answer = alone.perform(wish(attestation_nonce=NONCE))
    assert isinstance(answer, CsrReady)
    assert isinstance(answer.evidence, TpmEvidence)
    assert answer.evidence.certification is None


def test_who_is_not_at_the_computer_is_told_nothing(service: Service) -> None:
    made = identity(service.computer)
    service.peer = FROM_AFAR
    with pytest.raises(ServiceRefused, match="logged in"):
        ask_identity(service.connect())
    challenge = challenged(made)
    credential, secret = (base64.b64decode(text) for text in (challenge.credential_blob, challenge.encrypted_secret))
    with pytest.raises(ServiceRefused, match="logged in"):
        ask_activation(service.connect(), credential, secret)
    assert [event for event, _ in service.told] == ["local_request_refused"] * 2


def test_an_account_cannot_keep_the_tpm_to_itself(service: Service) -> None:
    server = LocalServer(service.computer.machine, service.computer.machine, stop=Stop(), tell=service._tell)
    server._links[AT_THE_COMPUTER.account] = MOST_LINKS
    for request in (server._identity, lambda peer: server._activate(Activate(credential="", secret=""), peer)):
        with pytest.raises(AgentBusy):
            request(AT_THE_COMPUTER)
    assert server._identity(Peer(account="S-1-5-21-1-1002", pid=2, interactive=True)).blob


def test_the_rule_is_to_be_logged_in_or_an_administrator() -> None:
    require_at_computer(AT_THE_COMPUTER)
    require_at_computer(Peer(account="S-1-5-18", pid=1, administrator=True))
    with pytest.raises(PolicyRefused):
        require_at_computer(FROM_AFAR)


def test_the_service_opens_only_what_is_for_its_identity(service: Service) -> None:
    made = identity(service.computer)
    challenge = challenged(made)
    secret = base64.b64decode(challenge.encrypted_secret)
    with pytest.raises(ServiceRefused, match="not for this TPM"):
        ask_activation(service.connect(), base64.b64decode(challenge.credential_blob), secret[:-1] + b"\0")
    answers = ServiceIdentity(service.connect)
    opened = Challenge(b"", base64.b64decode(challenge.credential_blob), secret)
    assert answers.activate(opened) == b"s" * 32


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"identity","scope":"user"}',
        b'{"kind":"activate","credential":"","secret":"","name":"tp-1"}',
        b'{"kind":"activate","credential":"' + b"A" * 1028 + b'","secret":""}',
        b'{"kind":"activate","credential":"?","secret":""}',
        b'{"kind":"activate"}',
        b'{"kind":"certify","key":"tp-1"}',
        b'{"kind":"activated","secret":""}',
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(LocalTrouble):
        messages.parsed(messages.REQUEST, body)


def test_base64_that_is_none_is_refused_and_not_a_crash(service: Service) -> None:
    connection = service.connect()
    connection.send(frame(Activate(credential="AAA", secret="")), 1)
    answer = messages.parsed(messages.ANSWER, received(connection.receive, time.monotonic() + 10, LONGEST_ANSWER))
    assert isinstance(answer, messages.Refused)
    assert "damaged" in answer.detail
    connection.close()


def test_a_request_stays_small_and_an_identity_may_be_large() -> None:
    with pytest.raises(LocalTrouble):
        Reader().add((LONGEST_FRAME + 1).to_bytes(4, "big"))
    assert Reader(LONGEST_ANSWER).add((LONGEST_FRAME + 1).to_bytes(4, "big")) is None
    with pytest.raises(LocalTrouble):
        Reader(LONGEST_ANSWER).add((LONGEST_ANSWER + 1).to_bytes(4, "big"))
    assert len(frame(AskIdentity())) < 100


def test_an_identity_with_all_the_certificates_that_there_may_be_arrives(service: Service) -> None:
    made = identity(service.computer)
    certificates = [{"content": base64.b64encode(bytes([number]) * 8192).decode()} for number in range(1, 33)]
    large = made.key.model_validate(made.key.model_dump() | {"endorsement_certificates": certificates})
    said = messages.Identity(key=large, blob="")
    assert len(frame(said)) < LONGEST_ANSWER
    assert messages.parsed(messages.ANSWER, frame(said)[4:]) == said


def test_a_machine_whose_identity_is_its_own_shares_none(tmp_path: Path, service: Service) -> None:
    own = WindowsComputer(tmp_path / "own", ncrypt=service.computer.ncrypt, service=ServiceIdentity(service.connect))
    assert own.machine.attestation() is not None
    assert own.machine.shared_identity() is None
    with pytest.raises(EndorsementUnusable, match="share"):
        own.machine.open_challenge(b"", b"")


def test_trouble_on_the_way_is_no_identity(tmp_path: Path) -> None:
    def dropping() -> ServiceConnection:
        ours, theirs = socket.socketpair()
        theirs.close()
        return UnixConnection(ours)

    asking: list[Callable[[], object]] = [
        ServiceIdentity(dropping).identity,
        lambda: ServiceIdentity(dropping).activate(Challenge(b"", b"", b"")),
    ]
    for ask in asking:
        with pytest.raises(EndorsementUnusable) as caught:
            ask()
        assert isinstance(caught.value, AgentError)


def test_the_identity_is_the_state_directorys(service: Service) -> None:
    assert identities(service.computer).known() is None
    assert service.computer.machine.shared_identity() is not None
    assert identities(service.computer).known() is not None
