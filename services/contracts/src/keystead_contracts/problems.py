"""Problem documents (RFC 9457): how every refusal over HTTP is written."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from keystead_contracts.base import Message

PROBLEM_MEDIA_TYPE = "application/problem+json"


class ProblemCode(StrEnum):
    """The machine-readable end of a problem's `type` URI (`urn:keystead:problem:<code>`)."""

    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    FORBIDDEN = "forbidden"
    UNAUTHENTICATED = "unauthenticated"
    RATE_LIMITED = "rate-limited"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    WRONG_ORIGIN = "wrong-origin"
    FORM_TOKEN_INVALID = "form-token-invalid"  # noqa: S105 a code
    SESSION_EXPIRED = "session-expired"
    LINK_INVALID = "link-invalid"
    ACCESS_CODE_WRONG = "access-code-wrong"
    CLAIM_INVALID = "claim-invalid"
    REGISTRATION_REFUSED = "registration-refused"
    ASSERTION_INVALID = "assertion-invalid"
    JOB_NOT_YOURS = "job-not-yours"
    JOB_ALREADY_REPORTED = "job-already-reported"
    REPORT_REFUSED = "report-refused"
    CSR_REFUSED = "csr-refused"
    EVIDENCE_REFUSED = "evidence-refused"
    ORDER_REFUSED = "order-refused"
    CONFLICT = "conflict"


class Problem(Message):
    """A problem document. `detail` says what happened, `advice` what to do; `reference` is the trace id in the log."""

    type: str
    title: str
    status: int
    detail: str = ""
    advice: str = ""
    reference: str = ""
    fields: dict[str, str] = Field(default_factory=dict)
    """Field name → what is wrong with it, where a form or body was refused field by field."""

    @property
    def code(self) -> str:
        """The last part of `type`."""
        return self.type.rsplit(":", 1)[-1]
