"""A server that asks for proof: `AgentServer` with challenges by tpm2-pytss, which remembers what it was shown."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from tests.support.agent_server import AgentServer, Order
from tpm2_pytss import types as tpm
from tpm2_pytss.constants import TPM2_ST
from tpm2_pytss.utils import make_credential

from keystead_contracts.agent import (
    AgentToken,
    ClaimRequest,
    CsrReady,
    DeviceJob,
    JobPayload,
    MakeKeyAndCsr,
    RegistrationReply,
    RegistrationRequest,
    Report,
    Routes,
    TpmEvidence,
)
from keystead_contracts.attestation import (
    Activation,
    AttestationKey,
    AttestationResult,
    ChallengeAnswer,
    CredentialChallenge,
    KeyCertification,
    purpose_at,
    qualifying_data,
)
from keystead_contracts.base import AssuranceLevel


@dataclass
class Verifier:
    """Challenges attestation keys, and checks what they say. `shown` are the keys, oldest first."""

    shown: list[AttestationKey] = field(default_factory=list)
    open: dict[str, tuple[bytes, CredentialChallenge, AttestationKey]] = field(default_factory=dict)

    def challenge(self, key: AttestationKey) -> CredentialChallenge:
        """A new secret for `key`."""
        self.shown.append(key)
        secret, challenge_id = secrets.token_bytes(32), secrets.token_hex(16)
        endorsement, identity = _public(key.endorsement_key), _public(key.public_area)
        credential, encrypted = make_credential(endorsement, secret, identity.get_name())
        challenge = CredentialChallenge(
            challenge_id=challenge_id,
            credential_blob=_text(credential.marshal()),
            encrypted_secret=_text(encrypted.marshal()),
            nonce=_text(secrets.token_bytes(32)),
            expires_at=datetime.now(UTC) + timedelta(minutes=5),
        )
        self.open[challenge_id] = (secret, challenge, key)
        return challenge

    def activated(self, activation: Activation) -> tuple[CredentialChallenge, AttestationKey]:
        """The challenge that `activation` solves and its key. Raises AssertionError if it does not, KeyError the second
        time."""
        secret, challenge, key = self.open.pop(activation.challenge_id)
        assert base64.b64decode(activation.secret) == secret
        return challenge, key

    def check(
        self, said: KeyCertification, signer: AttestationKey, key: Any, public_area: str, nonce: str, purpose: str
    ) -> None:
        """Raises unless `signer` certified public `key` with that TPM2B_PUBLIC, nonce and purpose."""
        identity = _public(signer.public_area)
        assert base64.b64decode(said.attestation_key_name) == bytes(identity.get_name())
        attest = _whole(tpm.TPM2B_ATTEST, said.certify_info)
        signature = _whole(tpm.TPMT_SIGNATURE, said.signature)
        signed_by = serialization.load_der_public_key(identity.to_der())
        assert isinstance(signed_by, ec.EllipticCurvePublicKey)
        signed_by.verify(bytes(signature), bytes(attest), ec.ECDSA(hashes.SHA256()))
        statement, _ = tpm.TPMS_ATTEST.unmarshal(bytes(attest))
        assert statement.type == TPM2_ST.ATTEST_CERTIFY
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        assert bytes(statement.extraData) == qualifying_data(base64.b64decode(nonce), purpose, der)
        assert bytes(statement.attested.certify.name) == bytes(_public(public_area).get_name())
        assert _public(public_area).to_der() == der


class AttestingServer(AgentServer):
    """Challenges whoever shows an attestation key, and asks every key for proof. `proofs` are the orders and devices
    whose proof was right, `lacking` the orders whose key came without."""

    def __init__(self) -> None:
        super().__init__()
        self.verifier = Verifier()
        self.proofs: list[str] = []
        self.lacking: list[str] = []
        self.attestation_keys: dict[str, AttestationKey] = {}
        self._nonces: dict[str, str] = {}
        self._registrations: dict[str, tuple[str, RegistrationRequest]] = {}

    def add_job(self, order: Order, payload: JobPayload) -> DeviceJob:
        """Like `AgentServer.add_job`, with a nonce."""
        if isinstance(payload, MakeKeyAndCsr):
            self._nonces[order.order_id] = _text(secrets.token_bytes(32))
            payload = payload.model_copy(update={"attestation_nonce": self._nonces[order.order_id]})
        return super().add_job(order, payload)

    def _app(self) -> FastAPI:
        app = super()._app()
        app.post(Routes.ATTESTATION)(self._attest)
        return app

    async def _redeem(self, request: Request) -> Response:
        answer = await super()._redeem(request)
        asked = ClaimRequest.model_validate_json(await request.body())
        if answer.status_code != 200 or asked.attestation is None:
            return answer
        token = AgentToken.model_validate_json(bytes(answer.body))
        return _json(token.model_copy(update={"challenge": self.verifier.challenge(asked.attestation)}))

    async def _register(self, request: Request) -> Response:
        answer = await super()._register(request)
        asked = RegistrationRequest.model_validate_json(await request.body())
        if answer.status_code != 200 or asked.attestation is None:
            return answer
        reply = RegistrationReply.model_validate_json(bytes(answer.body))
        challenge = self.verifier.challenge(asked.attestation)
        self._registrations[challenge.challenge_id] = reply.device_id, asked
        return _json(reply.model_copy(update={"challenge": challenge}))

    async def _attest(self, request: Request) -> Response:
        answer = ChallengeAnswer.model_validate_json(await request.body())
        device_id, asked = self._registrations[answer.activation.challenge_id]
        challenge, signer = self.verifier.activated(answer.activation)
        key = serialization.load_pem_public_key(asked.public_key_pem.encode())
        assert isinstance(asked.evidence, TpmEvidence)
        self.verifier.check(
            answer.certification,
            signer,
            key,
            asked.evidence.public_area,
            challenge.nonce,
            purpose_at(self.origin, challenge.challenge_id),
        )
        self.attestation_keys[device_id] = signer
        self.proofs.append(device_id)
        return _json(AttestationResult(level=AssuranceLevel.ATTESTED))

    def _judge(self, order: Order, job: DeviceJob, report: Report) -> Response | None:
        if isinstance(report.body, CsrReady):
            evidence = report.body.evidence
            if isinstance(evidence, TpmEvidence) and evidence.certification is not None:
                signer = self.attestation_keys.get(order.recipient)
                if signer is None:
                    assert evidence.activation is not None
                    _, signer = self.verifier.activated(evidence.activation)
                key = x509.load_pem_x509_csr(report.body.csr_pem.encode()).public_key()
                nonce = self._nonces[order.order_id]
                self.verifier.check(
                    evidence.certification,
                    signer,
                    key,
                    evidence.public_area,
                    nonce,
                    purpose_at(self.origin, order.order_id),
                )
                self.proofs.append(order.order_id)
            else:
                self.lacking.append(order.order_id)
        return super()._judge(order, job, report)


def _whole(kind: Any, text: str) -> Any:
    structure, length = kind.unmarshal(base64.b64decode(text))
    assert length == len(base64.b64decode(text))
    return structure


def _public(text: str) -> Any:
    return _whole(tpm.TPM2B_PUBLIC, text)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _json(message: Any) -> Response:
    return JSONResponse(message.model_dump(mode="json"))
