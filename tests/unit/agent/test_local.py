"""The local connection's frames and rules, over a socket pair: what holds on every operating system."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.agent import samples

from keystead_agent.backoff import Stop, Stopped
from keystead_agent.enroll import Enrolled
from keystead_agent.errors import AgentBusy, PolicyRefused
from keystead_agent.journal import ClaimEntry, Journal
from keystead_agent.local import messages, server, unix
from keystead_agent.local.client import ServiceRefused, ask_status, hand_over
from keystead_agent.local.connection import LONGEST_FRAME, LocalTrouble, Peer, Reader, ServiceMissing, received
from keystead_agent.local.messages import EnrollMachine, frame
from keystead_agent.local.rules import may_enroll, require_may_enroll, require_scope
from keystead_agent.local.server import LocalServer
from keystead_agent.local.unix import UnixConnection, UnixListener, connect
from keystead_agent.machine import Machine
from keystead_agent.settings import Settings
from keystead_contracts.agent import DeviceJob, EnrollLink, Remove
from keystead_contracts.base import CertificateScope, CertificateType

NOW = samples.NOW
LISTED = "https://enroll.example.org"
LINK = EnrollLink(server=LISTED, claim="c" * 43, scope="machine")
ADMINISTRATOR = Peer(account="S-1-5-21-1-500", pid=1, administrator=True, interactive=True)
USER = Peer(account="S-1-5-21-1-1001", pid=1, interactive=True)
FROM_AFAR = Peer(account="S-1-5-21-1-1001", pid=1)


def settings(folder: Path, **values: Any) -> Settings:
    return Settings.model_validate({"state_dir": folder, "servers": LISTED, **values})


# Who may


def test_an_administrator_may_have_a_listed_servers_link_done(tmp_path: Path) -> None:
    require_may_enroll(ADMINISTRATOR, LINK, settings(tmp_path), "")


def test_others_may_only_if_the_administrators_setting_says_so_and_they_are_at_the_computer(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="for its administrators"):
        require_may_enroll(USER, LINK, settings(tmp_path), "")
    opened = settings(tmp_path, users_may_enroll_machine=True)
    require_may_enroll(USER, LINK, opened, "")
    with pytest.raises(PolicyRefused, match="for its administrators"):
        require_may_enroll(FROM_AFAR, LINK, opened, "")
    assert not may_enroll(FROM_AFAR, opened)


def test_a_server_that_is_not_listed_is_refused_even_to_an_administrator(tmp_path: Path) -> None:
    other = LINK.model_copy(update={"server": "https://evil.example"})
    with pytest.raises(PolicyRefused, match=r"evil\.example"):
        require_may_enroll(ADMINISTRATOR, other, settings(tmp_path), "")


def test_without_a_list_only_the_server_that_the_computer_is_registered_with_is_served(tmp_path: Path) -> None:
    unlisted = settings(tmp_path, servers="")
    with pytest.raises(PolicyRefused, match="No administrator has chosen"):
        require_may_enroll(ADMINISTRATOR, LINK, unlisted, "")
    require_may_enroll(ADMINISTRATOR, LINK, unlisted, LISTED)


def test_a_registration_does_not_lift_the_list(tmp_path: Path) -> None:
    other = LINK.model_copy(update={"server": "https://old.example"})
    with pytest.raises(PolicyRefused, match=r"old\.example"):
        require_may_enroll(ADMINISTRATOR, other, settings(tmp_path), "https://old.example")


def test_a_persons_link_is_not_done_for_the_computer(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="of your own"):
        require_may_enroll(ADMINISTRATOR, LINK.model_copy(update={"scope": "user"}), settings(tmp_path), "")


CLIENT, DEVICE, SSL = CertificateType.CLIENT, CertificateType.DEVICE, CertificateType.SSL
PERSONS, COMPUTERS = CertificateScope.USER, CertificateScope.MACHINE


@pytest.mark.parametrize(
    ("kind", "scope", "machine", "allowed"),
    [
        (CLIENT, None, True, False),
        (DEVICE, None, True, True),
        (SSL, None, True, True),
        (CLIENT, None, False, True),
        (DEVICE, None, False, False),
        (SSL, None, False, True),
        (SSL, PERSONS, True, False),
        (SSL, COMPUTERS, True, True),
        (SSL, PERSONS, False, True),
        (SSL, COMPUTERS, False, False),
        (CLIENT, COMPUTERS, True, False),
        (CLIENT, COMPUTERS, False, False),
        (DEVICE, PERSONS, True, False),
        (DEVICE, PERSONS, False, False),
    ],
)
def test_whose_a_certificate_is_is_judged_again_by_the_job(
    kind: CertificateType, scope: CertificateScope | None, machine: bool, allowed: bool
) -> None:
    with nullcontext() if allowed else pytest.raises(PolicyRefused):
        require_scope(_job(kind, scope), machine=machine)


@pytest.mark.parametrize(
    ("kind", "scope", "allowed"),
    [(CLIENT, None, True), (SSL, None, True), (SSL, COMPUTERS, True), (SSL, PERSONS, False), (CLIENT, PERSONS, False)],
)
def test_a_registered_computer_does_what_is_not_said_to_be_a_persons(
    kind: CertificateType, scope: CertificateScope | None, allowed: bool
) -> None:
    with nullcontext() if allowed else pytest.raises(PolicyRefused):
        require_scope(_job(kind, scope), machine=True, by_type=False)


@pytest.mark.parametrize(("scope", "machine"), [(PERSONS, True), (COMPUTERS, False)])
def test_nothing_is_removed_for_others(scope: CertificateScope, machine: bool) -> None:
    with pytest.raises(PolicyRefused):
        require_scope(samples.job(Remove(reason="cancelled", scope=scope)), machine=machine)
    require_scope(samples.job(Remove(reason="cancelled")), machine=machine)


def _job(kind: CertificateType, scope: CertificateScope | None) -> DeviceJob:
    return samples.job(samples.wish(certificate_type=kind, scope=scope))


# Frames


def read(data: bytes, piece: int) -> bytes:
    reader = Reader()
    while True:
        size = min(reader.wanted(), piece)
        body = reader.add(data[:size])
        data = data[size:]
        if body is not None:
            assert data == b""
            return body


@pytest.mark.parametrize("piece", [1, 3, 100000])
def test_a_frame_comes_together_from_any_pieces(piece: int) -> None:
    asked = EnrollMachine(link=str(LINK))
    assert messages.parsed(messages.REQUEST, read(frame(asked), piece)) == asked


@pytest.mark.parametrize("length", [0, LONGEST_FRAME + 1, 0xFFFFFFFF])
def test_a_frame_of_an_impossible_length_is_refused_before_it_is_read(length: int) -> None:
    reader = Reader()
    with pytest.raises(LocalTrouble):
        reader.add(length.to_bytes(4, "big"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"kind":"run","command":"calc"}',
        b'{"kind":"enroll_machine"}',
        b'{"kind":"enroll_machine","link":7}',
        b'{"kind":"enroll_machine","link":"x","agent_secret":"0"}',
        b'{"kind":"status","verbose":true}',
        b'{"kind":"enroll_machine","link":"' + b"x" * 2049 + b'"}',
        b"[" * 10000,
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(LocalTrouble):
        messages.parsed(messages.REQUEST, body)


# The service's end


class Told:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.fields: list[dict[str, object]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        self.events.append(event)
        self.fields.append(fields)


class NoKeys:
    """Stands where the keys are: nothing in these tests may reach it."""


def local_server(folder: Path, told: Told, **limits: Any) -> LocalServer:
    machine = Machine.of(settings(folder), lambda: NOW)
    return LocalServer(machine, cast(Any, NoKeys()), stop=Stop(), tell=told, **limits)


Serving = Callable[..., tuple[UnixConnection, Told, threading.Thread]]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    ends: list[UnixConnection] = []
    threads: list[threading.Thread] = []

    def start(**limits: float) -> tuple[UnixConnection, Told, threading.Thread]:
        ours, theirs = socket.socketpair()
        told = Told()
        service = local_server(tmp_path, told, **limits)
        threads.append(threading.Thread(target=service.answer, args=[UnixConnection(theirs)]))
        threads[-1].start()
        ends.append(UnixConnection(ours))
        return ends[-1], told, threads[-1]

    yield start
    for end in ends:
        end.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_the_service_says_how_it_is(serving: Serving) -> None:
    connection, _, _ = serving()
    status = ask_status(connection)
    assert (status.server, status.may_enroll) == ("", True)


def test_a_refusal_comes_with_its_words_and_its_exit_code_and_is_logged(serving: Serving, tmp_path: Path) -> None:
    connection, told, thread = serving()
    with pytest.raises(ServiceRefused, match=r"evil\.example") as caught:
        hand_over(connection, LINK.model_copy(update={"server": "https://evil.example"}), Told())
    assert (caught.value.exit_code, caught.value.advice[:8]) == (PolicyRefused.exit_code, "Allowed:")
    thread.join(10)
    assert told.events == ["local_request_refused"]
    assert told.fields[0]["user"] == f"uid {os.getuid()}"
    assert told.fields[0]["pid"] == os.getpid()
    assert Journal(tmp_path, lambda: NOW).open_claims() == []


def test_a_link_is_read_as_strictly_as_one_that_was_clicked(serving: Serving) -> None:
    connection, _, _ = serving()
    connection.send(frame(EnrollMachine(link=f"{LINK}&claim=other")), 1)
    answer = messages.parsed(messages.ANSWER, received(connection.receive, time.monotonic() + 10))
    assert isinstance(answer, messages.Refused)
    assert "twice" in answer.detail


def test_what_is_no_request_ends_the_connection_without_an_answer(serving: Serving) -> None:
    connection, told, thread = serving()
    body = b'{"kind":"run","command":"calc"}'
    connection.send(len(body).to_bytes(4, "big") + body, 1)
    assert connection.receive(1, 10) == b""
    thread.join(10)
    assert told.events == ["local_request_dropped"]


def test_who_says_nothing_is_not_waited_for(serving: Serving) -> None:
    connection, told, thread = serving(request_limit=0.05)
    connection.send(b"\0", 1)
    thread.join(10)
    assert told.events == ["local_request_dropped"]


def test_an_account_cannot_have_all_of_the_services_attention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Semaphore(0), threading.Event()

    def wait(_machine: object, _keeper: object, claim: ClaimEntry, **_: object) -> Enrolled:
        if not claim.claim.endswith("9"):
            begun.release()
            ended.wait(10)
        return Enrolled(LISTED, "order", "here", "tpm2", "installed")

    monkeypatch.setattr(server, "resume", wait)
    service = local_server(tmp_path, Told())
    service._machine.journal.recover()

    def ask(number: int, asker: Peer = ADMINISTRATOR) -> Any:
        link = LINK.model_copy(update={"claim": f"{number:043}"})
        return service._enroll(EnrollMachine(link=str(link)), asker, lambda event, /, **fields: None)

    with ThreadPoolExecutor() as pool:
        working = [pool.submit(ask, number) for number in range(server.MOST_LINKS)]
        for _ in working:
            assert begun.acquire(timeout=10)
        with pytest.raises(AgentBusy, match="4 links of this account"):
            ask(8)
        assert ask(9, replace(ADMINISTRATOR, account="S-1-5-21-1-501")).location == "here"
        ended.set()
        assert [each.result().location for each in working] == ["here"] * server.MOST_LINKS
        assert ask(10).location == "here"


def test_a_connection_that_could_not_be_taken_does_not_end_the_service(tmp_path: Path) -> None:
    class OutOfDescriptors(socket.socket):
        tries = 0

        def accept(self) -> tuple[socket.socket, Any]:
            self.tries += 1
            if self.tries == 1:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    listener = UnixListener(tmp_path / "agent.sock")
    listener._socket = OutOfDescriptors(fileno=listener._socket.detach())
    asking = connect(tmp_path / "agent.sock", owner=os.getuid())
    listener.accept().close()
    listener.close()
    with pytest.raises(Stopped):
        listener.accept()
    asking.close()


@pytest.mark.parametrize(
    ("known", "logged_in"),
    [("active", True), ("online", True), ("lingering", False), ("closing", False), (None, False)],
)
def test_only_who_is_logged_in_is_at_the_computer(
    known: str | None, logged_in: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if known:
        (tmp_path / str(os.getuid())).write_text(f"NAME=somebody\nSTATE={known}\nSTOPPING=no\n")
    monkeypatch.setattr(unix, "_SESSIONS", tmp_path)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert UnixConnection(ours).peer().interactive is logged_in


# Finding the service


def test_who_listens_in_the_services_place_is_sent_nothing(tmp_path: Path) -> None:
    listener = UnixListener(tmp_path / "agent.sock")
    with pytest.raises(ServiceMissing, match="Who listens"):
        connect(tmp_path / "agent.sock", owner=os.getuid() + 1)
    assert listener.accept().receive(1, 10) == b""
    connect(tmp_path / "agent.sock", owner=os.getuid()).close()
    listener.close()


def test_a_service_that_does_not_run_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(ServiceMissing, match="does not answer"):
        connect(tmp_path / "agent.sock")


def test_more_connections_than_there_is_room_for_are_turned_away(tmp_path: Path) -> None:
    listener = UnixListener(tmp_path / "agent.sock")
    thread = threading.Thread(target=local_server(tmp_path, Told(), most=1).serve, args=[listener])
    thread.start()
    first = connect(tmp_path / "agent.sock", owner=os.getuid())
    second = connect(tmp_path / "agent.sock", owner=os.getuid())
    assert second.receive(1, 4) == b""
    assert ask_status(first).version
    listener.close()
    thread.join(10)
    assert not thread.is_alive()
    first.close()
    second.close()
