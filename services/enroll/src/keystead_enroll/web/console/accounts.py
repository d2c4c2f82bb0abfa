"""Web form accounts in the console. They are parts of a form, and stand on its Accounts page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request

from keystead_contracts.identity import ATTRIBUTES, SignInMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused, ThingUnknown
from keystead_enroll.domain.enrollment import Authorization, EnrollmentForm, WebFormAccount
from keystead_enroll.domain.enrollment_inputs import AccountInput
from keystead_enroll.domain.idp_mapping import MatchType
from keystead_enroll.domain.lists import ACCOUNTS, DEPARTMENTS, FORMS, ORGANIZATIONS, PROFILES
from keystead_enroll.domain.refusals import AccessCodeInUse, AccessCodesTriedTooOften
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin import accounts as verbs
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.web.console.cells import code, moment, several, text
from keystead_enroll.web.console.choices import AUTHORIZATIONS, CSR_METHODS, every, kept, options, state_of
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import Action, Column, Crumb, DetailPage, Fact, Row, Section
from keystead_kit.drafts import Draft

NAV = "forms"
BASE, FORM_BASE = f"{HOME}/accounts", f"{HOME}/forms"
MORE_RULES = 3
_CHECKS = ("profile_ids", "active")
_MATCHES: Mapping[MatchType, str] = {
    MatchType.MATCHES: Words("is one of"),
    MatchType.CONTAINS: Words("contains one of"),
}
_CSR_HINT = Words(
    "With the Keystead Agent the computer makes the key and keeps it. With a provided CSR people make the key "
    "themselves and send its request."
)
_CODE_HINT = Words("What lets people through besides signing in: nothing more, or a code that you tell them.")
_MAPPING_HINT = Words(
    "What lets people through besides signing in: nothing more, a code that you tell them, or what their identity "
    "provider says of them."
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    codes = tools.enroll.access_codes

    def create(transactions: Transactions, clock: Clock, actor: Actor, wanted: AccountInput) -> str:
        try:
            return verbs.create_account(transactions, clock, codes, actor, wanted)
        except (InputRefused, AccessCodeInUse, AccessCodesTriedTooOften) as refusal:
            raise _on_the_page(refusal) from refusal

    def change(transactions: Transactions, clock: Clock, actor: Actor, account_id: str, wanted: AccountInput) -> None:
        try:
            verbs.change_account(transactions, clock, codes, actor, account_id, wanted)
        except (InputRefused, AccessCodeInUse, AccessCodesTriedTooOften) as refusal:
            raise _on_the_page(refusal) from refusal

    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=Words("account"),
            definition=ACCOUNTS,
            given=AccountInput,
            values=_values,
            detail=_detail,
            new=_new,
            change=_change,
            delete=_delete,
            create_verb=create,
            change_verb=change,
            delete_verb=verbs.delete_account,
            home=lambda account: f"{FORM_BASE}/{account.form_id}/accounts",
        ),
    )
    return pages


def _on_the_page(refusal: InputRefused | AccessCodeInUse | AccessCodesTriedTooOften) -> InputRefused:
    """The refusal with its mistakes beside the questions of the page."""
    asked = {"organization_id": "place", "department_id": "place", "idp_rules": "rule_key_0", "form_id": "form"}
    return InputRefused({asked.get(name, name): sentence for name, sentence in refusal.fields.items()})


def account_columns() -> tuple[Column, ...]:
    """The columns of a form's accounts."""
    return (
        Column("name", Words("Name")),
        Column("place", Words("Organization")),
        Column("profiles", Words("Certificate profiles")),
        Column("authorization", Words("Authorization"), narrow=True),
        Column("approval", Words("Approval"), narrow=True),
        Column("state", Words("State"), narrow=True),
    )


def account_row(tx: Transaction, account: WebFormAccount) -> Row:
    """An account among those of its form."""
    return Row(
        f"{BASE}/{account.id}",
        (
            text(account.name),
            text(tx.organization(account.organization_id).name, _department(tx, account)),
            several(_profiles(tx, account)),
            text(AUTHORIZATIONS[account.authorization]),
            text(_approval(account)),
            state_of(account.active),
        ),
    )


def _department(tx: Transaction, account: WebFormAccount) -> str:
    return tx.department(account.department_id).name if account.department_id else ""


def _profiles(tx: Transaction, account: WebFormAccount) -> list[str]:
    found = (tx.profile(profile_id) for profile_id in account.profile_ids)
    return [profile.name for profile in found if profile is not None]


def _approval(account: WebFormAccount) -> str:
    return Words("Automatic") if account.automatic_approval else Words("By an administrator")


def _crumbs(form: EnrollmentForm, *more: Crumb) -> tuple[Crumb, ...]:
    return (
        Crumb(Words("Enrollment forms"), FORM_BASE),
        Crumb(form.name, f"{FORM_BASE}/{form.id}"),
        Crumb(Words("Accounts"), f"{FORM_BASE}/{form.id}/accounts"),
        *more,
    )


def _detail(tx: Transaction, actor: Actor, account: WebFormAccount, _request: Request) -> DetailPage:
    form, own = tx.form(account.form_id), f"{BASE}/{account.id}"
    set_or_not = Words("Set; it cannot be read back") if account.has_access_code else ""
    return DetailPage(
        title=account.name,
        tag=state_of(account.active),
        crumbs=_crumbs(form),
        actions=(Action(Words("Change"), f"{own}/change"),),
        sections=(
            Section(
                Words("Account"),
                facts=(
                    Fact(Words("Organization"), text(tx.organization(account.organization_id).name)),
                    Fact(Words("Department"), text(_department(tx, account))),
                    Fact(Words("Certificate profiles"), several(_profiles(tx, account))),
                    Fact(Words("CSR generation method"), text(CSR_METHODS[account.csr_method])),
                    Fact(Words("Approval"), text(_approval(account))),
                    Fact(Words("Created"), moment(account.created_at)),
                ),
            ),
            Section(
                Words("Authorization"),
                facts=(
                    Fact(Words("Asks for"), text(AUTHORIZATIONS[account.authorization])),
                    Fact(Words("Access code"), text(set_or_not)),
                    Fact(Words("Rules"), several([code(_rule_words(rule)) for rule in account.idp_rules])),
                ),
            ),
        ),
        timeline=timeline_of(tx, actor, account.id),
    )


def _rule_words(rule: Mapping[str, object]) -> str:
    values = rule["values"]
    return f"{rule['key']} {rule['match_type']} {', '.join(values) if isinstance(values, list) else values}"


def _fieldsets(
    tx: Transaction, actor: Actor, form: EnrollmentForm, account: WebFormAccount | None, rules: int
) -> tuple[Fieldset, ...]:
    mapping = SignInMethod.IDP in form.methods
    authorizations = {kind: words for kind, words in AUTHORIZATIONS.items() if mapping or "idp" not in kind.value}
    if account is None or not account.has_access_code:
        code_hint = Words(
            "Give one if the account asks for an access code: letters and digits only. Tell it to people by another "
            "channel; nobody can read it back."
        )
    else:
        code_hint = Words("Leave it empty to keep the code that is set.")
    return (
        Fieldset(
            (
                FormField("form_id", "", "hidden"),
                FormField(
                    "name",
                    Words("Name"),
                    hint=Words("People read it where they choose among accounts."),
                    more={"minlength": 3, "maxlength": 128, "autocomplete": "off"},
                ),
                FormField("place", Words("Organization or department"), "select", options=_places(tx, actor, form)),
                FormField(
                    "profile_ids", Words("Certificate profiles"), "checks", options=_offered(tx, actor, form, account)
                ),
                FormField(
                    "csr_method",
                    Words("CSR generation method"),
                    "radios",
                    hint=_CSR_HINT,
                    options=options(CSR_METHODS),
                ),
                FormField(
                    "approval",
                    Words("Approval"),
                    "radios",
                    options=(
                        Option("automatic", Words("Automatic")),
                        Option("administrator", Words("By an administrator")),
                    ),
                ),
                FormField("active", Words("State"), "checks", options=(Option("yes", Words("Offered to people")),)),
            )
        ),
        Fieldset(
            (
                FormField(
                    "authorization",
                    Words("Asks for"),
                    "radios",
                    hint=_MAPPING_HINT if mapping else _CODE_HINT,
                    options=options(authorizations),
                ),
                FormField(
                    "access_code",
                    Words("Access code"),
                    required=False,
                    marked=False,
                    code=True,
                    hint=code_hint,
                    more={"maxlength": 255, "autocomplete": "off", "spellcheck": "false"},
                ),
            ),
            Words("Authorization"),
        ),
        *(_rule_fieldset(number) for number in range(rules) if mapping),
    )


def _rule_fieldset(number: int) -> Fieldset:
    return Fieldset(
        (
            FormField(
                f"rule_key_{number}",
                Words("What the identity provider sends"),
                "select",
                required=False,
                options=tuple(Option(name, name) for name in ATTRIBUTES),
            ),
            FormField(f"rule_match_{number}", Words("Compared"), "select", options=options(_MATCHES)),
            FormField(f"rule_values_{number}", Words("Values"), "textarea", required=False, rows=2, code=True),
        ),
        Words("Rule {number}", number=number + 1),
        Words("All rules must hold; of the values, one a line, any suffices. Rules without an attribute are left out.")
        if number == 0
        else "",
    )


def _usual_matches(rules: int) -> dict[str, str | Sequence[str]]:
    """A comparison for each rule: a browser would not send a form in which an empty rule has none."""
    return {f"rule_match_{number}": MatchType.MATCHES.value for number in range(rules)}


def _places(tx: Transaction, actor: Actor, form: EnrollmentForm) -> tuple[Option, ...]:
    """The organizations and departments of which the actor may have an account in this form."""
    names = {
        organization.id: organization.name
        for organization in every(tx, actor, ORGANIZATIONS)
        if not form.organization_ids or organization.id in form.organization_ids
    }
    has = actor.scope.has
    offered = [Option(one, name) for one, name in names.items() if has(one, None, form.certificate_type)]
    offered += [
        Option(f"{d.organization_id}/{d.id}", f"{names[d.organization_id]}, {d.name}")
        for d in every(tx, actor, DEPARTMENTS)
        if d.organization_id in names and has(d.organization_id, d.id, form.certificate_type)
    ]
    return tuple(sorted(offered, key=lambda option: option.label.casefold()))


def _offered(tx: Transaction, actor: Actor, form: EnrollmentForm, account: WebFormAccount | None) -> tuple[Option, ...]:
    before = account.profile_ids if account else []
    fitting = [p for p in every(tx, actor, PROFILES) if p.certificate_type is form.certificate_type]
    return tuple(Option(p.id, p.name, p.description) for p in fitting if p.active or p.id in before)


def _new(tx: Transaction, actor: Actor, draft: Draft, request: Request) -> FormPage:
    form_id = draft.values.get("form_id") or request.query_params.get("form", "")
    form = reach(tx, FORMS, actor, form_id, Words("enrollment form"))
    usual: dict[str, str | Sequence[str]] = {
        **_usual_matches(MORE_RULES),
        "csr_method": "keystead_agent", "approval": "automatic", "active": ["yes"], "authorization": "none",
    }  # fmt: skip
    return FormPage(
        title=Words("New account"),
        subtitle=form.name,
        action=f"{BASE}/new",
        fieldsets=_fieldsets(tx, actor, form, None, MORE_RULES),
        submit=Words("Create the account"),
        cancel_url=f"{FORM_BASE}/{form.id}/accounts",
        values={**kept(draft, usual, _CHECKS), "form_id": form.id},
        errors=draft.errors,
        crumbs=_crumbs(form),
    )


def _change(tx: Transaction, actor: Actor, account: WebFormAccount, draft: Draft) -> FormPage:
    form, own = tx.form(account.form_id), f"{BASE}/{account.id}"
    return FormPage(
        title=Words("Change the account"),
        subtitle=f"{account.name}, {form.name}",
        action=f"{own}/change",
        fieldsets=_fieldsets(tx, actor, form, account, len(account.idp_rules) + MORE_RULES),
        submit=Words("Save"),
        cancel_url=own,
        values=kept(draft, _usual_matches(len(account.idp_rules) + MORE_RULES) | _stored(account), _CHECKS),
        errors=draft.errors,
        crumbs=_crumbs(form, Crumb(account.name, own)),
        danger=Action(Words("Delete this account"), f"{own}/delete", "danger"),
    )


def _delete(tx: Transaction, _actor: Actor, account: WebFormAccount) -> ConfirmPage:
    form, own = tx.form(account.form_id), f"{BASE}/{account.id}"
    return ConfirmPage(
        title=Words("Delete this account"),
        verb=Words("Delete this account"),
        action=f"{own}/delete",
        cancel_url=own,
        question=Words("Delete “{name}”?", name=account.name),
        consequences=(Words("It can only be deleted while nothing refers to it."), Words("This cannot be undone.")),
        crumbs=_crumbs(form, Crumb(account.name, own)),
    )


def _values(posted: Posted, account: WebFormAccount | None) -> Mapping[str, object]:
    if account is None and not posted.text("form_id"):
        raise ThingUnknown(Words("enrollment form"))
    organization, _, department = posted.text("place").partition("/")
    if not organization:
        raise InputRefused({"place": Words("Choose one of these.")})
    kind = posted.text("authorization")
    return {
        "form_id": account.form_id if account else posted.text("form_id"),
        "name": posted.text("name"),
        "organization_id": organization,
        "department_id": department or None,
        "profile_ids": posted.many("profile_ids"),
        "csr_method": posted.text("csr_method"),
        "automatic_approval": posted.text("approval") == "automatic",
        "active": posted.flag("active"),
        "authorization": kind,
        "access_code": posted.optional("access_code") if kind == Authorization.ACCESS_CODE else None,
        "idp_rules": _rules(posted) if kind == Authorization.IDP_MAPPING else [],
    }


def _rules(posted: Posted) -> list[dict[str, object]]:
    """The rules as they were typed. Raises InputRefused for one that is not whole."""
    numbers = [int(n) for name in posted.values if (n := name.removeprefix("rule_key_")) != name and n.isdecimal()]
    rules: list[dict[str, object]] = []
    for number in sorted(numbers):
        key, values = posted.text(f"rule_key_{number}"), posted.lines(f"rule_values_{number}")
        if key and not values:
            raise InputRefused({f"rule_values_{number}": Words("Give at least one value.")})
        if values and not key:
            raise InputRefused({f"rule_key_{number}": Words("Choose what is to be compared.")})
        if key:
            rules.append({"key": key, "match_type": posted.text(f"rule_match_{number}"), "values": values})
    if not rules:
        raise InputRefused({"rule_key_0": Words("Give at least one rule.")})
    return rules


def _stored(account: WebFormAccount) -> dict[str, str | Sequence[str]]:
    place = f"{account.organization_id}/{account.department_id}" if account.department_id else account.organization_id
    values: dict[str, str | Sequence[str]] = {
        "form_id": account.form_id,
        "name": account.name,
        "place": place,
        "profile_ids": account.profile_ids,
        "csr_method": account.csr_method.value,
        "approval": "automatic" if account.automatic_approval else "administrator",
        "active": ["yes"] if account.active else [],
        "authorization": account.authorization.value,
    }
    for number, rule in enumerate(account.idp_rules):
        said = rule["values"]
        values[f"rule_key_{number}"] = str(rule["key"])
        values[f"rule_match_{number}"] = str(rule["match_type"])
        values[f"rule_values_{number}"] = "\n".join(said) if isinstance(said, list) else ""
    return values
