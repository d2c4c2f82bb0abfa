"""No key of Windows' stays without a use, and none in use goes: a process is ended at every step that it makes on the
disk or in the key provider, and the next one is looked at."""

from __future__ import annotations

import base64
import os
import shutil
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from tests.support.agent_server import Ca, pem
from tests.support.fake_ncrypt import FakeNcrypt
from tests.unit.agent.samples import NOW, SERVER, job, wish

from keystead_agent.certstore.pem import CertificateStore
from keystead_agent.device import DeviceIdentity, DeviceStore
from keystead_agent.errors import StoreUnwritable
from keystead_agent.jobs import sign_with_stored
from keystead_agent.journal import Journal
from keystead_agent.keystore import KeyStores, unsettled
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore.persisted import KEY_FILES, KeyScope, PersistedKey
from keystead_agent.keystore.unsettled import UnsettledKeys
from keystead_agent.machine import Machine
from keystead_agent.settings import Settings
from keystead_agent.signatures import sign
from keystead_contracts.agent import CsrReady, Failed, Install, Remove
from keystead_contracts.base import CertificateType, KeyAlgorithm

UNREACHED = 99
CALLS = {"create_persisted_key", "finalize_key", "finalized", "delete_key"}
EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
WRITING = os.O_WRONLY | os.O_RDWR


def on_windows(folder: Path, ncrypt: FakeNcrypt | None = None) -> Machine:
    """A machine on Windows whose provider and state directory are below `folder`."""
    settings = Settings(state_dir=folder / "state")
    fake = ncrypt or FakeNcrypt(folder / "windows")
    return Machine(
        settings=settings,
        keys=KeyStores(settings, platform="win32", ncrypt=lambda: fake),
        store=CertificateStore(settings.state_dir),
        journal=Journal(settings.state_dir, lambda: NOW),
        now=lambda: NOW,
    )


def recovered(folder: Path, ncrypt: FakeNcrypt | None = None) -> Machine:
    machine = on_windows(folder, ncrypt)
    machine.recover(lambda _: None)
    return machine


def kept(folder: Path) -> set[str]:
    """The keys that Windows has."""
    return FakeNcrypt(folder / "windows").kept()


def named(folder: Path) -> set[str]:
    """The keys that folders name."""
    found = (path for file in KEY_FILES.values() for path in folder.glob(f"state/*/[!.]*/{file}"))
    return {PersistedKey.read(path.read_bytes()).name for path in found}


CA = Ca()


def parcel(machine: Machine, answer: CsrReady, order: str) -> Install:
    """What the server sends: for one order always the same."""
    issued = machine.settings.state_dir.parent / f"{order}.pem"
    if not issued.exists():
        key = x509.load_pem_x509_csr(answer.csr_pem.encode()).public_key()
        issued.write_text(pem(CA.issue(key)))
    return Install(
        certificate_pem=issued.read_text(),
        chain_pem=[pem(CA.issuing)],
        root_pem=pem(CA.root),
        certificate_type=CertificateType.CLIENT,
        probe=base64.b64encode(b"probe").decode(),
    )


def make(machine: Machine, job_id: str, order: str, algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256) -> CsrReady:
    payload = wish(key_algorithm=algorithm, allow_software_key=False)
    body = machine.perform(SERVER, "claim", job(payload, job_id=job_id, order_id=order)).body
    assert isinstance(body, CsrReady), body
    return body


def enroll(machine: Machine, order: str = "order-1") -> None:
    answer = make(machine, f"{order}-key", order)
    sent = parcel(machine, answer, order)
    body = machine.perform(SERVER, "claim", job(sent, job_id=f"{order}-install", order_id=order)).body
    assert not isinstance(body, Failed), body


def take_back(machine: Machine) -> None:
    machine.perform(SERVER, "claim", job(Remove(reason="over"), job_id="remove", order_id="order-1"))


def ask_for_another_algorithm(machine: Machine) -> None:
    make(machine, "first", "order-2")
    make(machine, "second", "order-2", KeyAlgorithm.EC_P384)


def give_up_the_key(machine: Machine) -> None:
    make(machine, "first", "order-2")
    machine.discard_key(SERVER, "order-2")


def register_elsewhere(machine: Machine) -> None:
    devices = DeviceStore(machine.settings.state_dir)
    for server in (SERVER, "https://other.example.org"):
        with machine.working(), machine.keys.changing():
            keys = machine.keys.hardware()
            stored = keys.generate(KeyAlgorithm.EC_P256)
            identity = DeviceIdentity(server=server, key_file=keys.key_file, evidence=stored.evidence)
            devices.save_pending(identity, stored.blob)
            devices.save_registered(identity, stored.blob)


FLOWS: dict[str, Callable[[Machine], None]] = {
    "enroll": lambda machine: enroll(machine, "order-2"),
    "take back": take_back,
    "another algorithm": ask_for_another_algorithm,
    "give up": give_up_the_key,
    "register elsewhere": register_elsewhere,
}


def ends_at(step: int, folder: Path, flow: Callable[[Machine], None]) -> int:
    """Runs `flow` in a process that ends, as by SIGKILL, at its step number `step`. Its exit status: UNREACHED if it
    has no such step."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 1
    try:
        steps = count(1)

        def another() -> None:
            if next(steps) == step:
                os._exit(0)

        def call(name: str) -> None:
            if name in CALLS:
                another()

        def audit(event: str, arguments: tuple[object, ...]) -> None:
            is_writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
            if (event in EVENTS or is_writing) and str(arguments[0]).startswith(str(folder / "state")):
                another()

        fake = FakeNcrypt(folder / "windows")
        machine = recovered(folder, fake)
        fake.before = call
        sys.addaudithook(audit)
        flow(machine)
        status = UNREACHED
    finally:
        os._exit(status)


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """A machine with one certificate that is in use, as many times as wanted."""
    enroll(recovered(tmp_path / "pattern"))
    numbers = count(1)
    return lambda: Path(shutil.copytree(tmp_path / "pattern", tmp_path / str(next(numbers))))


@pytest.mark.parametrize("flow", FLOWS)
def test_a_process_that_ends_at_any_step_leaves_no_key_behind_and_loses_none(
    fresh: Callable[[], Path], flow: str
) -> None:
    for step in range(1, 1000):
        folder = fresh()
        status = ends_at(step, folder, FLOWS[flow])
        machine = recovered(folder)
        assert kept(folder) == named(folder), f"ended at step {step}"
        for pair in machine.store.all_installed():
            assert not isinstance(pair, Exception)
            sign_with_stored(pair, machine.keys, b"data")
        assert not (folder / "state" / "keys.json").exists()
        if status == UNREACHED:
            assert step > 10
            return
        assert status == 0
        FLOWS[flow](machine)
        assert kept(folder) == named(folder), f"ended at step {step}, then done"
    raise AssertionError("the flow does not end")


def test_a_key_that_will_not_go_goes_the_next_time(tmp_path: Path) -> None:
    fake = FakeNcrypt(tmp_path / "windows")
    machine = recovered(tmp_path, fake)
    enroll(machine)
    fake.failing["delete_key"] = n.DEVICE_NOT_READY
    take_back(machine)
    assert named(tmp_path) == set() != kept(tmp_path)
    fake.failing.clear()
    recovered(tmp_path)
    assert kept(tmp_path) == set()


def test_no_key_goes_while_a_folder_cannot_be_read(tmp_path: Path) -> None:
    machine = recovered(tmp_path)
    enroll(machine)
    enroll(machine, "order-2")
    (damaged,) = tmp_path.glob("state/certificates/order-2/key.*")
    whole = damaged.read_bytes()
    damaged.write_bytes(b"{}")
    take_back(machine)
    assert len(kept(tmp_path)) == 2
    damaged.write_bytes(whole)
    recovered(tmp_path)
    assert kept(tmp_path) == named(tmp_path)
    assert len(kept(tmp_path)) == 1


def test_a_folder_that_a_person_moved_away_keeps_its_key(tmp_path: Path) -> None:
    enroll(recovered(tmp_path))
    (tmp_path / "state/certificates/order-1").rename(tmp_path / "away")
    machine = recovered(tmp_path)
    enroll(machine, "order-2")
    (tmp_path / "away").rename(tmp_path / "state/certificates/order-1")
    (first, second) = machine.store.all_installed()
    assert not isinstance(first, Exception) and not isinstance(second, Exception)
    sign_with_stored(first, machine.keys, b"data")
    sign_with_stored(second, machine.keys, b"data")


def test_a_list_that_is_damaged_is_put_aside(tmp_path: Path) -> None:
    enroll(recovered(tmp_path))
    (tmp_path / "state/keys.json").write_text("{")
    recovered(tmp_path)
    assert (tmp_path / "state/keys.damaged").exists()
    assert kept(tmp_path) == named(tmp_path) != set()


def test_somebody_elses_keys_stay(tmp_path: Path) -> None:
    fake = FakeNcrypt(tmp_path / "windows")
    provider = fake.open_storage_provider(n.PLATFORM_PROVIDER)
    fake.finalize_key(fake.create_persisted_key(provider, n.ECDSA_P256, "tp-of-another-program", 0))
    enroll(recovered(tmp_path))
    take_back(recovered(tmp_path))
    assert kept(tmp_path) == {"tp-of-another-program"}


def test_the_service_makes_keys_of_the_machine(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    fake = FakeNcrypt(tmp_path / "windows")
    for machine_keys, flags in ((False, 0), (True, n.MACHINE_KEY_FLAG)):
        keys = KeyStores(settings, machine_keys=machine_keys, platform="win32", ncrypt=lambda: fake)
        blob = keys.hardware().generate(KeyAlgorithm.EC_P256).blob
        assert PersistedKey.read(blob).flags == flags


def test_on_windows_software_keys_are_in_windows_provider_and_need_policy(tmp_path: Path) -> None:
    fake = FakeNcrypt(tmp_path / "windows")
    fake.impl_type = None
    settings = Settings(state_dir=tmp_path / "state", allow_software_key=True)
    keys = KeyStores(settings, platform="win32", ncrypt=lambda: fake)
    store = keys.usable(allow_software=True)
    blob = store.generate(KeyAlgorithm.EC_P256).blob
    assert PersistedKey.read(blob).provider == n.SOFTWARE_PROVIDER
    assert sign(keys.for_key_file(store.key_file).load(blob), b"data")
    assert keys.usable(allow_software=False) is keys.hardware()
    strict = KeyStores(Settings(state_dir=tmp_path / "state"), platform="win32", ncrypt=lambda: fake)
    assert strict.usable(allow_software=True) is strict.hardware()


def test_a_software_key_goes_although_policy_no_longer_allows_it(tmp_path: Path) -> None:
    fake = FakeNcrypt(tmp_path / "windows")
    settings = Settings(state_dir=tmp_path / "state", allow_software_key=True)
    keys = KeyStores(settings, platform="win32", ncrypt=lambda: fake)
    with keys.changing():
        blob = keys.software().generate(KeyAlgorithm.EC_P256).blob
        folder = tmp_path / "state/pending/order-1"
        folder.mkdir(parents=True)
        (folder / "key.ksp.json").write_bytes(blob)
    assert len(kept(tmp_path)) == 1
    strict = KeyStores(Settings(state_dir=tmp_path / "state"), platform="win32", ncrypt=lambda: fake)
    with strict.changing():
        (folder / "key.ksp.json").unlink()
    assert kept(tmp_path) == set()


def test_a_list_that_could_not_be_written_is_written_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    keys = UnsettledKeys(tmp_path, lambda key: removed.append(key.name))
    key = PersistedKey(
        provider=n.PLATFORM_PROVIDER, name=f"tp-{uuid4()}", scope=KeyScope.USER, algorithm=KeyAlgorithm.EC_P256
    )

    def full(path: Path, content: bytes) -> None:
        raise StoreUnwritable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(unsettled, "write_file", full)
        with pytest.raises(StoreUnwritable), keys.changing():
            pass
    with keys.changing():
        keys.announce(key)
    assert removed == [key.name]
