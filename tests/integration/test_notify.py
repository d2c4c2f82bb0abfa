"""notify on real Redis, SQLite, PostgreSQL and SMTP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.integration.auth_support import client_of
from tests.integration.notify_support import (
    ORIGIN,
    Notify,
    in_envelope,
    installed,
    login,
    running_notify,
)
from tests.support.servers import HOST, end_process, free_port, listening, wait_until
from tests.support.smtp import PASSWORD, USERNAME, MailServer, write_certificate

from keystead_notify.bootstrap import migrations, web_parts
from keystead_notify.settings import NotifySettings
from keystead_notify.web.app import create_app


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server = MailServer()
    with server.serving():
        yield server


@pytest.fixture
def notify(database_url: str, redis_url: str, mail: MailServer) -> Iterator[Notify]:
    with running_notify(database_url, redis_url, mail.port) as running:
        yield running


def test_models_and_migrations_agree(notify: Notify) -> None:
    assert migrations(notify.parts.database).drift() == []


def test_a_fact_becomes_one_letter(notify: Notify, mail: MailServer) -> None:
    fact = login()
    message = in_envelope(fact)
    notify.take(message)
    assert notify.deliver() == 1
    assert notify.deliver() == 0
    [letter] = mail.received
    assert str(letter["to"]) == "ada@example.org"
    assert letter["message-id"] == f"<{message.message_id}@localhost>"
    body = letter.get_body(("plain",))
    assert body and fact.link in body.get_content()


def test_a_repeated_fact_makes_no_second_letter(notify: Notify, mail: MailServer) -> None:
    message = in_envelope(login())
    for _ in range(3):
        notify.take(message)
        notify.deliver()
    assert len(mail.received) == 1


def test_simultaneous_repeats_make_no_second_letter(notify: Notify, mail: MailServer) -> None:
    message = in_envelope(installed())
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: notify.take(message), range(6)))
        list(pool.map(lambda _: notify.deliver(), range(6)))
    assert len(mail.received) == 1


def test_workers_share_letters_without_doubling_them(notify: Notify, mail: MailServer) -> None:
    for number in range(30):
        notify.take(in_envelope(installed(f"user{number}@example.org")))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: notify.deliver(), range(4)))
    assert sorted(str(each["to"]) for each in mail.received) == sorted(f"user{n}@example.org" for n in range(30))


def test_a_sent_letter_forgets_the_link(notify: Notify) -> None:
    notify.take(in_envelope(login()))
    notify.deliver()
    [row] = notify.letters()
    assert (row.state, row.fact, row.attempts) == ("sent", {}, 1)


def test_a_permanent_refusal_is_recorded_with_its_code(notify: Notify, mail: MailServer) -> None:
    mail.rcpt["nobody@example.org"] = ["550 5.1.1 no such user"] * 5
    notify.take(in_envelope(installed("nobody@example.org")))
    notify.take(in_envelope(installed("ada@example.org")))
    assert notify.deliver() == 2
    refused, sent = sorted(notify.letters(), key=lambda row: row.state)
    assert (refused.state, refused.smtp_code, refused.reason) == ("refused", 550, "5.1.1 no such user")
    assert sent.state == "sent"
    assert mail.connections == 1
    notify.clock.ahead += timedelta(hours=1)
    assert notify.deliver() == 0


def test_a_letter_that_the_server_rejects_is_recorded(notify: Notify, mail: MailServer) -> None:
    mail.data["ada@example.org"] = ["554 5.7.1 looks like spam"]
    notify.take(in_envelope(installed()))
    notify.deliver()
    [row] = notify.letters()
    assert (row.state, row.smtp_code) == ("refused", 554)


@pytest.mark.parametrize("reply", ["451 4.3.0 later", "421 4.3.2 shutting down", "530 5.7.0 must authenticate"])
def test_what_may_pass_is_tried_again(notify: Notify, mail: MailServer, reply: str) -> None:
    mail.rcpt["ada@example.org"] = [reply]
    mail.data["grace@example.org"] = ["452 4.2.2 mailbox full"]
    for person in ("ada", "grace"):
        notify.take(in_envelope(installed(f"{person}@example.org")))
    notify.deliver()
    notify.clock.ahead += timedelta(seconds=5)
    notify.deliver()
    notify.clock.ahead += timedelta(seconds=5)
    notify.deliver()
    assert sorted(str(each["to"]) for each in mail.received) == ["ada@example.org", "grace@example.org"]
    assert {row.state for row in notify.letters()} == {"sent"}


def test_a_sign_in_link_past_its_time_is_not_sent(notify: Notify, mail: MailServer) -> None:
    notify.take(in_envelope(login(minutes=0)))
    assert notify.deliver() == 1
    [row] = notify.letters()
    assert (row.state, row.fact, mail.received) == ("expired", {}, [])


def test_a_second_sending_has_the_same_message_id(notify: Notify, mail: MailServer) -> None:
    notify.take(in_envelope(installed()))
    with notify.parts.transactions.write() as letters:  # a worker that dies with the letter in hand
        now = notify.clock.now()
        assert letters.claim(now, now + notify.parts.policy.lease, 1)
    assert notify.deliver() == 0
    notify.clock.ahead += notify.parts.policy.lease
    assert notify.deliver() == 1
    [letter] = mail.received
    [row] = notify.letters()
    assert letter["message-id"] == f"<{row.message_id}@localhost>"


def test_an_hour_without_the_mail_server_ends_in_exactly_one_letter(database_url: str, redis_url: str) -> None:
    server = MailServer()
    with running_notify(database_url, redis_url, server.port) as notify:
        notify.take(in_envelope(installed()))
        for _ in range(60):
            notify.deliver()
            notify.clock.ahead += timedelta(minutes=1)
        [row] = notify.letters()
        assert row.state == "queued" and "refused" in row.reason.lower()
        with server.serving():
            notify.clock.ahead += timedelta(minutes=5)
            assert notify.deliver() == 1
            assert notify.deliver() == 0
        assert len(server.received) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd does not see that implicit TLS is TLS
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_letters_travel_encrypted_and_logged_in(sqlite_url: str, redis_url: str, tmp_path: Path, security: str) -> None:
    certificate, ca = write_certificate(tmp_path)
    server = MailServer()
    with server.serving(certificate, implicit_tls=security == "tls", login=True):
        with running_notify(
            sqlite_url, redis_url, server.port, smtp_security=security, smtp_ca_file=ca,
            smtp_username=USERNAME, smtp_password=PASSWORD,
        ) as notify:  # fmt: skip
            notify.take(in_envelope(login()))
            assert notify.deliver() == 1
    assert (len(server.received), server.encrypted, server.logins) == (1, [True], [USERNAME])


def test_a_server_with_a_certificate_of_nobody_we_trust_gets_nothing(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    certificate, _ = write_certificate(tmp_path)
    server = MailServer()
    with (
        server.serving(certificate),
        running_notify(sqlite_url, redis_url, server.port, smtp_security="starttls") as notify,
    ):
        notify.take(in_envelope(installed()))
        notify.deliver()
        [row] = notify.letters()
    assert row.state == "queued" and "CERTIFICATE_VERIFY_FAILED" in row.reason
    assert not server.received


def test_without_starttls_nothing_is_sent_in_the_clear(sqlite_url: str, redis_url: str, mail: MailServer) -> None:
    with running_notify(sqlite_url, redis_url, mail.port, smtp_security="starttls") as notify:
        notify.take(in_envelope(installed()))
        notify.deliver()
        [row] = notify.letters()
    assert row.state == "queued" and "STARTTLS" in row.reason
    assert not mail.received


def test_a_wrong_password_loses_nothing(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    certificate, ca = write_certificate(tmp_path)
    server = MailServer()
    with server.serving(certificate, login=True), running_notify(
        sqlite_url, redis_url, server.port, smtp_security="starttls", smtp_ca_file=ca, smtp_username=USERNAME,
        smtp_password="wrong password",
    ) as notify:  # fmt: skip
        notify.take(in_envelope(installed()))
        notify.deliver()
        [row] = notify.letters()
    assert row.state == "queued" and "535" in row.reason
    assert "wrong password" not in row.reason


def test_development_shows_every_letter_and_production_none(sqlite_url: str, redis_url: str) -> None:
    values = {"database_url": sqlite_url, "redis_url": redis_url}
    development = web_parts(NotifySettings(mode="development", public_origin=ORIGIN, **values))  # type: ignore[arg-type]
    production = web_parts(NotifySettings(public_origin="https://enroll.example.org", **values))  # type: ignore[arg-type]
    client = client_of(create_app(development))
    assert client.get("/health/ready").status_code == 200
    assert "keystead_letters_waiting" in client.get("/metrics").text
    index = client.get("/preview")
    for kind in (
        "login_requested",
        "certificate_installed",
        "certificate_issued",
        "enrollment_failed",
        "order_approved",
        "order_rejected",
    ):
        assert f"/preview/{kind}.html" in index.text
        page = client.get(f"/preview/{kind}.html")
        assert page.status_code == 200 and "sandbox" in page.headers["content-security-policy"]
        assert client.get(f"/preview/{kind}.txt").text
    assert client.get("/preview/nothing.html").status_code == 404
    assert client_of(create_app(production)).get("/preview").status_code == 404
    for parts in (development, production):
        parts.bus.close()
        parts.database.close()


def test_the_mailbox_keeps_and_shows_letters(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    smtp_port, web_port = free_port(), free_port()
    command = [
        str(Path(sys.executable).parent / "keystead-notify"), "mailbox", "--smtp-port", str(smtp_port),
        "--web-port", str(web_port), "--folder", str(tmp_path / "mail"),
    ]  # fmt: skip
    refused = subprocess.run(command, env={"PATH": "/usr/bin"}, capture_output=True, check=False)
    assert refused.returncode == 2 and b"production" in refused.stderr
    process = subprocess.Popen(
        command, env={"KEYSTEAD_NOTIFY_MODE": "development"}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: listening(web_port) and listening(smtp_port), "the mailbox")
        fact = login()
        with running_notify(sqlite_url, redis_url, smtp_port) as notify:
            notify.take(in_envelope(fact))
            notify.take(in_envelope(installed("grace@example.org")))
            assert notify.deliver() == 2
        with httpx.Client(base_url=f"http://{HOST}:{web_port}", headers={"accept": "text/html"}) as client:
            [message] = client.get("/messages", params={"to": "Ada@example.org"}).json()
            assert message["links"] == [fact.link]
            assert len(client.get("/messages").json()) == 2
            assert message["subject"] in client.get("/").text
            page = client.get(f"/messages/{message['id']}")
            assert "<iframe" in page.text and fact.link in page.text
            html = client.get(f"/messages/{message['id']}/html")
            assert "sandbox" in html.headers["content-security-policy"]
            assert "script-src" not in html.headers["content-security-policy"]
            assert "Message-ID" in client.get(f"/messages/{message['id']}/source").text
            for path in ("/messages/999999", "/messages/..%2Fx", "/messages/999999/html", "/messages/x/source"):
                assert client.get(path).status_code == 404
        assert len(list((tmp_path / "mail").glob("*.eml"))) == 2
    finally:
        end_process(process)
