"""The certificate stores of Windows over `tests/support/fake_crypt32.py`; the DLL's turn is in tests/windows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.agent_server import certify, pem
from tests.support.fake_crypt32 import MACHINE, USER, Crash
from tests.support.windows_computer import WindowsComputer
from tests.unit.agent.samples import SERVER

from keystead_agent.certstore._crypt32 import KeyProvInfo
from keystead_agent.keystore.persisted import PersistedKey
from keystead_contracts.agent import Failed, Install, Installed, Remove, Removed, ReportBody

REMOVE = Remove(reason="cancelled")


@pytest.fixture
def computer(tmp_path: Path) -> Iterator[WindowsComputer]:
    made = WindowsComputer(tmp_path)
    yield made
    assert made.crypt32.open_handles() == 0
    assert made.ncrypt.open_handles == 0


def failed(body: ReportBody) -> Failed:
    assert isinstance(body, Failed), body
    assert body.advice
    return body


def another_programs(computer: WindowsComputer, subject: str = "alice") -> x509.Certificate:
    """A certificate of the same names as ours, by the same CA, for somebody else's key."""
    return computer.ca.issue(ec.generate_private_key(ec.SECP256R1()).public_key(), subject)


def every_crash(attempt: Callable[[], object], computer: WindowsComputer) -> Iterator[str]:
    """Yields after each crash in `attempt`, one call of the DLL later each time, until it goes through."""
    for number in range(1, 500):
        computer.crypt32.calls.clear()
        computer.crypt32.crash_before = number
        try:
            attempt()
        except Crash as crash:
            computer.restart()
            yield str(crash)
        else:
            computer.restart()
            return
    raise AssertionError("there is no end of crashes")


def test_the_certificate_names_its_key_before_any_program_sees_it(computer: WindowsComputer) -> None:
    certificate = computer.install()
    assert computer.holds(USER, "My", [certificate])
    (element,) = computer.crypt32.content(USER, "My")
    (pair,) = computer.installed()
    key = PersistedKey.read(pair.blob)
    assert element.key == KeyProvInfo(key.name, "Microsoft Platform Crypto Provider", 0, 0, 0)
    adding, setting = "CertAddCertificateContextToStore", "CertSetCertificateContextProperty"
    calls = [name for name in computer.crypt32.calls if name in (adding, setting)]
    assert calls == [adding, setting, setting, setting, adding]


def test_a_person_recognizes_the_certificate(computer: WindowsComputer) -> None:
    computer.install(subject="Älice\u202e\n Example")
    (element,) = computer.crypt32.content(USER, "My")
    friendly_name, description = (element.properties[number].decode("utf-16-le") for number in (11, 13))
    assert friendly_name == "Älice Example (Example Ltd)\0"
    assert description == f"Keystead: Client, order order-1 at {SERVER}\0"


def test_issuers_go_to_ca_and_no_root_is_trusted(computer: WindowsComputer) -> None:
    computer.install()
    assert computer.holds(USER, "CA", [computer.ca.issuing])
    for location in (USER, MACHINE):
        assert computer.holds(location, "Root", [])
    assert computer.crypt32.questions == 0


def test_the_report_and_the_folder_name_the_store(computer: WindowsComputer) -> None:
    body = computer.perform(computer.parcel(computer.certify()))
    assert isinstance(body, Installed), body
    assert (body.location, body.root_trusted) == ("CurrentUser\\My", False)
    (pair,) = computer.installed()
    assert pair.metadata.system_store == "CurrentUser\\My"


def test_a_key_of_the_machine_has_its_certificate_in_the_machines_stores(tmp_path: Path) -> None:
    computer = WindowsComputer(tmp_path, machine_keys=True)
    certificate = computer.install()
    assert computer.holds(MACHINE, "My", [certificate])
    assert computer.holds(MACHINE, "CA", [computer.ca.issuing])
    assert computer.holds(USER, "My", [])
    (element,) = computer.crypt32.content(MACHINE, "My")
    assert element.key is not None
    assert element.key.flags == 0x20


def test_installing_again_changes_nothing(computer: WindowsComputer) -> None:
    certificate = computer.install()
    assert isinstance(computer.perform(computer.parcel(certificate)), Installed)
    assert computer.holds(USER, "My", [certificate])
    assert computer.holds(USER, "CA", [computer.ca.issuing])


def test_installing_again_puts_back_what_somebody_took_out(computer: WindowsComputer) -> None:
    certificate = computer.install()
    computer.crypt32.content(USER, "My").clear()
    assert isinstance(computer.perform(computer.parcel(certificate)), Installed)
    assert computer.holds(USER, "My", [certificate])


def test_a_crash_anywhere_leaves_all_or_nothing_and_the_job_can_be_done_again(computer: WindowsComputer) -> None:
    certificate = computer.certify()
    parcel = computer.parcel(certificate)
    crashes = 0
    for _ in every_crash(lambda: computer.perform(parcel), computer):
        crashes += 1
        computer.recover()
        done = [certificate] if computer.installed() else []
        assert computer.holds(USER, "My", done)
        assert computer.holds(USER, "CA", [computer.ca.issuing] if done else [])
        assert len(computer.ncrypt.kept()) == 1
    assert crashes > 20
    assert computer.holds(USER, "My", [certificate])
    assert isinstance(computer.perform(parcel), Installed)


def test_what_was_put_in_and_never_installed_is_taken_out(computer: WindowsComputer) -> None:
    """The crash between the store and the folder."""
    certificate = computer.install()
    (pair,) = computer.installed()
    computer.perform(REMOVE)
    computer.machine.store.platform.put(pair)
    assert computer.holds(USER, "My", [certificate])
    computer.restart()
    computer.recover()
    assert computer.holds(USER, "My", [])
    assert computer.holds(USER, "CA", [])


def test_removing_takes_certificate_issuer_and_key(computer: WindowsComputer) -> None:
    computer.install()
    assert computer.perform(REMOVE) == Removed()
    assert computer.holds(USER, "My", [])
    assert computer.holds(USER, "CA", [])
    assert computer.ncrypt.kept() == set()


def test_a_crash_while_removing_is_finished(computer: WindowsComputer) -> None:
    def attempt() -> None:
        computer.perform(REMOVE)

    computer.install()
    for _ in every_crash(attempt, computer):
        computer.recover()
        certificates = [x509.load_pem_x509_certificate(pair.certificate) for pair in computer.installed()]
        assert computer.holds(USER, "My", certificates)
        assert len(computer.ncrypt.kept()) == len(certificates)
        if not certificates:
            computer.install()
    assert computer.installed() == []
    assert computer.holds(USER, "My", [])


def test_a_new_certificate_of_the_same_order_takes_the_place_of_the_old_one_and_its_key(
    computer: WindowsComputer,
) -> None:
    old = computer.install()
    new = computer.install(subject="alice again")
    assert old != new
    assert computer.holds(USER, "My", [new])
    assert len(computer.ncrypt.kept()) == 1


def test_removing_one_order_leaves_the_others(computer: WindowsComputer) -> None:
    computer.install()
    kept = computer.install("order-2")
    computer.perform(REMOVE)
    assert computer.holds(USER, "My", [kept])
    assert computer.holds(USER, "CA", [computer.ca.issuing])
    assert len(computer.ncrypt.kept()) == 1


@pytest.mark.parametrize("location", [USER, MACHINE])
def test_another_programs_certificate_of_the_same_names_is_not_touched(
    computer: WindowsComputer, location: int
) -> None:
    others = another_programs(computer)
    before = computer.crypt32.put(location, "My", others, key=KeyProvInfo("tp-other", "Another Provider"))
    computer.install()
    computer.perform(REMOVE)
    computer.recover()
    assert computer.crypt32.content(location, "My") == [before]


def test_a_certificate_that_only_shares_its_sha1_with_ours_is_not_touched(computer: WindowsComputer) -> None:
    """SHA-1 is what the stores find by, and collides."""
    computer.install()
    others = another_programs(computer)
    before = computer.crypt32.put(USER, "My", others)
    listing = computer.settings.state_dir / "entries.json"
    (pair,) = computer.installed()
    ours = computer.sha1(x509.load_pem_x509_certificate(pair.certificate))
    listing.write_text(listing.read_text().replace(ours, computer.sha1(others)))
    computer.perform(REMOVE)
    assert before in computer.crypt32.content(USER, "My")


def test_an_issuer_stays_while_another_programs_certificate_needs_it(computer: WindowsComputer) -> None:
    computer.install()
    others = computer.crypt32.put(USER, "My", another_programs(computer))
    assert computer.perform(REMOVE) == Removed()
    assert computer.holds(USER, "CA", [computer.ca.issuing])
    computer.crypt32.content(USER, "My").remove(others)
    computer.recover()
    assert computer.holds(USER, "CA", [])


def test_a_chain_of_issuers_goes_as_a_whole_however_it_is_named(computer: WindowsComputer) -> None:
    """Also an issuer that names itself (RFC 5280 section 3.2, self-issued)."""
    ca, key = computer.ca, ec.generate_private_key(ec.SECP256R1())
    renewed = certify("Test Issuing", key.public_key(), "Test Issuing", ca._key, ca=True)
    answer = computer.certify().public_key()
    certificate = certify("alice", answer, "Test Issuing", key, ca=False)
    parcel = computer.parcel(certificate).model_copy(update={"chain_pem": [pem(renewed), pem(ca.issuing)]})
    assert isinstance(computer.perform(parcel), Installed)
    assert computer.holds(USER, "CA", [renewed, ca.issuing])
    computer.perform(REMOVE)
    assert computer.holds(USER, "CA", [])


def test_an_issuer_that_was_there_before_stays(computer: WindowsComputer) -> None:
    computer.crypt32.put(USER, "CA", computer.ca.issuing)
    computer.install()
    computer.perform(REMOVE)
    assert computer.holds(USER, "CA", [computer.ca.issuing])


def test_the_users_certificate_does_not_depend_on_what_shows_through_from_the_machine(
    computer: WindowsComputer,
) -> None:
    computer.crypt32.put(MACHINE, "CA", computer.ca.issuing)
    computer.install()
    assert computer.holds(USER, "CA", [computer.ca.issuing])
    computer.perform(REMOVE)
    assert computer.holds(USER, "CA", [])
    assert computer.holds(MACHINE, "CA", [computer.ca.issuing])


def test_what_only_shows_through_from_the_machine_is_not_removed(computer: WindowsComputer) -> None:
    computer.install()
    computer.crypt32.content(USER, "CA").clear()
    computer.crypt32.put(MACHINE, "CA", computer.ca.issuing)
    computer.perform(REMOVE)
    assert computer.holds(MACHINE, "CA", [computer.ca.issuing])


def test_a_certificate_that_cannot_be_read_keeps_the_issuer_that_it_may_have(computer: WindowsComputer) -> None:
    computer.install()
    element = computer.crypt32.put(USER, "CA", another_programs(computer))
    element.encoded = b"\x30\x03" + computer.ca.issuing.subject.public_bytes()
    computer.perform(REMOVE)
    assert computer.ca.issuing.public_bytes(Encoding.DER) in [
        each.encoded for each in computer.crypt32.content(USER, "CA")
    ]


def test_while_a_folder_is_damaged_nothing_is_taken_out(computer: WindowsComputer) -> None:
    certificate = computer.install()
    (pair,) = computer.installed()
    (pair.directory / "metadata.json").write_text("{")
    computer.restart()
    computer.recover()
    assert computer.holds(USER, "My", [certificate])


def test_a_list_that_is_damaged_removes_nothing_and_is_named(
    computer: WindowsComputer, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = computer.install()
    (computer.settings.state_dir / "entries.json").write_text("[{")
    computer.restart()
    computer.recover()
    assert computer.holds(USER, "My", [certificate])
    assert "entries.json is damaged" in caplog.text
    assert failed(computer.perform(REMOVE)).code == "store_unwritable"


def test_a_store_that_must_not_be_changed_fails_the_job_and_keeps_the_key(tmp_path: Path) -> None:
    computer = WindowsComputer(tmp_path, machine_keys=True)
    computer.crypt32.read_only = {(MACHINE, "my"), (MACHINE, "ca")}
    certificate = computer.certify()
    body = failed(computer.perform(computer.parcel(certificate)))
    assert body.code == "store_unwritable"
    assert "LocalMachine" in body.detail
    assert computer.installed() == []
    assert len(computer.ncrypt.kept()) == 1
    computer.crypt32.read_only = set()
    assert isinstance(computer.perform(computer.parcel(certificate)), Installed)


def test_a_certificate_that_stays_in_the_store_is_not_reported_as_removed(computer: WindowsComputer) -> None:
    certificate = computer.install()
    computer.crypt32.read_only = {(USER, "my")}
    assert failed(computer.perform(REMOVE)).code == "store_unwritable"
    computer.crypt32.read_only = set()
    computer.recover()
    assert not computer.holds(USER, "My", [certificate])


def test_a_key_that_windows_does_not_find_by_the_certificate_fails_the_job(computer: WindowsComputer) -> None:
    certificate = computer.install()
    (pair,) = computer.installed()
    computer.ncrypt.clear()
    body = failed(computer.perform(computer.parcel(certificate)))
    assert body.code == "key_lost"
    assert pair.metadata.request.order_id == "order-1"


def test_a_certificate_whose_key_another_program_changed_is_noticed(computer: WindowsComputer) -> None:
    computer.install()
    (element,) = computer.crypt32.content(USER, "My")
    element.key = KeyProvInfo("somebody's", "Microsoft Software Key Storage Provider")
    (pair,) = computer.installed()
    with pytest.raises(Exception, match="names another key"):
        computer.machine.store.platform.check(pair)


def test_a_system_that_opens_no_keys_by_certificates_says_so(
    computer: WindowsComputer, caplog: pytest.LogCaptureFixture
) -> None:
    """Wine: the key store signs, and the log says what was not tested."""
    computer.crypt32.acquires = False
    with caplog.at_level(logging.WARNING):
        computer.install()
    assert "key_not_acquired" in caplog.text


def test_a_root_is_trusted_only_by_policy_that_names_its_server(tmp_path: Path) -> None:
    for number, (servers, trusted) in enumerate(
        {(SERVER,): True, ("https://other.example",): False, (): False}.items()
    ):
        computer = WindowsComputer(tmp_path / str(number), machine_keys=True, trust_root=True, servers=servers)
        certificate = computer.certify()
        body = computer.perform(computer.parcel(certificate))
        assert isinstance(body, Installed)
        assert body.root_trusted is trusted
        assert computer.holds(MACHINE, "Root", [computer.ca.root] if trusted else [])
        assert bool(computer.machine.store.platform.beforehand(SERVER)) is trusted


def test_a_trusted_root_goes_with_the_last_certificate_of_the_machine(tmp_path: Path) -> None:
    computer = WindowsComputer(tmp_path, machine_keys=True, trust_root=True, servers=(SERVER,))
    computer.install()
    computer.install("order-2")
    computer.perform(REMOVE)
    assert computer.holds(MACHINE, "Root", [computer.ca.root])
    computer.perform(REMOVE, "order-2")
    assert computer.holds(MACHINE, "Root", [])


def test_a_root_that_was_trusted_before_is_reported_and_stays(computer: WindowsComputer) -> None:
    computer.crypt32.put(MACHINE, "Root", computer.ca.root)
    body = computer.perform(computer.parcel(computer.certify()))
    assert isinstance(body, Installed)
    assert body.root_trusted
    computer.perform(REMOVE)
    assert computer.holds(MACHINE, "Root", [computer.ca.root])


def test_a_person_who_does_not_trust_the_root_gets_the_certificate_all_the_same(tmp_path: Path) -> None:
    computer = WindowsComputer(tmp_path, trust_root=True, servers=(SERVER,))
    computer.crypt32.says_no = True
    body = computer.perform(computer.parcel(computer.certify()))
    assert isinstance(body, Installed)
    assert not body.root_trusted
    assert computer.crypt32.questions == 1


def test_nobody_is_asked_about_a_root_while_a_certificate_is_removed(tmp_path: Path) -> None:
    computer = WindowsComputer(tmp_path, trust_root=True, servers=(SERVER,))
    computer.install()
    computer.perform(REMOVE)
    assert computer.holds(USER, "Root", [computer.ca.root])
    assert computer.crypt32.questions == 1


def test_a_certificate_for_the_own_key_with_other_issuers_does_not_move_into_root(tmp_path: Path) -> None:
    """A server that puts its root into the chain does not get it into CA either."""
    computer = WindowsComputer(tmp_path)
    certificate = computer.certify()
    parcel = computer.parcel(certificate)
    both = Install.model_validate({**parcel.model_dump(), "chain_pem": [*parcel.chain_pem, parcel.root_pem]})
    assert isinstance(computer.perform(both), Installed)
    assert computer.holds(USER, "CA", [computer.ca.issuing])


def test_issuers_of_two_generations_are_told_apart(computer: WindowsComputer) -> None:
    """Of the same name: whichever a certificate may chain to stays."""
    computer.install()
    key = ec.generate_private_key(ec.SECP256R1())
    newer = certify("Test Issuing", key.public_key(), "Test Root", key, ca=True)
    computer.crypt32.put(USER, "CA", newer)
    computer.perform(REMOVE)
    assert computer.holds(USER, "CA", [newer])
