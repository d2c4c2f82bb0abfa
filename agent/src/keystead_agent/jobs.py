"""Doing one job. Every function may be killed at any point and called again: it finds what the earlier call left and
ends with the same key, the same CSR and the same certificate."""

from __future__ import annotations

import base64
import logging
import time
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from keystead_agent.attestation import Witness
from keystead_agent.certstore.pem import CertificateStore, InstalledCertificate, KeyRequest, Metadata, PendingKey
from keystead_agent.errors import AgentBusy, AgentError, CertificateUnacceptable, KeyLost, KeyMismatch
from keystead_agent.journal import Clock
from keystead_agent.keystore import KeyStores
from keystead_agent.keystore.base import PrivateKey
from keystead_agent.signatures import public_key_of, sign, verify
from keystead_contracts.agent import (
    CsrReady,
    DeviceJob,
    Failed,
    FailureCode,
    Install,
    Installed,
    MakeKeyAndCsr,
    Remove,
    Removed,
    ReportBody,
    probe_input,
)

LONGEST_CHAIN = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobContext:
    """What doing a job needs. Callers keep two jobs of one state directory apart (`worker.Worker`)."""

    server: str
    keys: KeyStores
    store: CertificateStore
    now: Clock
    recipient: str = ""
    witness: Witness | None = None


def execute(job: DeviceJob, context: JobContext) -> ReportBody:
    """Does `job` and answers what to report; whatever goes wrong is reported as Failed. Raises AgentBusy: then the job
    waits."""
    try:
        match job.payload:
            case MakeKeyAndCsr():
                return make_key_and_csr(job, job.payload, context)
            case Install():
                return install(job, job.payload, context)
            case Remove():
                context.store.remove(context.server, job.order_id)
                return Removed()
    except AgentBusy:
        raise
    except AgentError as error:
        return error.report()
    except Exception as error:
        _log.exception("job_crashed")
        return Failed(
            code=FailureCode.INTERNAL,
            detail=f"The agent met an error that it does not know: {type(error).__name__}: {error}"[:2000],
            advice="Update the agent; the computer's log has the details for its makers.",
        )


def make_key_and_csr(job: DeviceJob, wish: MakeKeyAndCsr, context: JobContext) -> CsrReady:
    """One key per order: the key that waits already is used again if it is of the wished algorithm."""
    started = time.monotonic()
    pending = context.store.pending(context.server, job.order_id)
    if pending is not None and pending.request.key_algorithm == wish.key_algorithm:
        if pending.request.subject == wish.subject and not wish.attestation_nonce:
            return pending.answer
        keys = context.keys.for_key_file(pending.request.key_file)
        blob, evidence = pending.blob, pending.answer.evidence
    else:
        keys = context.keys.usable(allow_software=wish.allow_software_key)
        made = keys.generate(wish.key_algorithm)
        blob, evidence = made.blob, made.evidence
    key = keys.load(blob)
    csr = _sign_csr(key, wish.subject)
    if context.witness is not None:
        spki = _spki(key.public_key())
        evidence = context.witness.testify(evidence, keys.key_file, blob, spki, wish.attestation_nonce, job.order_id)
    info = keys.describe()
    answer = CsrReady(csr_pem=csr, evidence=evidence, duration_ms=_since(started))
    request = KeyRequest(
        server=context.server,
        order_id=job.order_id,
        job_id=job.job_id,
        trace_id=job.trace_id,
        key_algorithm=wish.key_algorithm,
        certificate_type=wish.certificate_type,
        subject=wish.subject,
        created_at=context.now(),
        key_file=keys.key_file,
        provider=info.name,
        exportable=info.exportable,
        recipient=context.recipient,
        supersedes=wish.supersedes,
    )
    context.store.save_pending(PendingKey(request=request, blob=blob, answer=answer))
    return answer


def install(job: DeviceJob, parcel: Install, context: JobContext) -> Installed:
    """Checks certificate and chain against the pending key, puts them in place, then proves with the stored files
    that they work together."""
    started = time.monotonic()
    certificate, chain, root = _read_parcel(parcel)
    installed = context.store.installed(context.server, job.order_id)
    if installed is None or x509.load_pem_x509_certificate(installed.certificate) != certificate:
        installed = _put_in_place(job, context, certificate, chain, root)
    else:
        context.store.discard_pending(context.server, job.order_id)
        context.store.platform.put(installed)
    signature = sign_with_stored(installed, context.keys, probe_input(base64.b64decode(parcel.probe)))
    context.store.platform.check(installed)
    return Installed(
        location=installed.location,
        provider=installed.metadata.request.provider,
        probe_signature=base64.b64encode(signature).decode(),
        root_trusted=installed.metadata.root_trusted,
        duration_ms=_since(started),
    )


def sign_with_stored(installed: InstalledCertificate, keys: KeyStores, data: bytes) -> bytes:
    """A signature over `data` by the stored key, checked with the stored certificate. Raises KeyMismatch, and what
    the key store raises."""
    key = keys.for_key_file(installed.metadata.request.key_file).load(installed.blob)
    certificate = x509.load_pem_x509_certificate(installed.certificate)
    signature = sign(key, data)
    try:
        verify(public_key_of(certificate), signature, data)
    except InvalidSignature as error:
        raise KeyMismatch(
            f"the key in {installed.directory} does not belong to the certificate there", "Enroll again."
        ) from error
    return signature


def _put_in_place(
    job: DeviceJob,
    context: JobContext,
    certificate: x509.Certificate,
    chain: list[x509.Certificate],
    root: x509.Certificate,
) -> InstalledCertificate:
    pending = context.store.pending(context.server, job.order_id)
    if pending is None:
        raise KeyLost(
            f"this computer has no key for order {job.order_id}",
            "It was removed, or made by another account or on another computer. Enroll again.",
        )
    key = context.keys.for_key_file(pending.request.key_file).load(pending.blob)
    if _spki(key.public_key()) != _spki(certificate.public_key()):
        raise KeyMismatch(
            f"the certificate is not for the key that was made for order {job.order_id}",
            "Nothing was installed. Tell the administrator of the server.",
        )
    metadata = Metadata(
        request=pending.request, installed_at=context.now(), organization=job.organization, profile=job.profile
    )
    return context.store.install(
        pending, metadata, certificate=_pem(certificate), chain=b"".join(map(_pem, chain)), root=_pem(root)
    )


def _sign_csr(key: PrivateKey, subject: str) -> str:
    """A PKCS#10 request (RFC 2986), with the hash that fits the key."""
    try:
        name = x509.Name.from_rfc4514_string(subject)
    except ValueError as error:
        raise AgentError(
            f"the server asked for the subject {subject!r}, which is not RFC 4514 text",
            "Tell the administrator of the server.",
        ) from error
    algorithm = hashes.SHA384() if key.key_size == 384 else hashes.SHA256()
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, algorithm)
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def _read_parcel(parcel: Install) -> tuple[x509.Certificate, list[x509.Certificate], x509.Certificate]:
    """Certificate, issuing CAs without the root, root; each verified with the next. Raises CertificateUnacceptable."""
    advice = "Nothing was installed. Tell the administrator of the server."
    try:
        certificate = x509.load_pem_x509_certificate(parcel.certificate_pem.encode())
        root = x509.load_pem_x509_certificate(parcel.root_pem.encode())
        chain = [x509.load_pem_x509_certificate(pem.encode()) for pem in parcel.chain_pem]
    except ValueError as error:
        raise CertificateUnacceptable(f"what the server sent is not a certificate: {error}", advice) from error
    chain = [issuer for issuer in chain if issuer != root]
    if len(chain) > LONGEST_CHAIN:
        raise CertificateUnacceptable("the chain that the server sent is too long", advice)
    path = [certificate, *chain, root]
    for issued, issuer in zip(path, [*path[1:], root], strict=True):
        try:
            _require_ca(issuer)
            issued.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
            raise CertificateUnacceptable(
                f"{issued.subject.rfc4514_string()} is not signed by {issuer.subject.rfc4514_string()}, which "
                "the server names as its issuer",
                advice,
            ) from error
    return certificate, chain, root


def _require_ca(certificate: x509.Certificate) -> None:
    """Raises ValueError unless `certificate` may issue others (RFC 5280 section 4.2.1.9)."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as error:
        raise ValueError("not a CA certificate") from error
    if not constraints.ca:
        raise ValueError("not a CA certificate")


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)
