"""The pipe between a user's process and the service, with Windows' own calls."""

from __future__ import annotations

import ctypes
import os
import secrets
import threading
from collections.abc import Iterator

import pytest

from keystead_agent.backoff import Stopped
from keystead_agent.local.connection import LocalTrouble, ServiceMissing
from keystead_agent.windows.accounts import own_sid
from keystead_agent.windows.pipe import CLIENT_RIGHTS, PipeConnection, PipeListener, PipeTaken, access_list, connect

UNDER_WINE = hasattr(ctypes.CDLL("ntdll.dll"), "wine_get_version")
Pair = tuple[PipeConnection, PipeConnection]


@pytest.fixture
def name() -> str:
    return rf"\\.\pipe\keystead-test-{secrets.token_hex(8)}"


@pytest.fixture
def listener(name: str) -> Iterator[PipeListener]:
    listening = PipeListener(name)
    yield listening
    listening.close()


@pytest.fixture
def pair(listener: PipeListener, name: str) -> Iterator[Pair]:
    client = connect(name, service_pid=os.getpid)
    server = listener.accept()
    yield client, server
    client.close()
    server.close()


def test_what_one_end_sends_the_other_receives(pair: Pair) -> None:
    client, server = pair
    client.send(b"question", 5)
    assert server.receive(100, 5) == b"question"
    server.send(b"answer", 5)
    assert client.receive(100, 5) == b"answer"


def test_what_was_sent_is_received_after_the_service_closed(pair: Pair) -> None:
    client, server = pair
    server.send(b"last words", 5)
    server.close()
    assert client.receive(100, 5) == b"last words"
    assert client.receive(100, 5) == b""


def test_the_service_sees_who_asks(pair: Pair) -> None:
    client, server = pair
    client.send(b"x", 5)
    server.receive(1, 5)
    peer = server.peer()
    assert (peer.account, peer.pid) == (own_sid(), os.getpid())
    assert own_sid().startswith("S-1-5-")


def test_silence_is_not_waited_out(pair: Pair) -> None:
    _, server = pair
    with pytest.raises(LocalTrouble, match="too slow"):
        server.receive(1, 0.05)


def test_a_client_that_reads_nothing_does_not_hold_the_service(pair: Pair) -> None:
    _, server = pair
    with pytest.raises(LocalTrouble, match="too slow"):
        server.send(b"x" * 10_000_000, 0.2)


def test_an_instance_that_cannot_be_made_now_is_made_later(
    listener: PipeListener, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, failures = listener._instance, iter([PipeTaken("no memory", "")] * 2)

    def fail_first(flags: int) -> int:
        for failure in failures:
            raise failure
        return make(flags)

    monkeypatch.setattr(listener, "_instance", fail_first)
    for _ in range(2):
        client = connect(name, service_pid=os.getpid)
        server = listener.accept()
        client.send(b"x", 5)
        assert server.receive(1, 5) == b"x"
        client.close()
        server.close()


def test_a_listener_without_instances_stops_when_told_to(
    listener: PipeListener, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(flags: int) -> int:
        raise PipeTaken("no memory", "")

    monkeypatch.setattr(listener, "_instance", fail)
    client = connect(name, service_pid=os.getpid)
    listener.close()
    with pytest.raises(Stopped):
        listener.accept()
        listener.accept()
    client.close()


def test_several_clients_are_served(listener: PipeListener, name: str) -> None:
    clients, servers = [], []
    for _ in range(3):
        clients.append(connect(name, service_pid=os.getpid))
        servers.append(listener.accept())
    for number, client in enumerate(clients):
        client.send(bytes([number]), 5)
    assert [server.receive(1, 5) for server in servers] == [b"\0", b"\1", b"\2"]
    for end in (*clients, *servers):
        end.close()


def test_a_listener_that_is_closed_waits_no_more(listener: PipeListener) -> None:
    ended: list[bool] = []

    def wait() -> None:
        with pytest.raises(Stopped):
            listener.accept()
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    listener.close()
    thread.join(10)
    assert ended == [True]


# Attacks


@pytest.mark.xfail(UNDER_WINE, reason="Wine does not know FILE_FLAG_FIRST_PIPE_INSTANCE", strict=True)
def test_a_pipe_that_somebody_made_before_is_not_used(listener: PipeListener, name: str) -> None:
    with pytest.raises(PipeTaken):
        PipeListener(name)


@pytest.mark.parametrize("service", [None, 4])
def test_who_listens_without_being_the_service_is_sent_nothing(
    listener: PipeListener, name: str, service: int | None
) -> None:
    with pytest.raises(ServiceMissing, match="not the agent's service"):
        connect(name, service_pid=lambda: service)
    server = listener.accept()
    assert server.receive(1, 5) == b""
    server.close()


def test_without_a_service_it_says_how_to_start_it(name: str) -> None:
    with pytest.raises(ServiceMissing) as caught:
        connect(name)
    assert "sc start KeysteadAgent" in caught.value.advice


def test_the_access_list_lets_users_speak_and_not_listen() -> None:
    said = access_list("S-1-5-18")
    assert said.index("(D;;FA;;;NU)") < said.index("(A;;")
    assert CLIENT_RIGHTS & 0x4 == 0  # FILE_CREATE_PIPE_INSTANCE
    assert said.count("(A;;FA;;;") == 1
    assert "WD" not in said and "AU" not in said and "AN" not in said
