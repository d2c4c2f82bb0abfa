"""Values that the agent's unit tests share."""

from __future__ import annotations

from datetime import UTC, datetime

from keystead_agent.certstore.pem import KeyRequest, PendingKey
from keystead_contracts.agent import CsrReady, DeviceJob, JobPayload, MakeKeyAndCsr, SoftwareEvidence
from keystead_contracts.base import CertificateType, KeyAlgorithm

SERVER = "https://enroll.example.org"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TRACE = "0123456789abcdef0123456789abcdef"


def request(order_id: str = "order-1", server: str = SERVER) -> KeyRequest:
    return KeyRequest(
        server=server,
        order_id=order_id,
        job_id="job-1",
        trace_id=TRACE,
        key_algorithm=KeyAlgorithm.EC_P256,
        certificate_type=CertificateType.CLIENT,
        subject="CN=alice",
        created_at=NOW,
        key_file="key.tss.pem",
        provider="TPM 2.0 (TEST)",
        exportable=False,
    )


def pending(order_id: str = "order-1", *, blob: bytes = b"blob", server: str = SERVER) -> PendingKey:
    answer = CsrReady(csr_pem="csr", evidence=SoftwareEvidence())
    return PendingKey(request=request(order_id, server), blob=blob, answer=answer)


def wish(**changes: object) -> MakeKeyAndCsr:
    fields: dict[str, object] = {
        "key_algorithm": KeyAlgorithm.EC_P256,
        "subject": "CN=alice",
        "certificate_type": CertificateType.CLIENT,
        "allow_software_key": True,
    }
    return MakeKeyAndCsr.model_validate(fields | changes)


def job(payload: JobPayload | None = None, *, job_id: str = "job-1", order_id: str = "order-1") -> DeviceJob:
    return DeviceJob(
        job_id=job_id, sequence=1, order_id=order_id, trace_id=TRACE, created_at=NOW, payload=payload or wish()
    )
