"""`/api/v1/forms` and `/api/v1/accounts`."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict

from keystead_contracts.base import CertificateType
from keystead_contracts.identity import SignInMethod
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.enrollment import Authorization, CsrGenerationMethod, EnrollmentForm
from keystead_enroll.domain.enrollment_inputs import AccountInput, FormInput, IdpRuleInput
from keystead_enroll.domain.lists import ACCOUNTS, FORMS
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import accounts, forms
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools


class FormAddress(BaseModel):
    """Where a form is. `url` is what people are given."""

    uri_extension: str
    url: str


class FormOut(FormAddress):
    """An enrollment form. `organization_ids`: those it is delegated to that the asker sees; empty if it is delegated to
    all."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    certificate_type: CertificateType
    methods: list[SignInMethod]
    help_text: str
    help_link: str | None
    organization_ids: list[str]
    active: bool
    created_at: AwareDatetime | None


class AccountOut(BaseModel):
    """A web form account. Its access code cannot be read back."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    form_id: str
    name: str
    organization_id: str
    department_id: str | None
    profile_ids: list[str]
    csr_method: CsrGenerationMethod
    authorization: Authorization
    has_access_code: bool
    idp_rules: list[IdpRuleInput]
    automatic_approval: bool
    active: bool
    created_at: AwareDatetime | None


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    origin, transactions, clock = tools.enroll.settings.public_origin, tools.transactions, tools.clock
    Asker = Annotated[Actor, Depends(tools.actor)]

    def show(_tx: Transaction, actor: Actor, form: EnrollmentForm) -> FormOut:
        plain = {name: getattr(form, name) for name in FormOut.model_fields if name != "url"}
        plain["organization_ids"] = actor.scope.seen(form.organization_ids)
        return FormOut(**plain, url=f"{origin}/e/{form.uri_extension}")

    add_routes(
        api,
        tools,
        Resource(
            path="/forms",
            kind="enrollment form",
            definition=FORMS,
            shown=FormOut,
            given=FormInput,
            show=show,
            create=forms.create_form,
            change=forms.change_form,
            delete=forms.delete_form,
        ),
    )

    @api.post(
        "/forms/{id}/uri-extension",
        operation_id="generate_uri_extension",
        summary="Give one enrollment form a new address; the old one leads nowhere any more",
        tags=["forms"],
        responses=PROBLEMS,
    )
    def generate(actor: Asker, id: str) -> FormAddress:
        made = forms.generate_uri_extension(transactions, clock, actor, id)
        return FormAddress(uri_extension=made, url=f"{origin}/e/{made}")

    add_routes(
        api,
        tools,
        Resource(
            path="/accounts",
            kind="account",
            definition=ACCOUNTS,
            shown=AccountOut,
            given=AccountInput,
            show=lambda _tx, _actor, account: AccountOut.model_validate(account),
            create=lambda tx, clock, *rest: accounts.create_account(tx, clock, tools.enroll.access_codes, *rest),
            change=lambda tx, clock, *rest: accounts.change_account(tx, clock, tools.enroll.access_codes, *rest),
            delete=accounts.delete_account,
        ),
    )
    return api
