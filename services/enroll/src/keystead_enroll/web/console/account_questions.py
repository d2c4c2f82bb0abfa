"""What is asked about a web form account in the console: a new one, a change, and once before it is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import Request

from keystead_contracts.identity import ATTRIBUTES, SignInMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import ThingUnknown
from keystead_enroll.domain.enrollment import Authorization, EnrollmentForm, WebFormAccount
from keystead_enroll.domain.idp_mapping import MatchType
from keystead_enroll.domain.lists import DEPARTMENTS, FORMS, ORGANIZATIONS, PROFILES
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.web.console.choices import AUTHORIZATIONS, CSR_METHODS, MATCHES, every, kept, options
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.mistakes import Wrong
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.places import PLACE, place_ids, place_value
from keystead_enroll.web.console.resources import Standing, asked_once, change_page, new_page
from keystead_enroll.web.console.tools import Posted
from keystead_enroll.web.console.widgets import Crumb
from keystead_kit.drafts import Draft

BASE, FORM_BASE = f"{HOME}/accounts", f"{HOME}/forms"
MORE_RULES = 3
SOUND: Mapping[str, object] = {
    "name": "any", "organization_id": "", "department_id": None, "profile_ids": [""], "csr_method": "keystead_agent",
    "authorization": "none", "access_code": None, "idp_rules": [],
}  # fmt: skip
BESIDE: Mapping[str, str] = {"organization_id": PLACE, "department_id": PLACE, "idp_rules": "rule_key_0"}
_CHECKS = ("profile_ids", "active")
_CSR_HINT = Words(
    "With the Keystead Agent the computer makes the key and keeps it. With a provided CSR people make the key "
    "themselves and send its request."
)
_CODE_HINT = Words("What lets people through besides signing in: nothing more, or a code that you tell them.")
_MAPPING_HINT = Words(
    "What lets people through besides signing in: nothing more, a code that you tell them, or what their identity "
    "provider says of them."
)


def crumbs_of(form: EnrollmentForm) -> tuple[Crumb, ...]:
    """What stands above an account of the form."""
    return (
        Crumb(Words("Enrollment forms"), FORM_BASE),
        Crumb(form.name, f"{FORM_BASE}/{form.id}"),
        Crumb(Words("Accounts"), f"{FORM_BASE}/{form.id}/accounts"),
    )


def new_account(tx: Transaction, actor: Actor, draft: Draft, request: Request) -> FormPage:
    """A new account of the form that the address or the draft names. Raises ThingUnknown."""
    form_id = draft.values.get("form_id") or request.query_params.get("form", "")
    form = reach(tx, FORMS, actor, form_id, Words("enrollment form"))
    usual: dict[str, str | Sequence[str]] = {
        **_usual_matches(MORE_RULES),
        "csr_method": "keystead_agent", "approval": "automatic", "active": ["yes"], "authorization": "none",
    }  # fmt: skip
    return new_page(
        Words("New account"),
        BASE,
        _fieldsets(tx, actor, form, None, MORE_RULES),
        Words("Create the account"),
        {**kept(draft, usual, _CHECKS), "form_id": form.id},
        draft,
        crumbs_of(form),
        subtitle=form.name,
        back=f"{FORM_BASE}/{form.id}/accounts",
    )


def change_account(tx: Transaction, actor: Actor, account: WebFormAccount, draft: Draft) -> FormPage:
    """An account that is there."""
    form, rules = tx.form(account.form_id), len(account.idp_rules) + MORE_RULES
    return change_page(
        _standing(form, account),
        Words("Change the account"),
        _fieldsets(tx, actor, form, account, rules),
        kept(draft, _usual_matches(rules) | _stored(account), _CHECKS),
        draft,
        delete=Words("Delete this account"),
        subtitle=f"{account.name}, {form.name}",
    )


def delete_account(tx: Transaction, _actor: Actor, account: WebFormAccount) -> ConfirmPage:
    """Before it is gone."""
    return asked_once(_standing(tx.form(account.form_id), account), Words("Delete this account"))


def _standing(form: EnrollmentForm, account: WebFormAccount) -> Standing:
    return Standing(f"{BASE}/{account.id}", account.name, crumbs_of(form))


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
                FormField(PLACE, Words("Organization or department"), "select", options=_places(tx, actor, form)),
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
            FormField(f"rule_match_{number}", Words("Compared"), "select", options=options(MATCHES)),
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


def account_values(posted: Posted, account: WebFormAccount | None) -> Mapping[str, object]:
    """The input's fields. Raises ThingUnknown for an account of no form."""
    if account is None and not posted.text("form_id"):
        raise ThingUnknown(Words("enrollment form"))
    place = posted.text(PLACE)
    kind = posted.text("authorization")
    return {
        "form_id": account.form_id if account else posted.text("form_id"),
        "name": posted.text("name"),
        **(place_ids(place) if place else {"organization_id": Wrong({PLACE: Words("Choose one of these.")})}),
        "profile_ids": posted.many("profile_ids"),
        "csr_method": posted.text("csr_method"),
        "automatic_approval": posted.text("approval") == "automatic",
        "active": posted.flag("active"),
        "authorization": kind,
        "access_code": posted.optional("access_code") if kind == Authorization.ACCESS_CODE else None,
        "idp_rules": _rules(posted) if kind == Authorization.IDP_MAPPING else [],
    }


def _rules(posted: Posted) -> list[dict[str, object]] | Wrong:
    """The rules as they were typed, or what each lacks that is not whole."""
    numbers = [int(n) for name in posted.values if (n := name.removeprefix("rule_key_")) != name and n.isdecimal()]
    rules: list[dict[str, object]] = []
    lacking: dict[str, str] = {}
    for number in sorted(numbers):
        key, values = posted.text(f"rule_key_{number}"), posted.lines(f"rule_values_{number}")
        if key and not values:
            lacking[f"rule_values_{number}"] = Words("Give at least one value.")
        elif values and not key:
            lacking[f"rule_key_{number}"] = Words("Choose what is to be compared.")
        elif key:
            rules.append({"key": key, "match_type": posted.text(f"rule_match_{number}"), "values": values})
    if not rules and not lacking:
        lacking["rule_key_0"] = Words("Give at least one rule.")
    return Wrong(lacking) if lacking else rules


def _stored(account: WebFormAccount) -> dict[str, str | Sequence[str]]:
    values: dict[str, str | Sequence[str]] = {
        "form_id": account.form_id,
        "name": account.name,
        PLACE: place_value(account.organization_id, account.department_id),
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
