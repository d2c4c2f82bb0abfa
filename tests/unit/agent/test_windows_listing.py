"""`keystead-agent list` on Windows: what the stores have, in the words of `certutil -store`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.fake_crypt32 import MACHINE, USER
from tests.support.windows_computer import WindowsComputer
from tests.unit.agent.samples import SERVER

from keystead_agent.certstore._crypt32 import KeyProvInfo
from keystead_agent.keystore.persisted import PersistedKey
from keystead_agent.listing import DamagedCertificate, ListedCertificate, all_work, list_certificates
from keystead_agent.output import show_certificates
from keystead_contracts.base import serial_hex

PROVIDER = "Microsoft Platform Crypto Provider"


@pytest.fixture
def computer(tmp_path: Path) -> WindowsComputer:
    return WindowsComputer(tmp_path)


def listed(computer: WindowsComputer, *, test: bool = True) -> list[ListedCertificate | DamagedCertificate]:
    computer.restart()
    return list(list_certificates(computer.machine, test=test))


def only(computer: WindowsComputer) -> ListedCertificate:
    (item,) = listed(computer)
    assert isinstance(item, ListedCertificate), item
    return item


def put_another(computer: WindowsComputer, location: int, container: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    computer.crypt32.put(location, "My", computer.ca.issue(key, "other"), key=KeyProvInfo(container, PROVIDER, 0, 0x20))


def test_a_certificate_is_shown_in_the_words_of_certutil(
    computer: WindowsComputer, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = computer.install()
    (pair,) = computer.installed()
    show_certificates(listed(computer), as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "================ Certificate 0 ================",
        "Store: CurrentUser\\My",
        f"Serial Number: {serial_hex(certificate.serial_number)}",
        "Issuer: CN=Test Issuing",
        f" NotBefore: {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
        f" NotAfter: {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
        "Subject: CN=alice",
        "Friendly Name: alice (Example Ltd)",
        f"Cert Hash(sha1): {computer.sha1(certificate)}",
        f"  Key Container = {PersistedKey.read(pair.blob).name}",
        f"  Provider = {PROVIDER}",
        "Private key is NOT exportable",
        "Signature test passed",
        "Root: not trusted by this computer",
        f"Order: order-1 at {SERVER}",
    ]


def test_programs_get_the_same_as_json(computer: WindowsComputer, capsys: pytest.CaptureFixture[str]) -> None:
    computer.install()
    show_certificates(listed(computer), as_json=True)
    (item,) = json.loads(capsys.readouterr().out)
    assert item["store"] == item["location"] == "CurrentUser\\My"
    assert item["key_container"].startswith("tp-")
    assert (item["provider"], item["exportable"], item["signing_test"]) == (PROVIDER, False, "passed")


def test_the_test_signs_as_other_programs_do(computer: WindowsComputer) -> None:
    computer.install()
    assert only(computer).signing_test == "passed"
    computer.ncrypt.clear()
    item = only(computer)
    assert item.signing_test.startswith("failed: The key is not there")
    assert not all_work([item])


def test_a_key_of_another_certificate_does_not_pass_the_test(computer: WindowsComputer) -> None:
    computer.install()
    computer.install("order-2")
    first, second = computer.crypt32.content(USER, "My")
    first.key = second.key
    tests = sorted(item.signing_test for item in listed(computer) if isinstance(item, ListedCertificate))
    assert tests == ["failed: The key that Windows finds is not that of the certificate", "passed"]


def test_a_test_that_this_system_cannot_run_has_not_passed(
    computer: WindowsComputer, capsys: pytest.CaptureFixture[str]
) -> None:
    computer.crypt32.acquires = False
    computer.install()
    show_certificates(listed(computer), as_json=False)
    assert "Signature test FAILED: This system does not open keys by their certificates" in capsys.readouterr().out


def test_without_a_test_nothing_is_signed(computer: WindowsComputer) -> None:
    computer.install()
    (item,) = listed(computer, test=False)
    assert isinstance(item, ListedCertificate)
    assert item.signing_test == "not run"


def test_a_certificate_that_somebody_took_out_is_said_to_be_gone(computer: WindowsComputer) -> None:
    computer.install()
    computer.crypt32.content(USER, "My").clear()
    (item,) = listed(computer)
    assert isinstance(item, DamagedCertificate)
    assert "is no longer in the certificate store CurrentUser\\My" in item.damage
    assert "order-1" in item.damage


def test_what_another_account_installed_is_shown_and_not_used(computer: WindowsComputer) -> None:
    put_another(computer, MACHINE, "tp-machine")
    item = only(computer)
    assert (item.store, item.key_container, item.order_id) == ("LocalMachine\\My", "tp-machine", "")
    assert item.signing_test == "not run: installed by another account"
    assert all_work([item])


def test_certificates_of_other_programs_are_not_shown(computer: WindowsComputer) -> None:
    put_another(computer, USER, "somebody's")
    assert listed(computer) == []


def test_what_the_users_store_shows_of_the_machines_is_listed_once(computer: WindowsComputer) -> None:
    """Wine."""
    computer.crypt32.merges_my = True
    put_another(computer, MACHINE, "tp-machine")
    assert only(computer).store == "LocalMachine\\My"
