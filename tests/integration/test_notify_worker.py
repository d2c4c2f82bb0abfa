"""notify's worker as a process: killed, cut off from Redis or the mail server, and one letter in the end."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.auth_support import running_auth
from tests.integration.notify_support import (
    ORIGIN,
    WorkerProcess,
    in_envelope,
    installed,
    login,
    running_notify,
    settings,
)
from tests.support.mailbox import Mailbox
from tests.support.servers import HOST, RedisServer, wait_until
from tests.support.smtp import MailServer

from keystead_kit.bus import Bus


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server = MailServer()
    with server.serving():
        yield server


def test_a_worker_sends_what_arrives_over_the_bus(
    database_url: str, redis_url: str, mail: MailServer, tmp_path: Path
) -> None:
    with running_notify(database_url, redis_url, mail.port):
        pass
    bus = Bus("auth", redis_url)
    message = in_envelope(login())
    with WorkerProcess("notify", settings(database_url, redis_url, mail.port), tmp_path / "log"):
        for _ in range(3):
            assert bus.tell(message)
        mail.wait_for(1)
        time.sleep(1)
    bus.close()
    assert len(mail.received) == 1
    assert message.fact["link"] not in (tmp_path / "log").read_text()


def test_a_worker_killed_while_it_connects_ends_in_one_letter(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    server = MailServer()
    values = settings(database_url, redis_url, server.port, smtp_timeout_seconds=0.5, lease_seconds=3)
    with running_notify(database_url, redis_url, server.port) as notify:
        notify.take(in_envelope(installed()))
        worker = WorkerProcess("notify", values, tmp_path / "log")
        with _deaf_server(server.port):
            worker.start()
            wait_until(lambda: notify.letters()[0].attempts > 0 or "away" in _text(tmp_path / "log"), "an attempt")
            worker.kill()
        with server.serving(), worker:
            server.wait_for(1)
            time.sleep(1)
            assert len(server.received) == 1
            wait_until(lambda: notify.letters()[0].state == "sent", "the letter's end")


def test_a_worker_killed_with_the_letter_in_hand_sends_it_after_the_lease(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    server = MailServer()
    values = settings(database_url, redis_url, server.port, smtp_timeout_seconds=0.5, lease_seconds=3)
    with running_notify(database_url, redis_url, server.port) as notify:
        notify.take(in_envelope(installed()))
        server.hold = hold = threading.Event()
        with server.serving():
            worker = WorkerProcess("notify", values, tmp_path / "log")
            worker.start()
            assert server.reached.wait(20)
            worker.kill()
            assert notify.letters()[0].state == "sending"
            hold.set()
            with worker:
                server.wait_for(1)
                wait_until(lambda: notify.letters()[0].state == "sent", "the letter's end")
                time.sleep(1)
        assert len(server.received) == 1
        assert notify.letters()[0].attempts == 2


def test_a_mail_server_that_comes_back_gets_exactly_one_letter(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    server = MailServer()
    values = settings(database_url, redis_url, server.port)
    with running_notify(database_url, redis_url, server.port) as notify:
        notify.take(in_envelope(login()))
        with WorkerProcess("notify", values, tmp_path / "log"):
            wait_until(lambda: notify.letters()[0].attempts >= 2, "a second attempt")
            with server.serving():
                server.wait_for(1)
                wait_until(lambda: notify.letters()[0].state == "sent", "the letter's end")
        assert len(server.received) == 1


def test_redis_emptied_between_sending_and_receipt_loses_and_doubles_nothing(
    database_url: str, own_redis: RedisServer, mailbox: Mailbox, tmp_path: Path
) -> None:
    notify_url = f"sqlite:///{tmp_path}/notify.db"
    with (
        running_auth(database_url, own_redis.url, tmp_path) as auth,
        running_notify(notify_url, own_redis.url, mailbox.port),
    ):
        auth.browser().ask("ada@example.org")
        auth.decide()
        messenger = auth.worker.messenger
        assert messenger.relay() == 1
        own_redis.flush()  # the fact is lost on its way
        values = settings(notify_url, own_redis.url, mailbox.port)
        with WorkerProcess("notify", values, tmp_path / "notify.log"):
            auth.clock.ahead += timedelta(minutes=1)
            assert messenger.relay() == 1
            mailbox.wait_for(1)
            own_redis.flush()  # the receipt is lost on its way
            auth.clock.ahead += timedelta(minutes=1)
            assert messenger.relay() == 1
            auth_values = {
                "mode": "development", "public_origin": ORIGIN, "database_url": database_url,
                "redis_url": own_redis.url, "heartbeat_seconds": 0.3,
            }  # fmt: skip
            with WorkerProcess("auth", auth_values, tmp_path / "auth.log"):
                wait_until(lambda: auth.links() == [], "the receipt")
        assert len(mailbox.messages("ada@example.org")) == 1


def test_a_person_gets_the_link_through_both_workers(
    database_url: str, redis_url: str, mailbox: Mailbox, tmp_path: Path
) -> None:
    notify_url = f"sqlite:///{tmp_path}/notify.db"
    auth_values = {
        "mode": "development", "public_origin": ORIGIN, "database_url": database_url, "redis_url": redis_url,
        "heartbeat_seconds": 30,
    }  # fmt: skip
    with running_auth(database_url, redis_url, tmp_path) as auth, running_notify(notify_url, redis_url, mailbox.port):
        with (
            WorkerProcess("auth", auth_values, tmp_path / "auth.log"),
            WorkerProcess("notify", settings(notify_url, redis_url, mailbox.port), tmp_path / "notify.log"),
        ):
            browser = auth.browser()
            browser.ask("ada@example.org")
            auth.browser("192.0.2.9").ask("eve@unknown.org")
            link = mailbox.sign_in_link("ada@example.org")
            assert browser.confirm(link.rsplit("/", 1)[1]).status_code == 303
            wait_until(lambda: auth.links() == [], "the receipt")
            assert len(mailbox.messages()) == 1


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@contextlib.contextmanager
def _deaf_server(port: int) -> Iterator[None]:
    """Accepts connections and says nothing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
        yield
