from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.unit.agent.samples import NOW, SERVER, pending, request

from keystead_agent.certstore.pem import CertificateStore, InstalledCertificate, Metadata
from keystead_agent.errors import KeyLost, OrderOfAnotherServer, StoreUnwritable


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    opened = CertificateStore(tmp_path)
    opened.recover()
    return opened


def install(store: CertificateStore, order_id: str = "order-1", certificate: bytes = b"certificate") -> None:
    metadata = Metadata(request=request(order_id), installed_at=NOW)
    store.install(pending(order_id), metadata, certificate=certificate, chain=b"chain", root=b"root")


def test_a_pending_key_is_read_back_as_it_was_saved(store: CertificateStore) -> None:
    store.save_pending(pending())
    assert store.pending(SERVER, "order-1") == pending()
    assert store.pending(SERVER, "order-2") is None


def test_installing_moves_the_key_beside_its_certificate(store: CertificateStore, tmp_path: Path) -> None:
    store.save_pending(pending())
    install(store)
    assert store.pending(SERVER, "order-1") is None
    names = sorted(path.name for path in (tmp_path / "certificates" / "order-1").iterdir())
    assert names == ["certificate.pem", "chain.pem", "key.tss.pem", "metadata.json", "root.pem"]
    found = store.installed(SERVER, "order-1")
    assert found is not None
    assert (found.blob, found.certificate, found.chain, found.root) == (b"blob", b"certificate", b"chain", b"root")
    assert not found.metadata.root_trusted


def test_only_the_owner_can_read_keys(store: CertificateStore, tmp_path: Path) -> None:
    store.save_pending(pending())
    directory = tmp_path / "pending" / "order-1"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_making_a_new_key_does_not_touch_the_installed_one(store: CertificateStore) -> None:
    install(store)
    store.save_pending(pending(blob=b"new"))
    found = store.installed(SERVER, "order-1")
    assert found is not None
    assert found.blob == b"blob"


def test_another_server_cannot_use_or_remove_an_order(store: CertificateStore) -> None:
    store.save_pending(pending())
    install(store, "order-2")
    with pytest.raises(OrderOfAnotherServer):
        store.pending("https://evil.example", "order-1")
    with pytest.raises(OrderOfAnotherServer):
        store.remove("https://evil.example", "order-2")
    assert store.installed(SERVER, "order-2") is not None


@pytest.mark.parametrize("order_id", ["../../etc", "a/b", "", ".", "..", ".tmp-x", "x" * 300, "ä"])
def test_no_order_id_leaves_the_store(store: CertificateStore, tmp_path: Path, order_id: str) -> None:
    store.save_pending(pending(order_id))
    assert store.pending(SERVER, order_id) == pending(order_id)
    (found,) = (tmp_path / "pending").iterdir()
    assert found.name.startswith("h-")
    store.recover()
    assert found.is_dir()


def test_a_crash_while_replacing_loses_nothing(store: CertificateStore, tmp_path: Path) -> None:
    install(store)
    current = tmp_path / "certificates" / "order-1"
    current.rename(current.with_name(".old-order-1"))
    (tmp_path / "certificates" / ".tmp-0123").mkdir()
    store.recover()
    assert store.installed(SERVER, "order-1") is not None
    assert [path.name for path in (tmp_path / "certificates").iterdir()] == ["order-1"]


def test_a_damaged_entry_is_named_and_hides_no_other(store: CertificateStore, tmp_path: Path) -> None:
    install(store)
    install(store, "order-2")
    (tmp_path / "certificates" / "order-1" / "metadata.json").write_text("{")
    healthy, damaged = store.all_installed()
    assert isinstance(healthy, InstalledCertificate)
    assert healthy.metadata.request.order_id == "order-2"
    assert isinstance(damaged, KeyLost)
    assert "order-1 is damaged" in damaged.detail


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert CertificateStore(tmp_path / "state").all_installed() == []
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreUnwritable, match="state is not a folder"):
        CertificateStore(tmp_path / "state").all_installed()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreUnwritable, match="state"):
        CertificateStore(tmp_path / "state").recover()


def test_removing_twice_is_no_error(store: CertificateStore) -> None:
    store.save_pending(pending())
    install(store)
    store.remove(SERVER, "order-1")
    store.remove(SERVER, "order-1")
    assert store.all_installed() == []
