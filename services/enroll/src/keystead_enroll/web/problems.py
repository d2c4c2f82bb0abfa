"""How the web edge answers a domain refusal."""

from __future__ import annotations

from keystead_contracts.problems import ProblemCode
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.refusals import (
    CertificateUnknown,
    NoAccount,
    OrderClosed,
    OrderUnknown,
    SessionExpired,
    TooManyAttempts,
    TooManyOpenOrders,
)
from keystead_kit.problems import ProblemException

_STATUS = {
    ProblemCode.NOT_FOUND: 404,
    ProblemCode.UNAUTHENTICATED: 401,
    ProblemCode.SESSION_EXPIRED: 401,
    ProblemCode.ASSERTION_INVALID: 401,
    ProblemCode.FORBIDDEN: 403,
    ProblemCode.CLAIM_INVALID: 403,
    ProblemCode.REGISTRATION_REFUSED: 403,
    ProblemCode.ACCESS_CODE_WRONG: 403,
    ProblemCode.JOB_NOT_YOURS: 404,
    ProblemCode.CONFLICT: 409,
    ProblemCode.ORDER_REFUSED: 409,
    ProblemCode.JOB_ALREADY_REPORTED: 409,
    ProblemCode.RATE_LIMITED: 429,
    ProblemCode.INTERNAL: 500,
}


def as_problem(refusal: Refusal) -> ProblemException:
    """A domain refusal as a problem document's content."""
    code = ProblemCode(refusal.code)
    problem = ProblemException(_STATUS.get(code, 422), code, refusal.detail, refusal.advice)
    if isinstance(refusal, TooManyAttempts):
        problem.headers["retry-after"] = str(refusal.retry_after)
    problem.fields = dict(refusal.fields)
    return problem


def next_step(refusal: Refusal, uri_extension: str | None) -> dict[str, str] | None:
    """The button of a portal page that cannot be had, where trying it again leads nowhere; None elsewhere."""
    if uri_extension is None:
        return None
    if isinstance(refusal, SessionExpired):
        return {"label": Words("Sign in again"), "url": f"/e/{uri_extension}"}
    if isinstance(refusal, TooManyOpenOrders):
        return {"label": Words("Your requests"), "url": f"/e/{uri_extension}/certificates"}
    if isinstance(refusal, NoAccount | OrderUnknown | CertificateUnknown | OrderClosed):
        return {"label": Words("Go to the form"), "url": f"/e/{uri_extension}"}
    return None


def unauthenticated(detail: str, advice: str) -> ProblemException:
    """The refusal of a bearer token (RFC 6750 section 3)."""
    return ProblemException(401, ProblemCode.UNAUTHENTICATED, detail, advice, headers={"www-authenticate": "Bearer"})
