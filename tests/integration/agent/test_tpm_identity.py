"""Which TPM it is, and what it says of its keys: on a software TPM whose maker certified it."""

from __future__ import annotations

import base64
import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.support.swtpm import Swtpm
from tests.support.swtpm_maker import CERTIFICATES, SwtpmMaker, _first_tpm, forget, keep, made_tpm, swtpm_maker
from tpm2_pytss import types as tpm
from tpm2_pytss.constants import TPM2_ALG, TPM2_ECC, TPM2_ST, TPMA_OBJECT
from tpm2_pytss.utils import make_credential

from keystead_agent.errors import ChallengeForeign, EndorsementUnusable, KeyLost, TpmFailed, TpmFull, TpmLockedOut
from keystead_agent.keystore._tpm2_connection import TpmConnection
from keystead_agent.keystore._tpm2_errors import MAKING
from keystead_agent.keystore._tpm2_identity import elliptic_template, make_identity, rsa_template
from keystead_agent.keystore.attesting import Challenge, NewIdentity, Statement
from keystead_agent.keystore.tpm2 import Tpm2KeyStore
from keystead_agent.settings import silence_tss_log
from keystead_agent.signatures import sign, verify
from keystead_contracts.agent import TpmEvidence
from keystead_contracts.base import KeyAlgorithm

__all__ = ["_first_tpm", "made_tpm", "swtpm_maker"]
pytestmark = pytest.mark.tpm
silence_tss_log()

SECRET = bytes(range(32))


@pytest.fixture
def store(made_tpm: Swtpm, tmp_path: Path) -> Tpm2KeyStore:
    return Tpm2KeyStore(made_tpm.tcti, tmp_path / "tpm.lock", patience=0.3, start_limit=2.0)


def loaded(tpm: Swtpm) -> str:
    """What is loaded: objects and sessions."""
    return tpm.tool("tpm2_getcap", "handles-transient") + tpm.tool("tpm2_getcap", "handles-loaded-session")


def public(area: bytes) -> Any:
    structure, length = tpm.TPM2B_PUBLIC.unmarshal(area)
    assert length == len(area)
    return structure


def spki(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def challenge(endorsement: bytes, identity: bytes, secret: bytes = SECRET) -> Challenge:
    """What a server sends, by tpm2-pytss."""
    credential, encrypted = make_credential(public(endorsement), secret, public(identity).get_name())
    return Challenge(endorsement, credential.marshal(), encrypted.marshal())


def attested(statement: Statement, signer: NewIdentity) -> Any:
    """The TPMS_ATTEST of `statement`, whose signature by `signer` is right."""
    attest, length = tpm.TPMS_ATTEST.unmarshal(statement.attest)
    assert length == len(statement.attest)
    signature, _ = tpm.TPMT_SIGNATURE.unmarshal(statement.signature)
    key: Any = serialization.load_der_public_key(public(signer.public_area).to_der())
    verify(key, bytes(signature), statement.attest)
    return attest


def test_each_endorsement_key_is_the_one_of_its_certificate(
    store: Tpm2KeyStore, made_tpm: Swtpm, swtpm_maker: SwtpmMaker
) -> None:
    issuer = x509.load_pem_x509_certificate(swtpm_maker.issuer_pem.encode())
    issuer.verify_directly_issued_by(x509.load_pem_x509_certificate(swtpm_maker.root_pem.encode()))
    for kind, index in CERTIFICATES.items():
        key = store.endorsement(kind)
        (kept,) = key.certificates
        assert (key.kind, kept.kind, kept.index) == (kind, kind, index)
        certificate = x509.load_der_x509_certificate(kept.content)
        certificate.verify_directly_issued_by(issuer)
        assert public(key.public_area).to_der() == spki(certificate.public_key())
        assert loaded(made_tpm) == ""


def test_the_quickest_endorsement_key_with_a_certificate_is_taken(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    for kind, index in CERTIFICATES.items():
        assert store.endorsement().kind == kind
        forget(made_tpm, index)
    assert store.endorsement().kind == "ec-p256"


def test_a_tpm_without_certificates_has_a_p256_endorsement_key_that_stays_the_same(
    swtpm: Swtpm, tmp_path: Path
) -> None:
    store = Tpm2KeyStore(swtpm.tcti, tmp_path / "tpm.lock")
    key = store.endorsement()
    assert (key.kind, key.certificates) == ("ec-p256", ())
    swtpm.tool("tpm2_createek", "-G", "ecc", "-c", "ek.ctx", "-u", "ek.pub")
    swtpm.empty()
    assert (swtpm.directory / "ek.pub").read_bytes() == key.public_area
    swtpm.restart()
    assert store.endorsement() == key
    assert loaded(swtpm) == ""


def test_a_persistent_endorsement_key_is_used_where_there_is_one(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    before = store.endorsement()
    made_tpm.tool("tpm2_createek", "-G", "ecc", "-c", "0x81010002")
    made_tpm.tool("tpm2_changeauth", "-c", "endorsement", "secret")
    made_tpm.empty()
    assert store.endorsement() == before


def test_certificates_are_kept_as_the_maker_left_them_and_read_in_pieces(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    odd = b"\x10\x01\x00" + bytes(range(256)) * 6 + b"\xff" * 100
    forget(made_tpm, CERTIFICATES["rsa-2048"])
    keep(made_tpm, CERTIFICATES["rsa-2048"], odd)
    found = {certificate.kind: certificate.content for certificate in store.certificates()}
    assert list(found) == list(CERTIFICATES)
    assert found["rsa-2048"] == odd


def test_the_certificates_of_the_cas_in_the_tpm_come_too(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    keep(made_tpm, 0x01C00100, b"one")
    keep(made_tpm, 0x01C00101, b"two")
    keep(made_tpm, 0x01C00200, b"of something else")
    assert [kept.content for kept in store.endorsement().certificates if not kept.kind] == [b"one", b"two"]


@pytest.mark.parametrize(
    ("size", "attributes"),
    [
        (1600, "ppwrite|ppread|platformcreate"),
        (100, "ppwrite|ppread|policyread|platformcreate"),
        (8, "ppwrite|authread|nt=counter|platformcreate"),
    ],
)
def test_an_index_that_is_not_for_everybody_is_as_good_as_absent(
    store: Tpm2KeyStore, made_tpm: Swtpm, size: int, attributes: str
) -> None:
    index = CERTIFICATES["rsa-2048"]
    forget(made_tpm, index)
    made_tpm.tool("tpm2_nvdefine", hex(index), "-C", "p", "-s", str(size), "-a", attributes)
    assert [certificate.kind for certificate in store.certificates()] == ["ec-p256", "ec-p384"]


def test_an_index_that_nobody_wrote_is_as_good_as_absent(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    index = CERTIFICATES["ec-p256"]
    forget(made_tpm, index)
    made_tpm.tool(
        "tpm2_nvdefine", hex(index), "-C", "p", "-s", "100", "-a", "ppwrite|authread|ownerread|platformcreate"
    )
    assert [certificate.kind for certificate in store.certificates()] == ["ec-p384", "rsa-2048"]


def test_the_makers_nonce_makes_another_endorsement_key(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    before = store.endorsement()
    keep(made_tpm, 0x01C0000B, b"nonce")
    after = store.endorsement()
    assert (after.kind, after.certificates) == (before.kind, before.certificates)
    assert after.public_area != before.public_area
    identity = store.make_identity()
    assert store.activate(identity.blob, challenge(after.public_area, identity.public_area)) == SECRET


def test_a_makers_template_that_is_none_is_passed_over(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    before = store.endorsement()
    keep(made_tpm, 0x01C0000C, b"\xff" * 64)
    assert store.endorsement() == before


@pytest.mark.parametrize("kind", CERTIFICATES)
def test_the_challenge_of_a_server_is_solved_with_each_endorsement_key(
    store: Tpm2KeyStore, made_tpm: Swtpm, kind: str
) -> None:
    key = store.endorsement(kind)
    identity = store.make_identity()
    made_tpm.restart()
    assert store.activate(identity.blob, challenge(key.public_area, identity.public_area)) == SECRET
    assert loaded(made_tpm) == ""


def test_the_challenge_of_tpm2_tools_is_solved(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    key, identity = store.endorsement(), store.make_identity()
    folder = made_tpm.directory
    (folder / "ek").write_bytes(key.public_area)
    (folder / "secret").write_bytes(SECRET)
    name = bytes(public(identity.public_area).get_name()).hex()
    made_tpm.tool("tpm2_makecredential", "-T", "none", "-u", "ek", "-s", "secret", "-n", name, "-o", "made")
    made = (folder / "made").read_bytes()[8:]
    end = 2 + int.from_bytes(made[:2], "big")
    assert store.activate(identity.blob, Challenge(key.public_area, made[:end], made[end:])) == SECRET


def test_a_challenge_for_another_identity_is_foreign(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    for key in map(store.endorsement, CERTIFICATES):
        identity, other = store.make_identity(), store.make_identity()
        with pytest.raises(ChallengeForeign):
            store.activate(identity.blob, challenge(key.public_area, other.public_area))
        assert loaded(made_tpm) == ""


def test_a_challenge_for_another_tpm_is_foreign(store: Tpm2KeyStore, made_tpm: Swtpm, tmp_path: Path) -> None:
    with Swtpm(tmp_path / "other") as other:
        elsewhere = Tpm2KeyStore(other.tcti, tmp_path / "other.lock").endorsement()
    key, identity = store.endorsement(), store.make_identity()
    with pytest.raises(EndorsementUnusable):
        store.activate(identity.blob, challenge(elsewhere.public_area, identity.public_area))
    made = challenge(elsewhere.public_area, identity.public_area)
    with pytest.raises(ChallengeForeign):
        store.activate(identity.blob, Challenge(key.public_area, made.credential, made.secret))
    assert loaded(made_tpm) == ""


def test_a_damaged_challenge_is_foreign(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    key, identity = store.endorsement(), store.make_identity()
    good = challenge(key.public_area, identity.public_area)
    for damaged in (
        Challenge(b"", good.credential, good.secret),
        Challenge(good.endorsement, b"", good.secret),
        Challenge(good.endorsement, b"\0\0", good.secret),
        Challenge(good.endorsement, good.credential, b"\0\0"),
        Challenge(good.endorsement, good.credential, good.secret[:-1]),
        Challenge(good.endorsement, good.credential + b"\0", good.secret),
        Challenge(good.endorsement, good.credential, b"\0\x04" + b"\xff" * 4),
        Challenge(good.endorsement, b"\0\x04" + b"\xff" * 4, good.secret),
        Challenge(good.endorsement, good.credential[:-1] + bytes([good.credential[-1] ^ 1]), good.secret),
    ):
        with pytest.raises(ChallengeForeign):
            store.activate(identity.blob, damaged)
        assert loaded(made_tpm) == ""


def test_an_identity_signs_only_what_the_tpm_says_and_certifies_its_own_creation(
    store: Tpm2KeyStore, made_tpm: Swtpm
) -> None:
    identity = store.make_identity()
    area = public(identity.public_area).publicArea
    wanted = (
        TPMA_OBJECT.FIXEDTPM
        | TPMA_OBJECT.FIXEDPARENT
        | TPMA_OBJECT.SENSITIVEDATAORIGIN
        | TPMA_OBJECT.RESTRICTED
        | TPMA_OBJECT.SIGN_ENCRYPT
    )
    assert area.objectAttributes & (wanted | TPMA_OBJECT.DECRYPT) == wanted
    attest = attested(identity.creation, identity)
    assert attest.type == TPM2_ST.ATTEST_CREATION
    assert bytes(attest.attested.creation.objectName) == bytes(public(identity.public_area).get_name())
    assert bytes(attest.attested.creation.creationHash) == hashlib.sha256(identity.creation_data[2:]).digest()
    assert loaded(made_tpm) == ""
    with pytest.raises(TpmFailed):
        sign(store.load(identity.blob), b"data")
    assert loaded(made_tpm) == ""


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384, KeyAlgorithm.RSA_2048])
def test_an_identity_certifies_a_key_with_the_servers_nonce(
    store: Tpm2KeyStore, made_tpm: Swtpm, algorithm: KeyAlgorithm
) -> None:
    identity, key = store.make_identity(), store.generate(algorithm)
    made_tpm.restart()
    attest = attested(store.certify(key.blob, identity.blob, b"n" * 32), identity)
    assert attest.type == TPM2_ST.ATTEST_CERTIFY
    assert bytes(attest.extraData) == b"n" * 32
    assert isinstance(key.evidence, TpmEvidence)
    certified = public(base64.b64decode(key.evidence.public_area))
    assert bytes(attest.attested.certify.name) == bytes(certified.get_name())
    assert loaded(made_tpm) == ""


def test_a_tpm_without_p256_has_an_rsa_identity(store: Tpm2KeyStore, made_tpm: Swtpm, tmp_path: Path) -> None:
    connection = TpmConnection(made_tpm.tcti, tmp_path / "tpm.lock")
    unknown = elliptic_template()
    unknown.parameters.eccDetail.curveID = TPM2_ECC.NONE
    identity = connection.run(MAKING, lambda esys: make_identity(esys, [unknown, rsa_template()]))
    assert public(identity.public_area).publicArea.type == TPM2_ALG.RSA
    attested(identity.creation, identity)
    attested(store.certify(store.generate(KeyAlgorithm.EC_P256).blob, identity.blob, b"nonce"), identity)
    assert store.activate(identity.blob, challenge(store.endorsement().public_area, identity.public_area)) == SECRET


def test_two_free_slots_are_enough(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    made_tpm.tool("tpm2_createprimary", "-C", "n", "-G", "ecc", "-c", "foreign.ctx", "-Q")
    before = loaded(made_tpm)
    identity, key = store.make_identity(), store.generate(KeyAlgorithm.EC_P256)
    store.certify(key.blob, identity.blob, b"nonce")
    endorsement = store.endorsement()
    store.activate(identity.blob, challenge(endorsement.public_area, identity.public_area))
    assert loaded(made_tpm) == before


def test_a_full_tpm_is_named_and_works_again_when_there_is_room(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    endorsement, identity, key = (
        store.endorsement(),
        store.make_identity(),
        store.generate(KeyAlgorithm.EC_P256),
    )
    made = challenge(endorsement.public_area, identity.public_area)
    made_tpm.fill()
    before = loaded(made_tpm)
    for operation in (
        store.endorsement,
        store.make_identity,
        lambda: store.activate(identity.blob, made),
        lambda: store.certify(key.blob, identity.blob, b"nonce"),
    ):
        with pytest.raises(TpmFull):
            operation()
        assert loaded(made_tpm) == before
    made_tpm.empty()
    assert store.activate(identity.blob, made) == SECRET


def test_a_locked_out_tpm_still_shows_what_it_is(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    lock_out(made_tpm)
    endorsement, identity, key = (
        store.endorsement(),
        store.make_identity(),
        store.generate(KeyAlgorithm.EC_P256),
    )
    assert store.activate(identity.blob, challenge(endorsement.public_area, identity.public_area)) == SECRET
    attested(store.certify(key.blob, identity.blob, b"nonce"), identity)
    assert loaded(made_tpm) == ""


def test_a_lockout_is_named_where_the_endorsement_key_has_a_password(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    identity = store.make_identity()
    key = store.endorsement("ec-p384")
    lock_out(made_tpm)
    with pytest.raises(TpmLockedOut):
        store.activate(identity.blob, challenge(key.public_area, identity.public_area))
    assert loaded(made_tpm) == ""


def lock_out(tpm: Swtpm) -> None:
    """Guesses a password wrongly until the TPM has enough of it."""
    tpm.tool("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=1", "--recovery-time=1000")
    tpm.tool("tpm2_createprimary", "-C", "o", "-G", "rsa", "-p", "right", "-c", "guessed.ctx", "-Q")
    for _ in range(2):
        with pytest.raises(subprocess.CalledProcessError):
            tpm.tool("tpm2_create", "-C", "guessed.ctx", "-P", "wrong", "-G", "ecc", "-u", "x.pub", "-r", "x.priv")
    tpm.empty()
    assert "inLockout:                 1" in tpm.tool("tpm2_getcap", "properties-variable")


def test_a_password_of_the_endorsement_hierarchy_is_named(store: Tpm2KeyStore, made_tpm: Swtpm) -> None:
    endorsement, identity = store.endorsement(), store.make_identity()
    made_tpm.tool("tpm2_changeauth", "-c", "endorsement", "secret")
    for operation in (
        store.endorsement,
        lambda: store.activate(identity.blob, challenge(endorsement.public_area, identity.public_area)),
    ):
        with pytest.raises(EndorsementUnusable, match="password for its endorsement hierarchy"):
            operation()
        assert loaded(made_tpm) == ""
    store.certify(store.generate(KeyAlgorithm.EC_P256).blob, identity.blob, b"nonce")


def test_an_identity_of_a_cleared_tpm_is_lost_and_its_endorsement_key_is_not(
    store: Tpm2KeyStore, made_tpm: Swtpm
) -> None:
    endorsement, identity, key = store.endorsement(), store.make_identity(), store.generate(KeyAlgorithm.EC_P256)
    made = challenge(endorsement.public_area, identity.public_area)
    made_tpm.tool("tpm2_clear")
    assert store.endorsement() == endorsement
    with pytest.raises(KeyLost):
        store.activate(identity.blob, made)
    with pytest.raises(KeyLost):
        store.certify(key.blob, identity.blob, b"nonce")


def test_a_process_killed_at_it_leaves_neither_objects_nor_sessions(
    store: Tpm2KeyStore, made_tpm: Swtpm, tmp_path: Path
) -> None:
    endorsement, identity = store.endorsement(), store.make_identity()
    made = challenge(endorsement.public_area, identity.public_area)
    program = (
        "import pickle, sys; from pathlib import Path\n"
        "from keystead_agent.keystore.tpm2 import Tpm2KeyStore\n"
        "store = Tpm2KeyStore(sys.argv[1], Path(sys.argv[2]))\n"
        "identity, made = pickle.loads(bytes.fromhex(sys.argv[3]))\n"
        "print('ready', flush=True)\n"
        "while True: store.activate(identity, made)\n"
    )
    arguments = pickle.dumps((identity.blob, made)).hex()
    for number in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", program, made_tpm.tcti, str(tmp_path / "tpm.lock"), arguments],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.02 + 0.003 * number)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert store.activate(identity.blob, made) == SECRET
    assert loaded(made_tpm) == ""
