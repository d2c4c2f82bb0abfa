"""What a renewed certificate takes the place of, on Windows: the certificate and the key that Windows keeps. Links and
devices have their turn, over a TPM, in tests/integration/agent/test_superseded.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.support.fake_crypt32 import USER, Crash
from tests.support.windows_computer import WindowsComputer
from tests.unit.agent.samples import NOW, SERVER, job

from keystead_agent.backoff import Stop
from keystead_agent.certstore.pem import InstalledCertificate
from keystead_agent.certstore.superseded import superseded
from keystead_agent.client import ServerClient
from keystead_agent.errors import StoreUnwritable
from keystead_agent.journal import Journal
from keystead_agent.worker import Tokens, Worker
from keystead_contracts.agent import AgentToken, Installed, ReportReceipt


@pytest.fixture
def computer(tmp_path: Path) -> Iterator[WindowsComputer]:
    made = WindowsComputer(tmp_path)
    yield made
    assert made.crypt32.open_handles() == 0
    assert made.ncrypt.open_handles == 0


def keys(computer: WindowsComputer) -> int:
    """How many keys Windows keeps."""
    return len(computer.ncrypt.kept())


def only(computer: WindowsComputer, certificate: x509.Certificate) -> bool:
    """Whether this certificate, with its key, is all that there is."""
    (pair,) = computer.installed()
    return (
        computer.holds(USER, "My", [certificate])
        and pair.fingerprint == certificate.fingerprint(hashes.SHA256()).hex()
        and keys(computer) == 1
    )


def test_the_old_certificate_and_its_key_go_when_the_new_one_is_proved(computer: WindowsComputer) -> None:
    new = computer.renew(computer.install())
    assert keys(computer) == 2
    assert computer.machine.retire() == ["order-1"]
    assert only(computer, new)


def test_a_second_time_nothing_is_left_to_do(computer: WindowsComputer) -> None:
    new = computer.renew(computer.install())
    computer.machine.retire()
    assert computer.machine.retire() == []
    assert only(computer, new)


def test_the_old_one_stays_until_the_server_has_the_proof(computer: WindowsComputer) -> None:
    old = computer.install()
    new = computer.certify("order-2", supersedes=old.fingerprint(hashes.SHA256()).hex())
    assert computer.machine.retire() == []
    assert isinstance(computer.perform(computer.parcel(new), "order-2"), Installed)
    assert computer.machine.retire() == []
    assert computer.holds(USER, "My", [old, new])
    assert keys(computer) == 2


@pytest.mark.parametrize("order_state", ["", "issued", "cancelled", "failed"])
def test_the_old_one_stays_if_the_order_did_not_end_installed(computer: WindowsComputer, order_state: str) -> None:
    old = computer.install()
    new = computer.renew(old, order_state=order_state)
    assert computer.machine.retire() == []
    assert computer.holds(USER, "My", [old, new])


def test_what_is_renewed_twice_ends_with_the_last(computer: WindowsComputer) -> None:
    second = computer.renew(computer.install())
    third = computer.renew(second, "order-3")
    assert sorted(computer.machine.retire()) == ["order-1", "order-2"]
    assert only(computer, third)


def test_policy_keeps_the_old_one(tmp_path: Path) -> None:
    computer = WindowsComputer(tmp_path, remove_superseded=False)
    old = computer.install()
    new = computer.renew(old)
    assert computer.machine.retire() == []
    computer.recover()
    assert computer.holds(USER, "My", [old, new])
    assert keys(computer) == 2


def test_a_certificate_that_the_agent_did_not_make_stays(computer: WindowsComputer, tmp_path: Path) -> None:
    other = WindowsComputer(tmp_path / "other")
    foreign = other.install()
    computer.crypt32.put(USER, "My", foreign)
    new = computer.renew(foreign)
    assert computer.machine.retire() == []
    assert computer.holds(USER, "My", [foreign, new])


def test_a_crash_at_any_point_is_made_good_by_the_next_start(tmp_path: Path) -> None:
    for number in range(1, 500):
        computer = WindowsComputer(tmp_path / str(number))
        new = computer.renew(computer.install())
        computer.crypt32.calls.clear()
        computer.crypt32.crash_before = number
        try:
            computer.machine.retire()
        except Crash:
            computer.restart()
            computer.recover()
            assert only(computer, new)
        else:
            assert number > 1
            return
    raise AssertionError("there is no end of crashes")


def test_what_was_proved_before_a_crash_is_removed_by_the_next_start(computer: WindowsComputer) -> None:
    new = computer.renew(computer.install())
    computer.restart()
    computer.recover()
    assert only(computer, new)


def test_a_server_names_no_certificate_of_another(computer: WindowsComputer) -> None:
    computer.renew(computer.install())
    for server in ("https://evil.example", SERVER + ":8443"):
        assert superseded(as_if_renewed_at(server, computer.installed()), {(server, "order-2")}) == []


def as_if_renewed_at(server: str, pairs: list[InstalledCertificate]) -> Iterator[InstalledCertificate]:
    """The same, but the renewed one is of `server`."""
    for pair in pairs:
        request = pair.metadata.request
        if request.supersedes:
            request = request.model_copy(update={"server": server})
        metadata = pair.metadata.model_copy(update={"request": request})
        yield InstalledCertificate(pair.directory, metadata, pair.blob, pair.certificate, pair.chain, pair.root)


class Server:
    """Takes every report, and says that the order is installed."""

    origin = SERVER

    def report(self, *_: object) -> ReportReceipt:
        return ReportReceipt(order_state="installed")


def test_a_certificate_that_will_not_go_is_told_of_and_does_not_undo_the_new_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda: NOW)
    journal.recover()
    body = Installed(location="x", provider="x", probe_signature="")
    journal.answer(SERVER, "claim", job(), body)

    def fail() -> list[str]:
        raise StoreUnwritable("the folder is in use", "Close the other program.")

    told: list[str] = []
    worker = Worker(
        journal,
        lambda *_: pytest.fail("nothing is to be done"),
        cast(ServerClient, Server()),
        Tokens(lambda: AgentToken(access_token="t", expires_in=600, recipient="claim")),
        recipient="claim",
        discard_key=lambda *_: None,
        retire=fail,
        stop=Stop(),
        tell=lambda event, /, **_: told.append(event),
    )
    (entry,) = worker.finish_reports()
    assert (entry.settled, entry.order_state) == (True, "installed")
    assert told == ["job_reported", "superseded_not_removed"]
