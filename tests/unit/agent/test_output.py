"""What a server says reaches a person's terminal as text, and orders the terminal nothing."""

from __future__ import annotations

import json

import pytest

from keystead_agent.device import Registered
from keystead_agent.enroll import Enrolled
from keystead_agent.errors import AgentError, ServerRefused
from keystead_agent.output import show_enrolled, show_error, show_registered, teller
from keystead_contracts.attestation import AttestationReason, AttestationResult
from keystead_contracts.base import AssuranceLevel

ORDERS = "\x1b]52;c;ZXZpbA==\x07\x9b2J\x1b[1A\N{RIGHT-TO-LEFT OVERRIDE}"


def obeyed(text: str) -> bool:
    return any(character in text for character in "\x1b\x07\x9b\N{RIGHT-TO-LEFT OVERRIDE}")


def test_an_error_is_text_wherever_it_goes() -> None:
    error = ServerRefused(f"No.{ORDERS}", f"Go.{ORDERS}", status=403)
    assert not obeyed(error.detail + error.advice + str(error) + error.report().detail)
    assert AgentError("two\nlines\tand a tab").detail == "Two\nlines\tand a tab"


def test_an_error_on_the_terminal_is_text(capfd: pytest.CaptureFixture[str]) -> None:
    show_error(ServerRefused(f"No.{ORDERS}", f"Go.{ORDERS}", status=403), as_json=False)
    written = capfd.readouterr().err
    assert "No." in written and "Go." in written
    assert not obeyed(written)


@pytest.mark.parametrize("log", [False, True])
def test_what_happens_is_text(log: bool, capfd: pytest.CaptureFixture[str]) -> None:
    teller(as_json=False, log=log)("busy", reason=f"Busy{ORDERS}", order=ORDERS)
    written = capfd.readouterr().err
    assert "Busy" in written
    assert not obeyed(written)


def test_a_log_line_in_json_stays_json_and_is_text(capfd: pytest.CaptureFixture[str]) -> None:
    teller(as_json=True, log=True)("busy", reason=f"Busy{ORDERS}")
    written = capfd.readouterr().err
    assert json.loads(written)["event"] == "busy"
    assert not obeyed(written)


def test_the_end_is_text(capfd: pytest.CaptureFixture[str]) -> None:
    show_enrolled(Enrolled("https://a.example", "order", f"/there{ORDERS}", "tpm2", "installed"), as_json=False)
    written = capfd.readouterr().out
    assert "/there" in written
    assert not obeyed(written)


WAITS = AttestationReason(code="device.same_machine", text="An administrator has to say so.")


def registered(level: AssuranceLevel) -> Registered:
    return Registered("d1", "Northwind", AttestationResult(level=level, reasons=(WAITS,)))


def test_a_registration_that_waits_says_for_what(capfd: pytest.CaptureFixture[str]) -> None:
    show_registered(registered(AssuranceLevel.CLAIMED), "https://a.example", as_json=False)
    first, second = capfd.readouterr().out.splitlines()
    assert first == "Registered as device d1 of Northwind, key claimed. Next: keystead-agent run"
    assert second.strip() == WAITS.text


def test_of_a_tpm_that_its_maker_vouches_for_nothing_more_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    show_registered(registered(AssuranceLevel.VENDOR), "https://a.example", as_json=False)
    assert len(capfd.readouterr().out.splitlines()) == 1


def test_a_program_gets_the_reasons_with_their_codes(capfd: pytest.CaptureFixture[str]) -> None:
    show_registered(registered(AssuranceLevel.CLAIMED), "https://a.example", as_json=True)
    shown = json.loads(capfd.readouterr().out)
    assert (shown["device_id"], shown["assurance"]) == ("d1", "claimed")
    assert shown["reasons"] == [{"code": "device.same_machine", "text": WAITS.text}]
