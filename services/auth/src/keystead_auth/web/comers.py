"""People whom an identity provider has vouched for, as they come in: the last step of every protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request, Response

from keystead_auth.bootstrap import Parts
from keystead_auth.domain.idp_errors import AnswerRefused, ProviderUnknown
from keystead_auth.domain.providers import Arrival
from keystead_auth.metrics import IDENTITY_TOKENS, IDP_SIGN_INS
from keystead_auth.usecases.finish_idp_sign_in import finish_idp_sign_in
from keystead_auth.web.answers import Answers
from keystead_contracts.refusals import Refusal
from keystead_kit.logs import get_logger
from keystead_kit.trace import tracing

EnterConsole = Callable[[Request, Arrival], Response]
MOST_WHY = 200
"""Characters of an explanation in the log: part of it is what the other side wrote."""
_log = get_logger()


def no_console(_request: Request, _arrival: Arrival) -> Response:
    """Administrators do not come this way. Raises ProviderUnknown."""
    raise ProviderUnknown


class Comers:
    """Signs them in. `enter_console`: what becomes of an administrator."""

    def __init__(self, parts: Parts, answers: Answers, enter_console: EnterConsole = no_console) -> None:
        self._parts, self._answers, self._enter_console = parts, answers, enter_console

    def finish(self, request: Request, token: str, kind: str) -> Response:
        """Signs this browser in, with the token of its arrival. Raises as `finish_idp_sign_in`."""
        parts = self._parts
        visit, _ = parts.guard.visit(request)
        who = finish_idp_sign_in(
            parts.transactions, parts.signer, parts.randomness, parts.clock, token=token, visit=visit,
            session_lifetime=parts.settings.session_lifetime,
        )  # fmt: skip
        IDP_SIGN_INS.labels(kind=kind, outcome="signed_in").inc()
        if isinstance(who, Arrival):
            return self._enter_console(request, who)
        IDENTITY_TOKENS.labels(how="idp").inc()
        with tracing(who.trace_id):  # the trace that began when the browser went to the provider
            _log.info("signed in", form=who.form.uri, method="idp")
        return self._answers.signed_in(who)


@contextmanager
def counted(kind: str) -> Iterator[None]:
    """Counts and logs a refusal that the block raises."""
    try:
        yield
    except AnswerRefused as refusal:
        IDP_SIGN_INS.labels(kind=kind, outcome=refusal.reason).inc()
        _log.warning(
            "identity provider's answer refused", reason=refusal.reason, why=refusal.why[:MOST_WHY], form=refusal.form
        )
        raise
    except Refusal as refusal:
        IDP_SIGN_INS.labels(kind=kind, outcome=refusal.code).inc()
        raise


def warn_of_cut(cut: bool, provider: str) -> None:
    """Warns the operator where a provider sends more than fits."""
    if cut:
        _log.warning("an identity provider sent more attributes than fit", provider=provider)
