"""The key store on a real (software) TPM."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
from copy import copy
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.support.swtpm import Swtpm

from keystead_agent.errors import AlgorithmUnsupported, KeyLost, TpmFailed, TpmFull, TpmMissing
from keystead_agent.files import locked
from keystead_agent.keystore._held_keys import KeyStaysInside
from keystead_agent.keystore._tpm2_objects import STORAGE_ROOT_KEY
from keystead_agent.keystore.tpm2 import Tpm2KeyStore
from keystead_agent.settings import silence_tss_log
from keystead_agent.signatures import sign, verify
from keystead_contracts.agent import TpmEvidence
from keystead_contracts.base import KeyAlgorithm

pytestmark = pytest.mark.tpm
silence_tss_log()

ABLE = (KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072, KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384)
FIXED_TPM, FIXED_PARENT, SENSITIVE_DATA_ORIGIN, USER_WITH_AUTH, SIGN = 0x2, 0x10, 0x20, 0x40, 0x40000
RESTRICTED, DECRYPT = 0x10000, 0x20000


@pytest.fixture
def store(swtpm: Swtpm, tmp_path: Path) -> Tpm2KeyStore:
    return Tpm2KeyStore(swtpm.tcti, tmp_path / "tpm.lock", patience=0.3, start_limit=2.0)


def loaded(swtpm: Swtpm) -> str:
    return swtpm.tool("tpm2_getcap", "handles-transient").strip()


@pytest.mark.parametrize("algorithm", ABLE)
def test_a_key_signs_after_the_tpm_was_off(store: Tpm2KeyStore, swtpm: Swtpm, algorithm: KeyAlgorithm) -> None:
    stored = store.generate(algorithm)
    swtpm.restart()
    key = store.load(stored.blob)
    verify(key.public_key(), sign(key, b"data"), b"data")
    assert loaded(swtpm) == ""


@pytest.mark.parametrize("algorithm", ABLE)
def test_a_tpm_key_is_a_private_key_to_csr_builder_and_jwt_library(
    store: Tpm2KeyStore, algorithm: KeyAlgorithm
) -> None:
    key = store.load(store.generate(algorithm).blob)
    name = x509.Name.from_rfc4514_string("CN=alice")
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    assert csr.is_signature_valid
    method = "RS256" if isinstance(key, rsa.RSAPrivateKey) else {256: "ES256", 384: "ES384"}[key.key_size]
    token = jwt.encode({"sub": "x"}, key, algorithm=method)
    assert jwt.decode(token, key.public_key(), algorithms=[method]) == {"sub": "x"}


def test_the_private_part_cannot_be_had(store: Tpm2KeyStore) -> None:
    for algorithm in (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048):
        key = copy(store.load(store.generate(algorithm).blob))
        with pytest.raises(KeyStaysInside):
            key.private_numbers()
        with pytest.raises(KeyStaysInside):
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )


@pytest.mark.parametrize("algorithm", ABLE)
def test_the_evidence_is_what_the_tpm_says_of_the_key(store: Tpm2KeyStore, algorithm: KeyAlgorithm) -> None:
    evidence = store.generate(algorithm).evidence
    assert isinstance(evidence, TpmEvidence)
    public = base64.b64decode(evidence.public_area)
    assert int.from_bytes(public[:2], "big") == len(public) - 2
    attributes = int.from_bytes(public[6:10], "big")
    wanted = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH | SIGN
    assert attributes & wanted == wanted
    assert not attributes & (RESTRICTED | DECRYPT)
    creation = base64.b64decode(evidence.creation_data)
    digest = base64.b64decode(evidence.creation_hash)
    assert digest == b"\0\x20" + hashlib.sha256(creation[2:]).digest()


def test_what_the_tpm_cannot_make_is_refused_with_what_it_can(store: Tpm2KeyStore) -> None:
    assert store.capabilities() == ABLE
    with pytest.raises(AlgorithmUnsupported) as caught:
        store.generate(KeyAlgorithm.RSA_4096)
    assert "rsa-4096" in caught.value.detail
    assert "rsa-2048, rsa-3072, ec-p256, ec-p384" in caught.value.advice


def test_a_persistent_storage_root_key_is_used_where_there_is_one(store: Tpm2KeyStore, swtpm: Swtpm) -> None:
    swtpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "srk.ctx", "-Q")
    swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "srk.ctx", hex(STORAGE_ROOT_KEY), "-Q")
    swtpm.empty()
    assert store.examine().has_storage_root_key
    key = store.load(store.generate(KeyAlgorithm.EC_P256).blob)
    verify(key.public_key(), sign(key, b"data"), b"data")
    assert loaded(swtpm) == ""


def test_a_key_of_a_cleared_tpm_is_lost(store: Tpm2KeyStore, swtpm: Swtpm) -> None:
    key = store.load(store.generate(KeyAlgorithm.EC_P256).blob)
    swtpm.tool("tpm2_clear")
    with pytest.raises(KeyLost):
        sign(key, b"data")


def test_a_damaged_blob_is_lost(store: Tpm2KeyStore) -> None:
    blob = store.generate(KeyAlgorithm.EC_P256).blob
    for damaged in (
        b"",
        b"-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n",
        blob[: len(blob) // 2],
    ):
        with pytest.raises(KeyLost):
            store.load(damaged)


def test_a_full_tpm_is_named_and_works_again_when_there_is_room(store: Tpm2KeyStore, swtpm: Swtpm) -> None:
    swtpm.fill()
    with pytest.raises(TpmFull):
        store.generate(KeyAlgorithm.EC_P256)
    swtpm.empty()
    store.generate(KeyAlgorithm.EC_P256)


def test_a_foreign_object_is_left_alone(store: Tpm2KeyStore, swtpm: Swtpm) -> None:
    swtpm.tool("tpm2_createprimary", "-C", "n", "-G", "ecc", "-c", "foreign.ctx", "-Q")
    before = loaded(swtpm)
    key = store.load(store.generate(KeyAlgorithm.EC_P256).blob)
    assert before
    sign(key, b"data")
    assert loaded(swtpm) == before


def test_a_missing_tpm_is_named(tmp_path: Path) -> None:
    for tcti in ("device:/nowhere/tpmrm0", "swtpm:host=127.0.0.1,port=1", "nonsense:x"):
        with pytest.raises(TpmMissing) as caught:
            Tpm2KeyStore(tcti, tmp_path / "lock", patience=0.1).describe()
        assert caught.value.advice


def test_a_tpm_that_never_answers_is_given_up(store: Tpm2KeyStore, swtpm: Swtpm) -> None:
    swtpm.pause()
    with pytest.raises(TpmFailed, match="did not answer within 2 seconds"):
        store.generate(KeyAlgorithm.EC_P256)
    swtpm.resume()
    store.generate(KeyAlgorithm.EC_P256)


def test_a_tpm_that_nobody_started_up_is_started(tmp_path: Path) -> None:
    with Swtpm(tmp_path / "tpm", started_up=False) as cold:
        store = Tpm2KeyStore(cold.tcti, tmp_path / "lock")
        key = store.load(store.generate(KeyAlgorithm.EC_P256).blob)
        verify(key.public_key(), sign(key, b"data"), b"data")


def test_operations_of_several_processes_take_turns(store: Tpm2KeyStore, swtpm: Swtpm, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from keystead_agent.keystore.tpm2 import Tpm2KeyStore\n"
        "from keystead_contracts.base import KeyAlgorithm\n"
        "store = Tpm2KeyStore(sys.argv[1], Path(sys.argv[2]))\n"
        "for _ in range(10): store.generate(KeyAlgorithm.EC_P256)\n"
    )
    others = [
        subprocess.Popen([sys.executable, "-c", program, swtpm.tcti, str(tmp_path / "tpm.lock")]) for _ in range(3)
    ]
    for _ in range(10):
        store.generate(KeyAlgorithm.EC_P256)
    assert [other.wait(60) for other in others] == [0, 0, 0]
    assert loaded(swtpm) == ""


def test_what_a_killed_process_left_loaded_is_flushed(store: Tpm2KeyStore, swtpm: Swtpm, tmp_path: Path) -> None:
    lock_file = tmp_path / "tpm.lock"
    with locked(lock_file, patience=1) as lock:
        assert lock is not None
        os.pwrite(lock, b"[]", 0)
        swtpm.fill()
    store.generate(KeyAlgorithm.EC_P256)
    assert loaded(swtpm) == ""


def test_a_process_killed_while_it_makes_keys_leaves_the_tpm_usable(
    store: Tpm2KeyStore, swtpm: Swtpm, tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from keystead_agent.keystore.tpm2 import Tpm2KeyStore\n"
        "from keystead_agent.signatures import sign\n"
        "from keystead_contracts.base import KeyAlgorithm\n"
        "store = Tpm2KeyStore(sys.argv[1], Path(sys.argv[2]))\n"
        "print('ready', flush=True)\n"
        "while True: sign(store.load(store.generate(KeyAlgorithm.EC_P256).blob), b'x')\n"
    )
    for number in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", program, swtpm.tcti, str(tmp_path / "tpm.lock")], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.02 + 0.003 * number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    store.generate(KeyAlgorithm.EC_P256)
    assert loaded(swtpm) == ""


def test_the_tpm_describes_itself(store: Tpm2KeyStore) -> None:
    info = store.describe()
    assert info.name == f"TPM 2.0 ({info.manufacturer})"
    assert not info.exportable
    facts = store.examine()
    assert (facts.family, facts.loaded_objects, facts.has_storage_root_key) == ("2.0", 0, False)
    assert facts.free_transient_slots >= 2


def test_curves_and_sizes_are_what_was_asked_for(store: Tpm2KeyStore) -> None:
    sizes = {algorithm: store.load(store.generate(algorithm).blob).key_size for algorithm in ABLE}
    assert list(sizes.values()) == [2048, 3072, 256, 384]
    assert isinstance(store.load(store.generate(KeyAlgorithm.EC_P384).blob).public_key(), ec.EllipticCurvePublicKey)
