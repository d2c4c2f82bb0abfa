"""The layer over crypt32.dll and the stores over it, with the DLL itself: run by a Python for Windows, on Windows or
under Wine. Whatever is put in is taken out again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from keystead_agent.certstore import _crypt32 as w32
from keystead_agent.certstore._crypt32 import Crypt32, Crypt32Error, KeyProvInfo

USER, MACHINE = w32.CERT_SYSTEM_STORE_CURRENT_USER, w32.CERT_SYSTEM_STORE_LOCAL_MACHINE
KEY = KeyProvInfo("tp-00000000-0000-4000-8000-000000000000", "Microsoft Platform Crypto Provider")


@pytest.fixture(scope="module")
def crypt32() -> Crypt32:
    return Crypt32(w32.load())


@pytest.fixture
def encoded(crypt32: Crypt32) -> Iterator[bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keystead test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    yield made
    for name_of_store in ("My", "CA"):
        with crypt32.store(USER, name_of_store) as store:
            while crypt32.delete(store, hash_of(made)):
                pass


def hash_of(encoded: bytes) -> bytes:
    return hashlib.sha1(encoded, usedforsecurity=False).digest()


def add(crypt32: Crypt32, encoded: bytes, key: KeyProvInfo = KEY, name: str = "My") -> None:
    with crypt32.store(USER, name) as store, crypt32.certificate(encoded) as context:
        crypt32.set_key(context, key)
        crypt32.set_text(context, w32.CERT_FRIENDLY_NAME_PROP_ID, "Ärztin – Praxis")
        crypt32.add(store, context)


def all_of(crypt32: Crypt32, location: int, name: str) -> list[bytes]:
    with crypt32.store(location, name, w32.CERT_STORE_READONLY_FLAG) as store:
        return [crypt32.encoded(context) for context in crypt32.certificates(store)]


def test_a_certificate_keeps_its_key_and_its_name_until_the_store_is_opened_again(
    crypt32: Crypt32, encoded: bytes
) -> None:
    add(crypt32, encoded)
    with crypt32.store(USER, "My", w32.CERT_STORE_READONLY_FLAG) as store:
        with crypt32.found(store, hash_of(encoded)) as found:
            assert found is not None
            assert crypt32.encoded(found) == encoded
            assert crypt32.key(found) == KEY
            assert crypt32.text(found, w32.CERT_FRIENDLY_NAME_PROP_ID) == "Ärztin – Praxis"
            assert crypt32.text(found, w32.CERT_DESCRIPTION_PROP_ID) == ""


def test_a_certificate_that_is_added_again_is_there_once(crypt32: Crypt32, encoded: bytes) -> None:
    add(crypt32, encoded)
    add(crypt32, encoded)
    assert all_of(crypt32, USER, "My").count(encoded) == 1


def test_deleting_takes_the_certificate_for_good(crypt32: Crypt32, encoded: bytes) -> None:
    add(crypt32, encoded)
    with crypt32.store(USER, "My") as store:
        assert crypt32.delete(store, hash_of(encoded))
        assert not crypt32.delete(store, hash_of(encoded))
    assert encoded not in all_of(crypt32, USER, "My")


def test_a_listing_ends_and_can_be_left_early(crypt32: Crypt32, encoded: bytes) -> None:
    add(crypt32, encoded, name="CA")
    assert encoded in all_of(crypt32, USER, "CA")
    with crypt32.store(USER, "CA") as store:
        contexts = crypt32.certificates(store)
        next(contexts)
        contexts.close()
    assert all_of(crypt32, MACHINE, "Root") == all_of(crypt32, MACHINE, "Root")


def test_a_certificate_of_the_user_is_not_one_of_the_machine(crypt32: Crypt32, encoded: bytes) -> None:
    add(crypt32, encoded)
    assert encoded not in all_of(crypt32, MACHINE, "My")


def test_what_is_no_certificate_is_refused(crypt32: Crypt32) -> None:
    with pytest.raises(Crypt32Error, match="CertCreateCertificateContext: 0x80"):
        with crypt32.certificate(b"no certificate"):
            pass


def test_a_store_that_was_opened_for_reading_takes_nothing(crypt32: Crypt32, encoded: bytes) -> None:
    with crypt32.store(USER, "My", w32.CERT_STORE_READONLY_FLAG) as store, crypt32.certificate(encoded) as context:
        with pytest.raises(Crypt32Error, match="CertAddCertificateContextToStore: 0x"):
            crypt32.add(store, context)


def test_a_key_that_is_not_there_is_not_acquired(crypt32: Crypt32, encoded: bytes) -> None:
    add(crypt32, encoded)
    with crypt32.store(USER, "My") as store, crypt32.found(store, hash_of(encoded)) as found:
        assert found is not None
        with pytest.raises(Crypt32Error, match="CryptAcquireCertificatePrivateKey: 0x80"):
            crypt32.acquire(found)
