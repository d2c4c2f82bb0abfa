"""How the web edge answers a domain refusal."""

from __future__ import annotations

from keystead_contracts.problems import ProblemCode
from keystead_enroll.domain.errors import Refusal
from keystead_enroll.domain.refusals import RequestRefused, TooManyAttempts
from keystead_kit.http import ProblemException

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
    detail = f"{refusal.detail[:1].upper()}{refusal.detail[1:]}"
    problem = ProblemException(_STATUS.get(code, 422), code, detail, refusal.advice)
    if isinstance(refusal, TooManyAttempts):
        problem.headers["retry-after"] = str(refusal.retry_after)
    if isinstance(refusal, RequestRefused):
        problem.fields = refusal.fields
    return problem
