"""The Windows agent's readers over the structures of a TPM that is one: swtpm's, in what Windows puts around them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.pcp_samples import PcpSamples, pcp_samples
from tests.support.swtpm import Swtpm

from keystead_agent.files import private_directory
from keystead_agent.keystore import _pcp_blobs as pcp
from keystead_agent.keystore._cng_blobs import rsa_public_key
from keystead_agent.keystore.attesting import Challenge
from keystead_agent.keystore.tpm2 import Tpm2KeyStore
from keystead_agent.settings import silence_tss_log
from keystead_contracts.base import KeyAlgorithm
from keystead_enroll.domain.attestation import (
    AttestationPolicy,
    CertifiedKey,
    CreatedKey,
    Question,
    judge_attestation_key,
    judge_certification,
    judge_endorsement_key,
)
from keystead_enroll.domain.attestation_checks import failures
from keystead_enroll.domain.credential import make_credential
from keystead_enroll.domain.tpm_attest import parse_attest, parse_signature, parse_tpm2b_creation_data
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

pytestmark = pytest.mark.tpm
silence_tss_log()
NONCE, POLICY = b"n" * 32, AttestationPolicy()
KINDS = [(KeyAlgorithm.EC_P256, True), (KeyAlgorithm.RSA_2048, False)]


@pytest.fixture(params=KINDS, ids=["elliptic, bare", "RSA, whole"])
def sample(request: pytest.FixtureRequest, swtpm: Swtpm, tmp_path: Path) -> PcpSamples:
    algorithm, bare = request.param
    return pcp_samples(swtpm.tcti, private_directory(tmp_path / "state"), algorithm, NONCE, bare=bare)


def test_the_endorsement_key_that_windows_shows_is_the_tpms_own(
    sample: PcpSamples, swtpm: Swtpm, tmp_path: Path
) -> None:
    area = pcp.endorsement_area(rsa_public_key(sample.endorsement))
    assert area == sample.endorsement_area
    endorsement = parse_tpm2b_public(area)
    assert failures(judge_endorsement_key(endorsement, denied=False)) == ()
    name = parse_tpm2b_public(pcp.binding(sample.id_binding).public_area).name
    credential = make_credential(endorsement, name, b"s" * 32)
    store = Tpm2KeyStore(swtpm.tcti, tmp_path / "state" / "tpm.lock")
    challenge = Challenge(area, credential.blob, credential.encrypted_secret)
    assert store.activate(sample.identity.blob, challenge) == b"s" * 32


def test_the_judge_believes_an_identity_out_of_an_id_binding(sample: PcpSamples) -> None:
    made = pcp.binding(sample.id_binding)
    created = CreatedKey(
        parse_tpm2b_public(made.public_area),
        parse_tpm2b_creation_data(made.creation_data),
        parse_attest(made.attest),
        parse_signature(made.signature),
    )
    assert failures(judge_attestation_key(created, POLICY)) == ()


def test_the_judge_believes_a_key_out_of_a_claim(sample: PcpSamples) -> None:
    claim, signer = pcp.claim(sample.claim), pcp.signer(pcp.binding(sample.id_binding).public_area)
    assert claim.public_area == sample.key_area
    pcp.require_certifies(claim.attest, NONCE, claim.public_area)
    signature = signer.signature(claim.signature)
    signer.require_signed(signature, claim.attest)
    key = parse_tpm2b_public(claim.public_area)
    certified = CertifiedKey(key, parse_attest(claim.attest), parse_signature(signature))
    identity = parse_tpm2b_public(pcp.binding(sample.id_binding).public_area)
    question = Question(NONCE, open=True)
    assert failures(judge_certification(certified, identity, question, key.public_key, POLICY)) == ()


def test_no_octet_may_be_missing(sample: PcpSamples) -> None:
    for read, whole in ((pcp.claim, sample.claim), (pcp.binding, sample.id_binding)):
        for length in range(len(whole)):
            with pytest.raises(ValueError, match=r"\w"):
                read(whole[:length])
