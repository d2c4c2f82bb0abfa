"""`/api/v1/forms/{id}/trial`."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from keystead_contracts.base import KeyAlgorithm
from keystead_contracts.identity import SignInMethod
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.enrollment import Authorization, CsrGenerationMethod
from keystead_enroll.domain.enrollment_inputs import TrialInput
from keystead_enroll.usecases.admin.try_form import Trial, TriedAccount, TriedProfile, try_form
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools


class TriedProfileOut(BaseModel):
    """A certificate profile that would be offered. `subject` and `alternative_names` are null if the request would be
    refused; `mistakes` says why, field by field, or what the linter has against a sample; `linted`: whether there was
    one."""

    profile_id: str
    name: str
    key_algorithms: list[KeyAlgorithm]
    term_days: list[int]
    subject: str | None
    alternative_names: list[str] | None
    mistakes: dict[str, str]
    linted: bool


class TriedAccountOut(BaseModel):
    """An account of the form. `closed`: why it is not open to that person, empty if it is. `full`: they have as many
    requests under way as one may."""

    account_id: str
    name: str
    place: str
    closed: str
    full: bool
    authorization: Authorization
    csr_method: CsrGenerationMethod
    automatic_approval: bool
    profiles: list[TriedProfileOut]


class TrialOut(BaseModel):
    """What somebody would meet at a form. `refused`: what it tells one to whom nothing is open. `unseen_accounts` are
    those that the asker does not see; they are left out."""

    active: bool
    methods: list[SignInMethod]
    identity_providers: list[str]
    refused: str | None
    accounts: list[TriedAccountOut]
    unseen_accounts: int
    licence_version: str | None


def router(tools: ApiTools) -> APIRouter:
    """The route."""
    api = APIRouter()
    enroll = tools.enroll
    Asker = Annotated[Actor, Depends(tools.actor)]

    @api.post(
        "/forms/{id}/trial",
        operation_id="try_enrollment_form",
        summary="Try one enrollment form: what somebody would meet there; nothing is written",
        tags=["forms"],
        responses=PROBLEMS,
    )
    def try_it(actor: Asker, id: str, body: TrialInput) -> TrialOut:
        return shown(try_form(tools.transactions, tools.clock, enroll.trial_rules(), actor, id, body))

    return api


def shown(trial: Trial) -> TrialOut:
    """As the API answers it."""
    return TrialOut(
        active=trial.form.active,
        methods=trial.form.methods,
        identity_providers=list(trial.providers),
        refused=trial.refusal.detail if trial.refusal else None,
        accounts=[_account(tried) for tried in trial.accounts],
        unseen_accounts=trial.unseen,
        licence_version=trial.licence,
    )


def _account(tried: TriedAccount) -> TriedAccountOut:
    return TriedAccountOut(
        account_id=tried.account.id,
        name=tried.account.name,
        place=tried.place,
        closed=tried.closed,
        full=tried.full,
        authorization=tried.account.authorization,
        csr_method=tried.account.csr_method,
        automatic_approval=tried.account.automatic_approval,
        profiles=[_profile(each) for each in tried.profiles],
    )


def _profile(tried: TriedProfile) -> TriedProfileOut:
    return TriedProfileOut(
        profile_id=tried.profile.id,
        name=tried.profile.name,
        key_algorithms=tried.profile.key_algorithms,
        term_days=tried.profile.term_days,
        subject=tried.names.rfc4514() if tried.names else None,
        alternative_names=list(tried.alternative_names) if tried.names else None,
        mistakes=tried.mistakes,
        linted=tried.linted,
    )
