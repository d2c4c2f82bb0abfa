"""notify starts with whole settings or not at all."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from keystead_notify.bootstrap import mail_server, retry_policy
from keystead_notify.settings import NotifySettings, NotifyWorkerSettings

GOOD: dict[str, object] = {
    "public_origin": "https://enroll.example.org",
    "database_url": "sqlite:////tmp/x.db",
    "smtp_host": "mail.example.org",
    "smtp_from": "Keystead <no-reply@example.org>",
}


def test_whole_settings_become_a_mail_server() -> None:
    settings = NotifyWorkerSettings(**GOOD, smtp_username="u", smtp_password="p")  # type: ignore[arg-type]
    server = mail_server(settings)
    assert (server.host, server.port, server.security, server.domain) == (
        "mail.example.org", 587, "starttls", "enroll.example.org",
    )  # fmt: skip
    assert "p'" not in repr(server)
    assert retry_policy(settings).lease.total_seconds() == 120


def test_web_and_migrate_need_no_mail_server() -> None:
    NotifySettings(public_origin=GOOD["public_origin"], database_url=GOOD["database_url"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"smtp_from": "nobody"}, "one address"),
        ({"smtp_from": "a@example.org, b@example.org"}, "one address"),
        ({"smtp_from": "a@example.org\r\nBcc: b@example.org"}, "one address"),
        ({"smtp_username": "u"}, "belongs together"),
        ({"smtp_security": "none"}, "refused in production mode"),
        ({"smtp_security": "ssl"}, "starttls"),
        ({"lease_seconds": 30}, "60 or more"),
        ({"smtp_ca_file": "/does/not/exist"}, "smtp_ca_file"),
        ({"smtp_host": ""}, "smtp_host"),
    ],
)
def test_what_is_wrong_refuses_to_start(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        NotifyWorkerSettings(**GOOD | changes)  # type: ignore[arg-type]


def test_a_mail_server_on_this_machine_needs_no_tls() -> None:
    NotifyWorkerSettings(**GOOD | {"smtp_security": "none", "smtp_host": "127.0.0.1"})  # type: ignore[arg-type]


def test_mistakes_are_told_together_by_name() -> None:
    changes = {"smtp_security": "none", "smtp_username": "u", "lease_seconds": 1, "public_origin": "http://a.example"}
    with pytest.raises(ValidationError) as refused:
        NotifyWorkerSettings(**GOOD | changes)  # type: ignore[arg-type]
    assert {mistake["loc"] for mistake in refused.value.errors()} == {
        ("public_origin",), ("smtp_security",), ("smtp_password",), ("lease_seconds",),
    }  # fmt: skip
