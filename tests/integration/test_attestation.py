"""What a TPM and tpm2-tools make is believed, from the endorsement key to the key of a certificate."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support import tpm_maker
from tests.support.swtpm import Swtpm
from tests.support.swtpm import swtpm as swtpm
from tests.support.tpm_maker import Authority
from tpm2_pytss import ESAPI
from tpm2_pytss.constants import TPM2_ALG
from tpm2_pytss.types import TPMT_SIG_SCHEME

from keystead_contracts.attestation import AttestationKey, EndorsementCertificate, KeyCertification, qualifying_data
from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.attestation import (
    AttestationPolicy,
    Challenge,
    Question,
    assurance,
    judge_activation,
    judge_attestation_key,
    judge_certification,
)
from keystead_enroll.domain.attestation_checks import Findings
from keystead_enroll.domain.attestation_evidence import TpmIdentity, read_certification, read_identity
from keystead_enroll.domain.credential import make_credential
from keystead_enroll.domain.endorsement import Endorsement, EndorsementPolicy, judge_endorsement
from keystead_enroll.domain.endorsement_certificate import read_certificate
from keystead_enroll.domain.keys import spki_der, spki_sha256
from keystead_enroll.domain.tpm_public import ObjectAttributes, parse_tpm2b_public

pytestmark = pytest.mark.tpm
SECRET, NONCE, ORDER = bytes(range(32)), bytes(range(32, 64)), "0" * 31 + "1"
ROOT = Authority.root()
POLICY = AttestationPolicy()
AK_HANDLE, KEY_HANDLE = 0x81010010, 0x81010011
HEADER = bytes.fromhex("badcc0de00000001")


class Machine:
    """A TPM whose manufacturer is ours, and what its agent would do, with tpm2-tools."""

    def __init__(self, tpm: Swtpm, endorsement: str, attestation: tuple[str, str]) -> None:
        self.tpm, self.files = tpm, tpm.directory
        algorithm, scheme = attestation
        tpm.tool("tpm2_createek", "-G", endorsement, "-c", "ek.ctx", "-u", "ek.pub", "-Q")
        tpm.empty()
        tpm.tool("tpm2_createprimary", "-C", "e", "-G", "ecc", "-c", "parent.ctx", "-Q")
        template = ("-G", f"{algorithm}:{scheme}-sha256:null", "-a", _ATTESTATION)
        created = ("--creation-data", "ak.data", "-d", "ak.digest", "-t", "ak.ticket")
        tpm.tool("tpm2_create", "-C", "parent.ctx", *template, *created, "-u", "ak.pub", "-r", "ak.priv", "-Q")
        self._load("parent.ctx", "ak")
        said = ("-o", "ak.signature", "--attestation", "ak.attest", "-g", "sha256", "-s", scheme)
        keys = ("-C", "ak.ctx", "-c", "ak.ctx")
        tpm.tool("tpm2_certifycreation", *keys, "-d", "ak.digest", "-t", "ak.ticket", *said)
        tpm.empty()

    def _load(self, parent: str, name: str) -> None:
        self.tpm.empty()
        self.tpm.tool("tpm2_load", "-C", parent, "-u", f"{name}.pub", "-r", f"{name}.priv", "-c", f"{name}.ctx", "-Q")
        self.tpm.empty()

    def sent(self, *certificates: bytes) -> AttestationKey:
        """As it is sent."""
        return AttestationKey(
            endorsement_key=_text(self.files / "ek.pub"),
            endorsement_certificates=tuple(
                EndorsementCertificate(content=base64.b64encode(each).decode(), nv_index=0x01C00002)
                for each in certificates
            ),
            public_area=_text(self.files / "ak.pub"),
            creation_data=_text(self.files / "ak.data"),
            creation_attestation=_text(self.files / "ak.attest", sized=True),
            creation_signature=_text(self.files / "ak.signature"),
        )

    def activate(self, identity: TpmIdentity) -> bytes:
        """The secret of a challenge to it."""
        made = make_credential(identity.endorsement_key, identity.attestation_key.key.name, SECRET)
        (self.files / "sealed").write_bytes(HEADER + made.blob + made.encrypted_secret)
        session: tuple[str, ...] = ()
        if not identity.endorsement_key.attributes & ObjectAttributes.USER_WITH_AUTH:
            self.tpm.tool("tpm2_startauthsession", "--policy-session", "-S", "session.ctx")
            self.tpm.tool("tpm2_policysecret", "-S", "session.ctx", "-c", "e", "-Q")
            session = ("-P", "session:session.ctx")
        keys = ("-c", "ak.ctx", "-C", "ek.ctx")
        self.tpm.tool("tpm2_activatecredential", *keys, "-i", "sealed", "-o", "opened", *session, "-Q")
        self.tpm.empty()
        return (self.files / "opened").read_bytes()

    def make_key(self) -> tuple[str, KeyCertification]:
        """A key, certified."""
        made = ("-G", "ecc256:null:null", "-a", _APPLICATION)
        self.tpm.tool("tpm2_create", "-C", "parent.ctx", *made, "-u", "key.pub", "-r", "key.priv", "-Q")
        self._load("parent.ctx", "key")
        public = parse_tpm2b_public((self.files / "key.pub").read_bytes())
        asked = qualifying_data(NONCE, ORDER, spki_der(public.public_key))
        certify_info, signature = self._certify(asked)
        name = parse_tpm2b_public((self.files / "ak.pub").read_bytes()).name
        return _text(self.files / "key.pub"), KeyCertification(
            attestation_key_name=base64.b64encode(name).decode(),
            certify_info=base64.b64encode(certify_info).decode(),
            signature=base64.b64encode(signature).decode(),
        )

    def _certify(self, asked: bytes) -> tuple[bytes, bytes]:
        """TPM2_Certify; not every release of tpm2-tools takes qualifying data."""
        for name, handle in (("ak", AK_HANDLE), ("key", KEY_HANDLE)):
            self.tpm.tool("tpm2_evictcontrol", "-C", "o", "-c", f"{name}.ctx", hex(handle), "-Q")
            self.tpm.empty()
        with ESAPI(self.tpm.tcti) as esys:
            attesting, key = (esys.tr_from_tpmpublic(handle) for handle in (AK_HANDLE, KEY_HANDLE))
            said, signature = esys.certify(key, attesting, asked, TPMT_SIG_SCHEME(scheme=TPM2_ALG.NULL))
            return said.marshal(), signature.marshal()


_ATTESTATION = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"
_APPLICATION = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign"


def _text(path: Path, *, sized: bool = False) -> str:
    octets = path.read_bytes()
    return base64.b64encode(len(octets).to_bytes(2) + octets if sized else octets).decode()


def _certified(machine: Machine) -> bytes:
    """An endorsement certificate for the machine's key, valid now."""
    public = parse_tpm2b_public((machine.files / "ek.pub").read_bytes()).public_key
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.load_der_x509_certificate(ROOT.der).subject)
        .public_key(public)
        .serial_number(7)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )
    usage = "key_encipherment" if hasattr(public, "encrypt") else "key_agreement"
    for extension, critical in tpm_maker.ek_extensions(usage):
        builder = builder.add_extension(extension, critical)
    return builder.sign(ROOT.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("endorsement", "attestation"),
    [("rsa", ("rsa2048", "rsassa")), ("ecc", ("ecc256", "ecdsa")), ("ecc384", ("ecc256", "ecdsa"))],
)
def test_a_tpm_s_evidence_reaches_the_level_that_is_known_of_it(
    swtpm: Swtpm, endorsement: str, attestation: tuple[str, str]
) -> None:
    machine = Machine(swtpm, endorsement, attestation)
    identity = read_identity(machine.sent(_certified(machine)))
    attesting = identity.attestation_key.key
    endorsement_key = identity.endorsement_key
    findings: Findings = judge_attestation_key(identity.attestation_key, POLICY)
    challenge = Challenge(SECRET, endorsement_key.name, attesting.name, open=True)
    findings += judge_activation(challenge, machine.activate(identity), endorsement_key, attesting)
    certified, signer = read_certification(*machine.make_key())
    assert signer == attesting.name
    request_key = certified.key.public_key
    question = Question(qualifying_data(NONCE, ORDER, spki_der(request_key)), open=True)
    findings += judge_certification(certified, attesting, question, request_key, POLICY)
    assert [finding.code for finding in findings if not finding.held] == []

    def standing(policy: EndorsementPolicy) -> Endorsement:
        return judge_endorsement(endorsement_key, identity.certificates, policy, datetime.now(UTC))

    def level(policy: EndorsementPolicy) -> AssuranceLevel | None:
        judged = standing(policy)
        return assurance(findings + judged.findings, judged.standing)

    fingerprint = frozenset({spki_sha256(endorsement_key.public_key)})
    assert level(EndorsementPolicy([read_certificate(ROOT.der)])) is AssuranceLevel.VENDOR
    assert level(EndorsementPolicy(listed=fingerprint)) is AssuranceLevel.LISTED
    assert level(EndorsementPolicy()) is AssuranceLevel.ATTESTED
    assert level(EndorsementPolicy(denied=fingerprint)) is None
