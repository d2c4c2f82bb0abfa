"""A machine with a TPM at the door of a test's enroll: what its agent would send, with a TPM that is no TPM."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support import software_tpm as soft
from tests.support.enroll_app import MACHINE, REGISTRATION_TOKEN, Agent, EnrollApp
from tests.support.software_tpm import Object, SoftwareTpm
from tests.support.tpm_maker import NOW, YEAR, Authority

from keystead_contracts.agent import (
    ClaimRequest,
    CsrReady,
    DeviceJob,
    MakeKeyAndCsr,
    RegistrationRequest,
    Report,
    Routes,
    TpmEvidence,
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

AGES: dict[str, Any] = {"since": datetime.now(UTC) - NOW - YEAR, "until": datetime.now(UTC) - NOW + YEAR}
"""How long the maker's certificates are valid, around the time of the test."""
MAKER = Authority.root("Chips Root", **AGES)
EC_P256_CERTIFICATE = 0x01C0000A


def roots_folder(folder: Path, *authorities: Authority) -> Path:
    """A folder of manufacturers' roots."""
    folder.mkdir(parents=True, exist_ok=True)
    for authority in authorities or (MAKER,):
        (folder / f"{authority.name}.der").write_bytes(authority.der)
    return folder


def text(octets: bytes) -> str:
    """Base64."""
    return base64.b64encode(octets).decode()


def spki(key: Object) -> bytes:
    """The key's SubjectPublicKeyInfo in DER."""
    return key.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass
class AttestingMachine:
    """A computer with a TPM. `certificates` are those of its endorsement key."""

    app: EnrollApp
    tpm: SoftwareTpm = field(default_factory=SoftwareTpm)
    certificates: Sequence[bytes] = ()
    key: Object = field(default_factory=soft.application_key)
    """Its device key, and what a link or a job makes."""
    token: str = REGISTRATION_TOKEN
    client: httpx.Client = field(init=False)
    device_id: str = ""

    def __post_init__(self) -> None:
        self.client = self.app.client()

    @classmethod
    def made(cls, app: EnrollApp, maker: Authority = MAKER) -> AttestingMachine:
        """One whose maker certified its endorsement key."""
        tpm = SoftwareTpm()
        return cls(app, tpm, [maker.certify(tpm.endorsement.key, **AGES)])

    @property
    def attestation_key(self) -> AttestationKey:
        """What it shows of itself."""
        data, statement, signature = self.tpm.creation()
        return AttestationKey(
            endorsement_key=text(self.tpm.endorsement.public),
            endorsement_certificates=tuple(
                EndorsementCertificate(content=text(each), nv_index=EC_P256_CERTIFICATE) for each in self.certificates
            ),
            public_area=text(self.tpm.attestation.public),
            creation_data=text(data),
            creation_attestation=text(statement),
            creation_signature=text(signature),
        )

    def registration(self, **changes: Any) -> dict[str, Any]:
        """A registration's body."""
        key = self.key.key
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        proof = key.sign(registration_proof_input(self.app.origin, self.token), ec.ECDSA(hashes.SHA256()))
        values = {
            "registration_token": self.token,
            "machine": MACHINE,
            "public_key_pem": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "proof": text(proof),
            "evidence": TpmEvidence(public_area=text(self.key.public)),
            "attestation": self.attestation_key,
        }
        return RegistrationRequest(**(values | changes)).model_dump(mode="json")

    def register(self, **changes: Any) -> CredentialChallenge:
        """Registers; the challenge."""
        response = self.client.post(Routes.DEVICES, json=self.registration(**changes))
        assert response.status_code == 200, response.text
        self.device_id = response.json()["device_id"]
        return CredentialChallenge.model_validate(response.json()["challenge"])

    def solve(self, challenge: CredentialChallenge) -> Activation:
        """The secret of a challenge to it."""
        opened = self.tpm.activate(
            base64.b64decode(challenge.credential_blob), base64.b64decode(challenge.encrypted_secret)
        )
        return Activation(challenge_id=challenge.challenge_id, secret=text(opened))

    def certify(self, nonce: str, purpose: str, key: Object | None = None, **changes: Any) -> KeyCertification:
        """What its attestation key says of `key`; `changes` are made to the statement before it is signed."""
        key = key or self.key
        extra = changes.pop(
            "extra", qualifying_data(base64.b64decode(nonce), purpose_at(self.app.origin, purpose), spki(key))
        )
        statement, signature = self.tpm.certify(key, extra, **changes)
        return KeyCertification(
            attestation_key_name=text(self.tpm.attestation.name),
            certify_info=text(statement),
            signature=text(signature),
        )

    def answer(self, challenge: CredentialChallenge, **changes: Any) -> ChallengeAnswer:
        """The answer to the challenge of its registration."""
        certification = self.certify(challenge.nonce, challenge.challenge_id)
        return ChallengeAnswer(**({"activation": self.solve(challenge), "certification": certification} | changes))

    def send(self, answer: ChallengeAnswer) -> httpx.Response:
        """Sends an answer."""
        return self.client.post(Routes.ATTESTATION, json=answer.model_dump(mode="json"))

    def attest(self) -> dict[str, Any]:
        """Registers and answers; the result."""
        response = self.send(self.answer(self.register()))
        assert response.status_code == 200, response.text
        result: dict[str, Any] = response.json()
        return result

    def redeem(self, claim: str, secret: str | None = None, **changes: Any) -> tuple[Agent, CredentialChallenge | None]:
        """Redeems a link; its agent, and the challenge that came."""
        agent = Agent(self.app, self.client, secret=secret or secrets.token_hex(32))
        body = ClaimRequest(
            **({"claim": claim, "agent_secret": agent.secret, "machine": MACHINE, "attestation": self.attestation_key}
            | changes)
        )  # fmt: skip
        response = self.client.post(Routes.CLAIMS, json=body.model_dump(mode="json"))
        assert response.status_code == 200, response.text
        agent.token = response.json()["access_token"]
        given = response.json()["challenge"]
        return agent, CredentialChallenge.model_validate(given) if given else None

    def report(
        self, agent: Agent, job: DeviceJob, challenge: CredentialChallenge | None = None, **changes: Any
    ) -> Report:
        """The report that a key was made, with all the proof that it has; `changes` are made to the evidence. The
        key is another one each time."""
        assert isinstance(job.payload, MakeKeyAndCsr)
        made = changes.pop("key", None) or soft.application_key()
        assert isinstance(made.key, ec.EllipticCurvePrivateKey)
        agent.key = made.key
        evidence = {
            "public_area": text(made.public),
            "certification": self.certify(job.payload.attestation_nonce, job.order_id, made)
            if job.payload.attestation_nonce
            else None,
            "activation": self.solve(challenge) if challenge else None,
        }
        body = CsrReady(csr_pem=agent.csr(job, made.key), evidence=TpmEvidence(**(evidence | changes)))
        return Report(job_id=job.job_id, body=body)
