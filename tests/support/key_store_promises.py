"""What every key store promises (`keystore.base.KeyStore`), as tests: a class for each store inherits them and says
which store it is in the fixture `store`. Runs on Windows too, so it knows the agent alone."""

from __future__ import annotations

import copy

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from keystead_agent.errors import AlgorithmUnsupported, KeyLost
from keystead_agent.keystore.base import KeyStore, PrivateKey
from keystead_agent.signatures import sign, verify
from keystead_contracts.agent import KeyProvider, SoftwareEvidence, TpmEvidence
from keystead_contracts.base import KeyAlgorithm

SIZES = {
    KeyAlgorithm.RSA_2048: (rsa.RSAPublicKey, 2048),
    KeyAlgorithm.RSA_3072: (rsa.RSAPublicKey, 3072),
    KeyAlgorithm.RSA_4096: (rsa.RSAPublicKey, 4096),
    KeyAlgorithm.EC_P256: (ec.EllipticCurvePublicKey, 256),
    KeyAlgorithm.EC_P384: (ec.EllipticCurvePublicKey, 384),
}
SMALL = (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048)


def made(store: KeyStore) -> tuple[bytes, PrivateKey]:
    """A key of the quickest kind that `store` makes, with its blob."""
    able = store.capabilities()
    blob = store.generate(next(algorithm for algorithm in SMALL if algorithm in able)).blob
    return blob, store.load(blob)


@pytest.mark.filterwarnings("ignore::keystead_agent.keystore.software.SoftwareKeyIsCopyable")
class KeyStorePromises:
    """The promises of one store."""

    @pytest.mark.parametrize("algorithm", KeyAlgorithm)
    def test_it_makes_what_it_says_and_says_what_it_makes(self, store: KeyStore, algorithm: KeyAlgorithm) -> None:
        if algorithm not in store.capabilities():
            with pytest.raises(AlgorithmUnsupported) as caught:
                store.generate(algorithm)
            assert algorithm in caught.value.detail
            assert all(able in caught.value.advice for able in store.capabilities())
            return
        key = store.load(store.generate(algorithm).blob)
        kind, size = SIZES[algorithm]
        assert isinstance(key.public_key(), kind)
        assert key.key_size == size
        verify(key.public_key(), sign(key, b"data"), b"data")

    def test_a_request_is_signed_by_its_key(self, store: KeyStore) -> None:
        _, key = made(store)
        name = x509.Name.from_rfc4514_string("CN=alice")
        for algorithm in (hashes.SHA256(), hashes.SHA384()):
            request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, algorithm)
            assert request.is_signature_valid
            assert request.public_key() == key.public_key()

    def test_two_keys_are_two(self, store: KeyStore) -> None:
        (first_blob, first), (second_blob, second) = made(store), made(store)
        assert first.public_key() != second.public_key()
        assert store.load(first_blob).public_key() == first.public_key()
        assert store.load(second_blob).public_key() == second.public_key()

    def test_a_key_that_cannot_be_exported_stays(self, store: KeyStore) -> None:
        _, key = made(store)
        if store.describe().exportable:
            return
        with pytest.raises(TypeError):
            key.private_numbers()
        with pytest.raises(TypeError):
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )

    def test_only_pkcs1_signatures_are_asked_of_a_key_that_is_held(self, store: KeyStore) -> None:
        if store.describe().exportable or KeyAlgorithm.RSA_2048 not in store.capabilities():
            return
        key = store.load(store.generate(KeyAlgorithm.RSA_2048).blob)
        assert isinstance(key, rsa.RSAPrivateKey)
        with pytest.raises(ValueError, match="PKCS#1"):
            key.sign(b"data", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())

    def test_a_copy_is_the_same_key(self, store: KeyStore) -> None:
        _, key = made(store)
        for other in (copy.copy(key), copy.deepcopy(key)):
            verify(key.public_key(), sign(other, b"data"), b"data")

    def test_a_damaged_blob_is_a_lost_key_and_nothing_to_remove(self, store: KeyStore) -> None:
        blob, key = made(store)
        for damaged in (b"", b"\0", b"{}", b"\xff" * 40, blob[: len(blob) // 2]):
            with pytest.raises(KeyLost):
                store.load(damaged)
            store.discard(damaged)
        verify(key.public_key(), sign(store.load(blob), b"data"), b"data")

    def test_a_key_is_removed_as_often_as_wanted_and_others_stay(self, store: KeyStore) -> None:
        (gone, _), (_, key) = made(store), made(store)
        store.discard(gone)
        store.discard(gone)
        verify(key.public_key(), sign(key, b"data"), b"data")

    def test_it_says_who_keeps_the_keys(self, store: KeyStore) -> None:
        info = store.describe()
        assert info.name
        assert store.key_file.startswith("key.")
        evidence = store.generate(next(algorithm for algorithm in SMALL if algorithm in store.capabilities())).evidence
        in_software = info.provider is KeyProvider.SOFTWARE
        assert isinstance(evidence, SoftwareEvidence if in_software else TpmEvidence)
