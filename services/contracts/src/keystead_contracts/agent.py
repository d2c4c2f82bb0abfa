"""What enroll and the agent say to each other: claims, registration, device jobs, reports, evidence.

The agent opens `Routes.CLAIMS` (from a `keystead://` link) or `Routes.TOKEN` (a registered device) to get a bearer
token, holds one `Routes.JOBS` event stream (each event's `data` is a `DeviceJob`), and posts a `Report` for each
job. A report is idempotent by job id: the same report again is accepted again, a different one is refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import Field, TypeAdapter

from keystead_contracts.attestation import Activation, AttestationKey, CredentialChallenge, KeyCertification
from keystead_contracts.base import (
    AwareDatetime,
    Base64,
    CertificateScope,
    CertificateType,
    KeyAlgorithm,
    Message,
    PlainText,
    TraceId,
)
from keystead_contracts.failures import FailureCode as FailureCode

URL_SCHEME = "keystead"
AGENT_TOKEN_AUDIENCE = "keystead-agent-api"  # noqa: S105 an audience, not a secret
JOB_EVENT = "job"
"""The SSE event name of a job; other event names are ignored. `id:` is the job's sequence number."""


class Routes:
    """Paths below the server's origin."""

    CLAIMS = "/api/agent/claims"
    DEVICES = "/api/agent/devices"
    ATTESTATION = "/api/agent/devices/attestation"
    TOKEN = "/api/agent/token"  # noqa: S105 a path
    JOBS = "/api/agent/jobs"
    REPORT = "/api/agent/jobs/{job_id}/report"


class EnrollLink(Message):
    """A `keystead://enroll?server=…&claim=…` link: the server's origin and a one-time claim token. `scope` says whose
    the certificate will be: the user's, or (`&scope=machine`) the whole computer's. A hint: the order decides."""

    server: str
    claim: str
    scope: Literal["user", "machine"] = "user"

    def __str__(self) -> str:
        query = {"server": self.server, "claim": self.claim}
        if self.scope != "user":
            query["scope"] = self.scope
        return f"{URL_SCHEME}://enroll?{urlencode(query)}"

    @classmethod
    def parse(cls, text: str) -> EnrollLink:
        """The link in `text`. Raises ValueError that says what is wrong with it."""
        parts = urlsplit(text.strip())
        if parts.scheme != URL_SCHEME or parts.netloc != "enroll":
            raise ValueError(f"this is not a {URL_SCHEME}://enroll link")
        query = parse_qs(parts.query)
        server, claim = (query.get(name, [""])[0] for name in ("server", "claim"))
        origin = urlsplit(server)
        if origin.scheme not in ("https", "http") or not origin.netloc or origin.path not in ("", "/"):
            raise ValueError("the link does not name a server")
        if origin.username is not None or origin.query or origin.fragment:
            raise ValueError("the link's server is not a plain origin")
        if not claim or len(claim) > 128:
            raise ValueError("the link carries no claim")
        scope = query.get("scope", ["user"])[0]
        if scope not in ("user", "machine"):
            raise ValueError("the link does not say whose the certificate will be")
        return cls.model_validate({"server": f"{origin.scheme}://{origin.netloc}", "claim": claim, "scope": scope})


class KeyProvider(StrEnum):
    """Where the agent keeps keys."""

    TPM2 = "tpm2"
    PLATFORM_CRYPTO_PROVIDER = "pcp"
    SOFTWARE = "software"


class MachineInfo(Message):
    """What the agent says of its machine. Claims, not proof."""

    hostname: Annotated[PlainText, Field(min_length=1, max_length=253)]
    platform: Annotated[PlainText, Field(max_length=64)]
    agent_version: Annotated[PlainText, Field(max_length=32)]
    key_provider: KeyProvider
    tpm_manufacturer: Annotated[PlainText, Field(max_length=16)] = ""
    tpm_firmware: Annotated[PlainText, Field(max_length=32)] = ""


class ClaimRequest(Message):
    """Redeems a claim. `agent_secret` (256 bits, hex) is made and journaled by the agent before it asks: the same
    secret may redeem the same claim again after a crash, any other is refused."""

    claim: Annotated[str, Field(min_length=16, max_length=128)]
    agent_secret: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    machine: MachineInfo
    attestation: AttestationKey | None = None
    """Of a machine that is not registered; None if its TPM cannot attest here."""


class AgentToken(Message):
    """A bearer token for the job stream and reports."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 the scheme's name
    expires_in: int
    recipient: str
    organization: str = ""
    trace_id: TraceId | None = None
    challenge: CredentialChallenge | None = None
    """To the attestation key of the claim; its secret goes into the evidence of the key."""


class TpmEvidence(Message):
    """What the agent sends to show that a key lives in a TPM (TCG TPM 2.0 Part 2, big-endian structures)."""

    format: Literal["tpm2"] = "tpm2"
    public_area: Base64
    """TPM2B_PUBLIC of the key (section 12.2.5)."""
    creation_data: Base64 = ""
    """TPM2B_CREATION_DATA (section 15.2), empty if not kept."""
    creation_hash: Base64 = ""
    """TPM2B_DIGEST over the creation data."""
    certification: KeyCertification | None = None
    """What the machine's attestation key says of the key; None if it was not asked to, or cannot."""
    activation: Activation | None = None
    """The answer to the challenge that came with the claim's token; None for a registered device."""


class SoftwareEvidence(Message):
    """The honest absence of evidence: the key is a file, as an administrator's policy allowed."""

    format: Literal["software"] = "software"


Evidence = Annotated[TpmEvidence | SoftwareEvidence, Field(discriminator="format")]


class RegistrationRequest(Message):
    """Registers a machine as a device. `proof` is a signature by the device key over `registration_proof_input`."""

    registration_token: Annotated[str, Field(min_length=8, max_length=128)]
    machine: MachineInfo
    public_key_pem: Annotated[str, Field(max_length=4096)]
    proof: Base64
    evidence: Evidence
    attestation: AttestationKey | None = None
    """None if the machine has no TPM that attests."""


class RegistrationReply(Message):
    """The device's id. Registering the same device key again answers the same id."""

    device_id: str
    organization: str
    challenge: CredentialChallenge | None = None
    """To be answered at `Routes.ATTESTATION`, if the request came with an attestation key."""


def registration_proof_input(origin: str, registration_token: str) -> bytes:
    """What the device key signs (SHA-256, ECDSA in DER or RSASSA-PKCS1-v1_5) to register with `origin`."""
    return f"keystead-register\n{origin}\n{registration_token}".encode()


def probe_input(probe: bytes) -> bytes:
    """What the certificate's key signs to prove that it and the certificate work together. The server chooses `probe`;
    what comes before it says what is signed, so that the signature is of no use as another one."""
    return b"keystead-probe\n" + probe


class TokenRequest(Message):
    """A registered device's signed assertion (RFC 7523 section 3): iss and sub are the device id, aud the server's
    origin, exp at most 60 s after iat, jti single use; ES256, ES384 or RS256 by the device key."""

    assertion: Annotated[str, Field(max_length=4096)]


class MakeKeyAndCsr(Message):
    """Make a key of `key_algorithm` and answer with a `CsrReady`. `subject` is RFC 4514 text for the CSR.
    The certificate's names come from the order, whatever the CSR says; other names are refused."""

    kind: Literal["make_key_and_csr"] = "make_key_and_csr"
    key_algorithm: KeyAlgorithm
    subject: str
    certificate_type: CertificateType
    allow_software_key: bool = False
    attestation_nonce: Annotated[Base64, Field(max_length=64)] = ""
    """32 octets for `attestation.qualifying_data`, with the job's order id; empty: the server does not ask."""
    supersedes: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """SHA-256 of the certificate (DER) whose place the new one takes: once the order is installed, the agent removes
    it with its key if both are its own. Empty: it takes nobody's."""
    scope: CertificateScope | None = None
    """Whose the certificate will be. None: a client certificate the person's, a device certificate the computer's,
    an SSL certificate of whoever does the job."""


class Install(Message):
    """Store the certificate (PEM) and its chain (PEM, issuing CA first, root last and marked by itself), then prove
    that certificate and key work together: answer with `Installed`."""

    kind: Literal["install"] = "install"
    certificate_pem: str
    chain_pem: list[str]
    root_pem: str
    certificate_type: CertificateType
    probe: Base64
    """Bytes to sign with the stored key; the server verifies the signature with the certificate."""
    scope: CertificateScope | None = None
    """As in `MakeKeyAndCsr`."""


class Remove(Message):
    """Remove the pending or installed key and certificate of `order_id`; answer with `Removed`."""

    kind: Literal["remove"] = "remove"
    reason: str
    scope: CertificateScope | None = None
    """As in `MakeKeyAndCsr`."""


JobPayload = Annotated[MakeKeyAndCsr | Install | Remove, Field(discriminator="kind")]


class DeviceJob(Message):
    """One thing for one agent to do. `sequence` rises per server and is the SSE event id."""

    job_id: str
    sequence: int
    order_id: str
    trace_id: TraceId
    created_at: AwareDatetime
    organization: str = ""
    profile: str = ""
    payload: JobPayload


class CsrReady(Message):
    """The key was made. `csr_pem` is a PKCS#10 request (RFC 2986) signed by it."""

    outcome: Literal["csr_ready"] = "csr_ready"
    csr_pem: Annotated[str, Field(max_length=16384)]
    evidence: Evidence
    duration_ms: float = 0.0


class Installed(Message):
    """Certificate and key are stored; `probe_signature` (DER ECDSA or PKCS#1 v1.5, SHA-256) signs `probe_input` of the
    job's probe."""

    outcome: Literal["installed"] = "installed"
    location: Annotated[PlainText, Field(max_length=1024)]
    provider: Annotated[PlainText, Field(max_length=128)]
    probe_signature: Base64
    root_trusted: bool = False
    duration_ms: float = 0.0


class Removed(Message):
    """Nothing of the order is left on the machine."""

    outcome: Literal["removed"] = "removed"


class Failed(Message):
    """The job cannot be done here. `code` is one of `FailureCode`; `detail` is for a person."""

    outcome: Literal["failed"] = "failed"
    code: str
    detail: Annotated[PlainText, Field(max_length=2000)]
    advice: Annotated[PlainText, Field(max_length=2000)] = ""


ReportBody = Annotated[CsrReady | Installed | Removed | Failed, Field(discriminator="outcome")]


class Report(Message):
    """An agent's answer to one job."""

    job_id: str
    body: ReportBody


class ReportReceipt(Message):
    """The report is stored; `order_state` is where the order stands now."""

    order_state: str


REPORT_ADAPTER: TypeAdapter[Report] = TypeAdapter(Report)
