"""Letters as messages."""

from __future__ import annotations

from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default

import pytest
from tests.unit.notify.fakes import START, TRACE, installed, login

from keystead_notify.adapters.writing import Writer, compose
from keystead_notify.domain.letter import Letter, LetterFact, RetryPolicy, letter_for
from keystead_notify.web.samples import samples

SENDER = Address("Keystead", "no-reply", "example.org")


def sent(fact: LetterFact) -> EmailMessage:
    letter = letter_for(fact, message_id="m" * 32, trace_id=TRACE, now=START, policy=RetryPolicy())
    assert isinstance(letter, Letter)
    message = compose(letter, Writer().write(letter.kind, letter.fact), SENDER, "enroll.example.org")
    parsed = message_from_bytes(message.as_bytes(), policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


@pytest.mark.parametrize("kind", list(samples("https://enroll.example.org")))
def test_every_letter_has_text_and_html_and_is_small(kind: str) -> None:
    message = sent(samples("https://enroll.example.org")[kind])
    assert message.get_content_type() == "multipart/alternative"
    assert part(message, "plain").strip() and part(message, "html").lstrip().startswith("<!doctype html>")
    assert len(message.as_bytes()) < 30_000
    assert "{" not in part(message, "plain")


def test_the_headers_are_stable() -> None:
    first, second = sent(login()), sent(login())
    assert first["message-id"] == second["message-id"] == f"<{'m' * 32}@enroll.example.org>"
    assert first["date"] == second["date"] == "Mon, 23 Nov 2026 12:00:00 +0000"
    assert first["auto-submitted"] == "auto-generated"
    assert str(first["to"]) == "ada@example.org"


def test_a_sign_in_letter_holds_its_link_in_both_parts() -> None:
    message = sent(login())
    for kind in ("plain", "html"):
        assert login().link in part(message, kind)


def test_the_wire_is_seven_bit_with_short_lines() -> None:
    letter = letter_for(
        installed(organization="Universität Köln – Größe", machine="Ädas Läptop"),
        message_id="m" * 32, trace_id=TRACE, now=START, policy=RetryPolicy(),
    )  # fmt: skip
    assert letter
    raw = compose(letter, Writer().write(letter.kind, letter.fact), SENDER, "example.org").as_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    parsed = message_from_bytes(raw, policy=default)
    assert "Ädas Läptop" in str(parsed["subject"])


@pytest.mark.parametrize(
    "text", ["x\r\nBcc: eve@example.net", "x\nBcc: eve@example.net", "x\x0bBcc: e", "x\u2028Bcc: e", "x\0y"]
)
def test_no_value_can_begin_a_header(text: str) -> None:
    for fact in (installed(machine=text), login().model_copy(update={"form_name": text})):
        message = sent(fact)
        assert message["bcc"] is None
        assert "\n" not in str(message["subject"])
        assert len(message.keys()) == len(set(message.keys()))


def test_html_is_escaped() -> None:
    html = part(sent(installed(machine="<script>alert(1)</script>")), "html")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_failure_is_told_in_sentences_without_backticks() -> None:
    fact = samples("https://enroll.example.org")["enrollment_failed"]
    message = sent(fact.model_copy(update={"reason": "no TPM.", "advice": "run `keystead-agent doctor`."}))
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert "No TPM." in text and "Run keystead-agent doctor." in text
        assert "`" not in text


def test_a_refusal_tells_the_reason_or_whom_to_ask() -> None:
    fact = samples("https://enroll.example.org")["order_rejected"]
    given, none = sent(fact), sent(fact.model_copy(update={"reason": ""}))
    for kind in ("plain", "html"):
        assert "Guests get their certificates from the library." in part(given, kind)
        assert "Do you want to know why?" in part(none, kind) and "Reason" not in part(none, kind)
    assert str(given["subject"]) == "Your request from Staff certificates was refused"


def test_a_malformed_fact_is_not_written() -> None:
    with pytest.raises(ValueError, match="email"):
        Writer().write("login_requested", {})
