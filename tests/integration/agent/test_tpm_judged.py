"""What the agent shows of a software TPM, before the judge of enroll."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from tests.support.swtpm import Swtpm
from tests.support.swtpm_maker import CERTIFICATES, SwtpmMaker, _first_tpm, forget, made_tpm, swtpm_maker

from keystead_agent.attestation import Identities, Identity
from keystead_agent.files import private_directory
from keystead_agent.keystore import KeyStores
from keystead_agent.settings import Settings, silence_tss_log
from keystead_contracts.agent import TpmEvidence
from keystead_contracts.attestation import CredentialChallenge, qualifying_data
from keystead_contracts.base import AssuranceLevel, KeyAlgorithm
from keystead_enroll.domain.attestation import (
    AttestationPolicy,
    CertifiedKey,
    Challenge,
    CreatedKey,
    Question,
    assurance,
    judge_activation,
    judge_attestation_key,
    judge_certification,
)
from keystead_enroll.domain.attestation_checks import failures
from keystead_enroll.domain.credential import make_credential
from keystead_enroll.domain.endorsement import EndorsementPolicy, judge_endorsement
from keystead_enroll.domain.endorsement_certificate import read_certificate, read_stored
from keystead_enroll.domain.keys import spki_sha256
from keystead_enroll.domain.tpm_attest import parse_signature, parse_tpm2b_attest, parse_tpm2b_creation_data
from keystead_enroll.domain.tpm_public import TpmPublic, parse_tpm2b_public

__all__ = ["_first_tpm", "made_tpm", "swtpm_maker"]
pytestmark = pytest.mark.tpm
silence_tss_log()

POLICY = AttestationPolicy()
SECRET, NONCE, ORDER = b"s" * 32, base64.b64encode(b"n" * 32).decode(), "order-1"


@pytest.fixture
def keys(made_tpm: Swtpm, tmp_path: Path) -> KeyStores:
    return KeyStores(Settings(state_dir=private_directory(tmp_path / "state"), tcti=made_tpm.tcti))


@pytest.fixture(params=CERTIFICATES)
def identity(request: pytest.FixtureRequest, keys: KeyStores, made_tpm: Swtpm, tmp_path: Path) -> Identity:
    """That of a TPM whose maker certified one kind of endorsement key."""
    for kind, index in CERTIFICATES.items():
        if kind != request.param:
            forget(made_tpm, index)
    made = Identities(keys, tmp_path / "state").obtain()
    assert made is not None
    return made


def octets(text: str) -> bytes:
    return base64.b64decode(text)


def created(identity: Identity) -> CreatedKey:
    return CreatedKey(
        key=parse_tpm2b_public(octets(identity.key.public_area)),
        data=parse_tpm2b_creation_data(octets(identity.key.creation_data)),
        attest=parse_tpm2b_attest(octets(identity.key.creation_attestation)),
        signature=parse_signature(octets(identity.key.creation_signature)),
    )


def endorsement_of(identity: Identity) -> TpmPublic:
    return parse_tpm2b_public(octets(identity.key.endorsement_key))


@pytest.mark.parametrize("known", [AssuranceLevel.VENDOR, AssuranceLevel.LISTED, AssuranceLevel.ATTESTED])
def test_a_key_reaches_the_level_that_its_tpm_is_known_by(
    keys: KeyStores, identity: Identity, swtpm_maker: SwtpmMaker, known: AssuranceLevel
) -> None:
    made, endorsement = created(identity), endorsement_of(identity)
    sealed = make_credential(endorsement, made.key.name, SECRET)
    answer = identity.solve(
        CredentialChallenge(
            challenge_id="0" * 32,
            credential_blob=base64.b64encode(sealed.blob).decode(),
            encrypted_secret=base64.b64encode(sealed.encrypted_secret).decode(),
            nonce=NONCE,
            expires_at=datetime.now(UTC) + timedelta(minutes=5),
        )
    )
    asked = Challenge(SECRET, endorsement.name, made.key.name, open=True)
    store = keys.hardware()
    stored = store.generate(KeyAlgorithm.EC_P256)
    assert isinstance(stored.evidence, TpmEvidence)
    public_key = store.load(stored.blob).public_key()
    der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    said = identity.certify(stored.blob, der, NONCE, ORDER)
    assert octets(said.attestation_key_name) == made.key.name
    certified = CertifiedKey(
        key=parse_tpm2b_public(octets(stored.evidence.public_area)),
        attest=parse_tpm2b_attest(octets(said.certify_info)),
        signature=parse_signature(octets(said.signature)),
    )
    policy = EndorsementPolicy(
        roots=[read_certificate(serialized(pem)) for pem in (swtpm_maker.root_pem, swtpm_maker.issuer_pem)]
        if known is AssuranceLevel.VENDOR
        else (),
        listed=frozenset({spki_sha256(endorsement.public_key)} if known is AssuranceLevel.LISTED else ()),
    )
    shown = [(kept.nv_index, octets(kept.content)) for kept in identity.key.endorsement_certificates]
    backed = judge_endorsement(endorsement, read_stored(shown), policy, datetime.now(UTC))
    findings = (
        *judge_attestation_key(made, POLICY),
        *judge_activation(asked, octets(answer.secret), endorsement, made.key),
        *judge_certification(
            certified,
            made.key,
            Question(qualifying_data(octets(NONCE), ORDER, der), open=True),
            public_key,
            POLICY,
            last=made.attest.clock,
        ),
        *backed.findings,
    )
    assert failures(findings) == ()
    assert assurance(findings, backed.standing) is known


def serialized(pem: str) -> bytes:
    """A PEM certificate's DER."""
    return base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))
