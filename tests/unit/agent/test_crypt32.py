"""The layer over crypt32.dll: what the DLL gets, what comes back, and that every handle is given back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.agent_server import Ca
from tests.support.fake_crypt32 import ASN1_CORRUPT, E_ACCESSDENIED, MACHINE, USER, FakeCrypt32
from tests.support.fake_ncrypt import FakeNcrypt

from keystead_agent.certstore import _crypt32 as w32
from keystead_agent.certstore._crypt32 import Crypt32, Crypt32Error, KeyProvInfo
from keystead_agent.keystore._ncrypt import BAD_KEYSET
from keystead_agent.keystore.cng import CngKeyStore
from keystead_agent.keystore.persisted import PersistedKey
from keystead_contracts.base import KeyAlgorithm

KEY = KeyProvInfo("tp-1", "Microsoft Platform Crypto Provider")


@pytest.fixture
def dll() -> Iterator[FakeCrypt32]:
    fake = FakeCrypt32()
    yield fake
    assert fake.open_handles() == 0


@pytest.fixture
def crypt32(dll: FakeCrypt32) -> Crypt32:
    return Crypt32(dll)


@pytest.fixture(scope="module")
def encoded() -> bytes:
    certificate = Ca().issue(ec.generate_private_key(ec.SECP256R1()).public_key())
    return certificate.public_bytes(serialization.Encoding.DER)


def hash_of(encoded: bytes) -> bytes:
    return hashlib.sha1(encoded, usedforsecurity=False).digest()


def add(crypt32: Crypt32, encoded: bytes, key: KeyProvInfo | None = KEY) -> None:
    with crypt32.store(USER, "My") as store, crypt32.certificate(encoded) as context:
        if key is not None:
            crypt32.set_key(context, key)
        crypt32.set_text(context, w32.CERT_FRIENDLY_NAME_PROP_ID, "Ärztin – Praxis")
        crypt32.add(store, context)


def test_the_structures_are_laid_out_as_in_the_header() -> None:
    """64-bit Windows; wincrypt.h."""
    info = w32.CRYPT_KEY_PROV_INFO
    offsets = [
        info.pwszContainerName.offset,
        info.pwszProvName.offset,
        info.dwProvType.offset,
        info.dwFlags.offset,
        info.cProvParam.offset,
        info.rgProvParam.offset,
        info.dwKeySpec.offset,
    ]
    assert offsets == [0, 8, 16, 20, 24, 32, 40]
    blob, head = w32.CRYPT_DATA_BLOB, w32.CERT_CONTEXT
    assert (blob.cbData.offset, blob.pbData.offset) == (0, 8)
    assert (head.pbCertEncoded.offset, head.cbCertEncoded.offset, head.hCertStore.offset) == (8, 16, 32)


def test_a_certificate_keeps_its_key_and_its_name(dll: FakeCrypt32, crypt32: Crypt32, encoded: bytes) -> None:
    add(crypt32, encoded)
    (element,) = dll.content(USER, "My")
    assert element.properties == {11: "Ärztin – Praxis".encode("utf-16-le") + b"\0\0"}
    with crypt32.store(USER, "my") as store, crypt32.found(store, hash_of(encoded)) as found:
        assert found is not None
        assert crypt32.encoded(found) == encoded
        assert crypt32.key(found) == KEY
        assert crypt32.text(found, w32.CERT_FRIENDLY_NAME_PROP_ID) == "Ärztin – Praxis"
        assert crypt32.text(found, w32.CERT_DESCRIPTION_PROP_ID) == ""


def test_what_is_not_there_is_no_error(crypt32: Crypt32) -> None:
    with crypt32.store(USER, "My") as store:
        with crypt32.found(store, b"\0" * 20) as found:
            assert found is None
        assert not crypt32.delete(store, b"\0" * 20)
        assert list(crypt32.certificates(store)) == []


def test_deleting_takes_one_certificate(dll: FakeCrypt32, crypt32: Crypt32, encoded: bytes) -> None:
    add(crypt32, encoded)
    with crypt32.store(USER, "My") as store:
        assert crypt32.delete(store, hash_of(encoded))
    assert dll.content(USER, "My") == []


def test_a_listing_that_is_left_early_gives_its_handle_back(crypt32: Crypt32, encoded: bytes) -> None:
    add(crypt32, encoded)
    with crypt32.store(USER, "My") as store, closing(crypt32.certificates(store)) as found:
        assert crypt32.encoded(next(found)) == encoded


def test_a_failure_carries_the_function_and_the_code(dll: FakeCrypt32, crypt32: Crypt32, encoded: bytes) -> None:
    with pytest.raises(Crypt32Error, match=f"CertCreateCertificateContext: 0x{ASN1_CORRUPT:08x}"):
        with crypt32.certificate(b"no certificate"):
            pass
    dll.read_only = {(MACHINE, "my")}
    with pytest.raises(Crypt32Error) as caught:
        with crypt32.store(MACHINE, "My"):
            pass
    assert caught.value.code == E_ACCESSDENIED
    with pytest.raises(Crypt32Error, match="CertAddCertificateContextToStore"):
        with crypt32.store(USER, "My", w32.CERT_STORE_READONLY_FLAG) as store, crypt32.certificate(encoded) as context:
            crypt32.add(store, context)


def test_deleting_that_fails_frees_its_context_too(dll: FakeCrypt32, crypt32: Crypt32, encoded: bytes) -> None:
    add(crypt32, encoded)
    dll.read_only = {(USER, "my")}
    with crypt32.store(USER, "My") as store, pytest.raises(Crypt32Error, match="CertDeleteCertificateFromStore"):
        crypt32.delete(store, hash_of(encoded))
    assert len(dll.content(USER, "My")) == 1


def test_a_key_is_acquired_by_its_name_and_goes_with_its_certificate(
    dll: FakeCrypt32, crypt32: Crypt32, encoded: bytes, tmp_path: Path
) -> None:
    ncrypt = FakeNcrypt(tmp_path)
    dll.ncrypt = ncrypt
    add(crypt32, encoded, KeyProvInfo("tp-2", KEY.provider))
    with crypt32.store(USER, "My") as store, crypt32.found(store, hash_of(encoded)) as found:
        assert found is not None
        with pytest.raises(Crypt32Error) as caught:
            crypt32.acquire(found)
        assert caught.value.code == BAD_KEYSET
    key = CngKeyStore(ncrypt).generate(KeyAlgorithm.EC_P256)
    dll.content(USER, "My").clear()
    add(crypt32, encoded, KeyProvInfo(PersistedKey.read(key.blob).name, KEY.provider))
    with crypt32.store(USER, "My") as store, crypt32.found(store, hash_of(encoded)) as found:
        assert found is not None
        assert ncrypt.sign_hash(crypt32.acquire(found), b"0" * 32, None)
    assert ncrypt.open_handles == 0
