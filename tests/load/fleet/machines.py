"""Machines with TPMs that are no TPMs, all that they need made beforehand: what they do later costs little."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from tests.support import software_tpm as soft
from tests.support.software_tpm import Object, SoftwareTpm
from tests.support.tpm_maker import NOW, YEAR, Authority

from keystead_contracts.agent import (
    CsrReady,
    DeviceJob,
    Install,
    Installed,
    KeyProvider,
    MachineInfo,
    MakeKeyAndCsr,
    RegistrationRequest,
    Report,
    TpmEvidence,
    probe_input,
    registration_proof_input,
)
from keystead_contracts.attestation import (
    Activation,
    AttestationKey,
    ChallengeAnswer,
    CredentialChallenge,
    EndorsementCertificate,
    KeyCertification,
    purpose_at,
    qualifying_data,
)

EK_CERTIFICATE = 0x01C0000A
"""Where a TPM keeps the certificate of its P-256 endorsement key."""
ASSERTION_SECONDS = 60
_SHA256 = ec.ECDSA(hashes.SHA256())


def text(octets: bytes) -> str:
    """Base64."""
    return base64.b64encode(octets).decode()


@dataclass
class Machine:
    """One computer. `origin` is the server's, as its users see it."""

    origin: str
    name: str
    tpm: SoftwareTpm
    endorsement_certificate: bytes
    device: Object = field(default_factory=soft.application_key)
    """Its device key."""
    order: Object = field(default_factory=soft.application_key)
    """What a job makes."""
    device_id: str = ""
    registration: bytes = b""

    def __post_init__(self) -> None:
        self._signer_name = self.tpm.attestation.name
        self._order_spki, self._device_spki = _spki(self.order), _spki(self.device)

    def register_with(self, registration_token: str) -> None:
        """Makes the body of its registration, before anybody waits for it."""
        key, (data, statement, signature) = _ec(self.device), self.tpm.creation()
        self.registration = (
            RegistrationRequest(
                registration_token=registration_token,
                machine=MachineInfo(
                    hostname=self.name, platform="linux", agent_version="0.1.0", key_provider=KeyProvider.TPM2
                ),
                public_key_pem=key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
                proof=text(key.sign(registration_proof_input(self.origin, registration_token), _SHA256)),
                evidence=TpmEvidence(public_area=text(self.device.public)),
                attestation=AttestationKey(
                    endorsement_key=text(self.tpm.endorsement.public),
                    endorsement_certificates=(
                        EndorsementCertificate(content=text(self.endorsement_certificate), nv_index=EK_CERTIFICATE),
                    ),
                    public_area=text(self.tpm.attestation.public),
                    creation_data=text(data),
                    creation_attestation=text(statement),
                    creation_signature=text(signature),
                ),
            )
            .model_dump_json()
            .encode()
        )

    def answer(self, challenge: CredentialChallenge) -> bytes:
        """A `ChallengeAnswer`."""
        opened = self.tpm.activate(
            base64.b64decode(challenge.credential_blob), base64.b64decode(challenge.encrypted_secret)
        )
        return (
            ChallengeAnswer(
                activation=Activation(challenge_id=challenge.challenge_id, secret=text(opened)),
                certification=self._certify(self.device, self._device_spki, challenge.nonce, challenge.challenge_id),
            )
            .model_dump_json()
            .encode()
        )

    def assertion(self) -> str:
        """A fresh assertion, signed by the device key (RFC 7523 section 3)."""
        issued = int(time.time())
        claims = {
            "iss": self.device_id, "sub": self.device_id, "aud": self.origin, "iat": issued,
            "exp": issued + ASSERTION_SECONDS, "jti": secrets.token_hex(16),
        }  # fmt: skip
        signed = f"{_JWT_HEAD}.{_url_text(json.dumps(claims).encode())}"
        r, s = utils.decode_dss_signature(_ec(self.device).sign(signed.encode(), _SHA256))
        return f"{signed}.{_url_text(r.to_bytes(32) + s.to_bytes(32))}"

    def report(self, job: DeviceJob) -> bytes:
        """The `Report` on a job that was done."""
        payload = job.payload
        if isinstance(payload, MakeKeyAndCsr):
            body: CsrReady | Installed = self._csr_ready(job, payload)
        elif isinstance(payload, Install):
            body = Installed(
                location=f"/var/lib/keystead-agent/certificates/{job.order_id}",
                provider="tpm2",
                probe_signature=text(_ec(self.order).sign(probe_input(base64.b64decode(payload.probe)), _SHA256)),
            )
        else:
            raise ValueError(f"order {job.order_id} came to nothing: {payload.reason}")
        return Report(job_id=job.job_id, body=body).model_dump_json().encode()

    def _csr_ready(self, job: DeviceJob, asked: MakeKeyAndCsr) -> CsrReady:
        subject = x509.Name.from_rfc4514_string(asked.subject)
        signed = x509.CertificateSigningRequestBuilder(subject).sign(_ec(self.order), hashes.SHA256())
        certification = None
        if asked.attestation_nonce:
            certification = self._certify(self.order, self._order_spki, asked.attestation_nonce, job.order_id)
        return CsrReady(
            csr_pem=signed.public_bytes(Encoding.PEM).decode(),
            evidence=TpmEvidence(public_area=text(self.order.public), certification=certification),
        )

    def _certify(self, key: Object, spki: bytes, nonce: str, purpose: str) -> KeyCertification:
        extra = qualifying_data(base64.b64decode(nonce), purpose_at(self.origin, purpose), spki)
        statement, signature = self.tpm.certify(key, extra)
        return KeyCertification(
            attestation_key_name=text(self._signer_name), certify_info=text(statement), signature=text(signature)
        )


def manufacturer() -> Authority:
    """Who makes TPMs: a root whose certificate the server is to trust."""
    return Authority.root(_MAKER, 90, **_AGES)


def manufacturer_of(folder: Path) -> Authority:
    """The one whose root is in `folder`; `leave_manufacturer` left it there."""
    key = load_pem_private_key((folder / _KEY).read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the manufacturer's key is RSA")
    return Authority(_MAKER, key, (folder / "roots" / f"{_MAKER}.der").read_bytes())


def leave_manufacturer(folder: Path) -> Path:
    """Makes one and leaves it in `folder`, for other processes; the folder for the server."""
    maker, roots = manufacturer(), folder / "roots"
    roots.mkdir()
    (roots / f"{_MAKER}.der").write_bytes(maker.der)
    (folder / _KEY).write_bytes(maker.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return roots


def machine(origin: str, name: str, maker: Authority) -> Machine:
    """A machine whose TPM `maker` vouches for."""
    tpm = SoftwareTpm()
    return Machine(origin, name, tpm, maker.certify(tpm.endorsement.key, None, **_AGES))


_MAKER, _KEY = "Fleet Chips", "maker.pem"
_AGES: dict[str, timedelta] = {"since": datetime.now(UTC) - NOW - YEAR, "until": datetime.now(UTC) - NOW + YEAR}


def _url_text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


_JWT_HEAD = _url_text(json.dumps({"alg": "ES256", "typ": "JWT"}).encode())


def _ec(key: Object) -> ec.EllipticCurvePrivateKey:
    if not isinstance(key.key, ec.EllipticCurvePrivateKey):
        raise TypeError("the fleet's keys are on P-256")
    return key.key


def _spki(key: Object) -> bytes:
    return key.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
