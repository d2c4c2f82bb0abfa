"""Certificate profiles in the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.certificates import ALLOWED_EXTENDED_KEY_USAGES, DEFAULT_EXTENDED_KEY_USAGES
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.enrollment_inputs import ProfileInput
from keystead_enroll.domain.key_usages import ALLOWED_KEY_USAGES, DEFAULT_KEY_USAGES
from keystead_enroll.domain.lists import PROFILES
from keystead_enroll.domain.name_templates import VARIABLES
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import profiles as verbs
from keystead_enroll.usecases.admin.common import masters_only
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.cells import code, moment, several, text
from keystead_enroll.web.console.choices import (
    ASSURANCES,
    KEY_USAGES,
    KEYS,
    SCOPES,
    TYPES,
    USAGES,
    delegated_values,
    delegation_cell,
    delegation_fields,
    delegation_of,
    kept,
    options,
    state_of,
)
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.resources import Place, Standing, add_pages, asked_once, change_page, new_page
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    Crumb,
    DetailPage,
    Empty,
    Fact,
    ListPage,
    Row,
    Section,
)
from keystead_kit.drafts import Draft

NAV = "profiles"
BASE = f"{HOME}/profiles"
_TOP = Crumb(Words("Certificate profiles"), BASE)
_CHECKS = ("key_algorithms", "key_usages", "extended_key_usages", "organization_ids")
_SOUND: Mapping[str, object] = {
    "name": "-", "description": "", "subject": "CN=any", "subject_alternative_names": [], "key_usages": [],
    "extended_key_usages": [], "policy_oids": [], "key_algorithms": ["ec-p256"], "minimum_assurance": "claimed",
    "term_days": [365], "renewal_window_days": 30, "notice_days": [], "organization_ids": [], "idp_groups": [],
    "device_name_pattern": "", "scope": None,
}  # fmt: skip


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    linter = tools.enroll.linter
    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=Words("certificate profile"),
            definition=PROFILES,
            given=ProfileInput,
            values=_values,
            listing=_listing,
            detail=_detail,
            new=_new,
            change=_change,
            delete=_delete,
            create_verb=lambda transactions, clock, *rest: verbs.create_profile(transactions, clock, linter, *rest),
            change_verb=lambda transactions, clock, *rest: verbs.change_profile(transactions, clock, linter, *rest),
            delete_verb=verbs.delete_profile,
            sound=_SOUND,
        ),
    )
    return pages


def _listing(visitor: Visitor) -> Listing[CertificateProfile]:
    create = Action(Words("New certificate profile"), f"{BASE}/new", "primary")
    mine = create if visitor.actor.scope.everything else None
    return Listing(
        PROFILES,
        ListPage(
            title=Words("Certificate profiles"),
            intro=Words("What certificates will be: their names, keys and terms, and who may have them."),
            columns=(
                Column("name", Words("Name")),
                Column("type", Words("Type"), narrow=True),
                Column("keys", Words("Keys")),
                Column("terms", Words("Days"), narrow=True),
                Column("state", Words("State"), narrow=True),
            ),
            rows=(),
            create=mine,
            empty=Empty(
                Words("No certificate profiles yet"), Words("The accounts of a form choose from profiles."), mine
            ),
        ),
        lambda _tx, profile: _row(profile),
        BASE,
    )


def _row(profile: CertificateProfile) -> Row:
    return Row(
        f"{BASE}/{profile.id}",
        (
            text(profile.name, profile.description),
            text(TYPES[profile.certificate_type]),
            several([KEYS[key] for key in profile.key_algorithms]),
            text(", ".join(map(str, profile.term_days))),
            state_of(profile.active),
        ),
    )


def _detail(tx: Transaction, actor: Actor, profile: CertificateProfile, _request: Request) -> DetailPage:
    usages = profile.extended_key_usages or DEFAULT_EXTENDED_KEY_USAGES[profile.certificate_type]
    key_usages = profile.key_usages or DEFAULT_KEY_USAGES
    sections = (
        Section(
            Words("Certificate"),
            facts=(
                Fact(Words("Type"), text(TYPES[profile.certificate_type])),
                Fact(Words("CA connector"), text(Words("Built-in CA"))),
                Fact(Words("Subject"), code(profile.subject)),
                Fact(Words("Alternative names"), several([code(san) for san in profile.subject_alternative_names])),
                Fact(Words("Key usages"), several([text(KEY_USAGES[each], each.value) for each in key_usages])),
                Fact(Words("Extended key usages"), several([text(USAGES.get(each, each), each) for each in usages])),
                Fact(Words("Certificate policies"), several([code(oid) for oid in profile.policy_oids])),
            ),
        ),
        Section(
            Words("Key and term"),
            facts=(
                Fact(Words("Key algorithms"), several([KEYS[key] for key in profile.key_algorithms])),
                Fact(Words("Proof that the key is in a TPM"), text(ASSURANCES[profile.minimum_assurance])),
                *([_whose(profile)] if profile.certificate_type is CertificateType.SSL else []),
                Fact(Words("Terms in days"), text(", ".join(map(str, profile.term_days)))),
                Fact(Words("Renewed in the last … days"), text(profile.renewal_window_days)),
                Fact(Words("Notice before the end, in days"), text(", ".join(map(str, profile.notice_days)))),
            ),
        ),
        Section(
            Words("Who may have it"),
            facts=(
                Fact(Words("Delegated to"), delegation_cell(tx, actor, profile.organization_ids)),
                Fact(Words("Groups from the identity provider"), several(profile.idp_groups)),
                Fact(Words("Device names"), code(profile.device_name_pattern)),
                Fact(Words("Created"), moment(profile.created_at)),
            ),
        ),
    )
    return DetailPage(
        title=profile.name,
        subtitle=profile.description,
        tag=state_of(profile.active),
        crumbs=(_TOP,),
        actions=(Action(Words("Change"), f"{BASE}/{profile.id}/change"),) if actor.scope.everything else (),
        sections=sections,
        timeline=timeline_of(tx, actor, profile.id),
    )


def _whose(profile: CertificateProfile) -> Fact:
    return Fact(Words("Whose certificate it is"), text(SCOPES[profile.scope] if profile.scope else _EITHER))


def _fieldsets(tx: Transaction, actor: Actor, profile: CertificateProfile | None) -> tuple[Fieldset, ...]:
    kinds = [profile.certificate_type] if profile else list(CertificateType)
    usages = dict.fromkeys(usage for kind in kinds for usage in ALLOWED_EXTENDED_KEY_USAGES[kind])
    key_usages = dict.fromkeys(usage for kind in kinds for usage in ALLOWED_KEY_USAGES[kind])
    variables = sorted(frozenset[str]().union(*(VARIABLES[kind] for kind in kinds)))
    known = " ".join(f"`{{{variable}}}`" for variable in variables)
    first = [
        FormField("name", Words("Name"), more={"maxlength": 128, "autocomplete": "off"}),
        FormField("description", Words("Description"), required=False, hint=Words("People read it when they choose.")),
    ]
    if profile is None:
        first.append(FormField("certificate_type", Words("Certificate type"), "radios", options=options(TYPES)))
    return (
        Fieldset((*first, FormField("active", Words("State"), "checks", options=(_ACTIVE,)))),
        Fieldset(
            (
                FormField(
                    "subject", Words("Subject"), required=False, code=True,
                    hint=Words("Such as `CN={name|email}, O={organization}`. Known are: {known}", known=known),
                ),
                FormField(
                    "subject_alternative_names", Words("Alternative names"), "textarea", required=False, code=True,
                    hint=Words("One a line, with its kind in front: `email:` `upn:` `dns:` `uri:`"),
                ),
                FormField(
                    "key_usages", Words("Key usages"), "checks", required=False,
                    options=tuple(Option(usage.value, KEY_USAGES[usage], usage.value) for usage in key_usages),
                    hint=Words(
                        "Without any, to sign. The agent's keys do no more; what deciphers is for provided CSRs."
                    ),
                ),
                FormField(
                    "extended_key_usages", Words("Extended key usages"), "checks", required=False,
                    options=tuple(Option(usage, USAGES.get(usage, usage), usage) for usage in usages),
                    hint=Words("Without any, those that are usual for the certificate type."),
                ),
                FormField(
                    "policy_oids", Words("Certificate policies"), "textarea", required=False, code=True, rows=2,
                    hint=Words("Object identifiers, one a line."),
                ),
            ),
            Words("Names and purposes"),
            Words("A profile is saved only if a sample certificate made from it passes the linter."),
        ),
        Fieldset(
            (
                FormField("key_algorithms", Words("Key algorithms"), "checks", options=options(KEYS)),
                FormField(
                    "minimum_assurance", Words("Proof that the key is in a TPM"), "select", options=options(ASSURANCES)
                ),
                *([_WHOSE] if CertificateType.SSL in kinds else []),
                FormField(
                    "term_days", Words("Terms in days"), short=True,
                    hint=Words("Several with commas."),
                ),
                FormField("renewal_window_days", Words("Renewed in the last … days"), "number", short=True),
                FormField(
                    "notice_days", Words("Notice before the end, in days"), short=True, required=False,
                    hint=Words("The owner gets a letter so many days before, such as 30, 14, 7, 1."),
                ),
            ),
            Words("Key and term"),
        ),
        Fieldset(
            (
                *delegation_fields(tx, actor, profile.organization_ids if profile else ()),
                FormField(
                    "idp_groups", Words("Groups from the identity provider"), "textarea", required=False, rows=3,
                    hint=Words("One a line. With any, only people who are in one of them may have it."),
                ),
                *([_DEVICE_NAMES] if CertificateType.DEVICE in kinds else []),
            ),
            Words("Who may have it"),
        ),
    )  # fmt: skip


_DEVICE_NAMES = FormField(
    "device_name_pattern",
    Words("Device names"),
    required=False,
    code=True,
    hint=Words("A regular expression that a device's whole name must match."),
)
_EITHER = Words("Of whoever opens the link, or of the registered computer")
_WHOSE = FormField(
    "scope",
    Words("Whose certificate it is"),
    "select",
    options=(Option("", _EITHER), *options(SCOPES)),
    required=False,
    hint=Words(
        "For SSL. On Windows a person's is in `CurrentUser\\My`, a computer's in `LocalMachine\\My`, which its agent's "
        "service keeps."
    ),
)
_ACTIVE = Option("yes", Words("Offered to people"))


def _new(tx: Transaction, actor: Actor, draft: Draft, _request: Request) -> FormPage:
    masters_only(actor, verbs.MASTERS_WORK)
    usual: dict[str, str | Sequence[str]] = {
        "certificate_type": "client", "active": "yes", "minimum_assurance": "claimed", "renewal_window_days": "30",
        "notice_days": "30, 14, 7, 1", "term_days": "365", "key_algorithms": ["ec-p256"],
        "subject": "CN={name|email}, O={organization}", "subject_alternative_names": "email:{email}",
    }  # fmt: skip
    return new_page(
        Words("New certificate profile"),
        BASE,
        _fieldsets(tx, actor, None),
        Words("Create the profile"),
        kept(draft, usual | delegated_values(()), _CHECKS),
        draft,
        (_TOP,),
    )


def _change(tx: Transaction, actor: Actor, profile: CertificateProfile, draft: Draft) -> FormPage:
    masters_only(actor, verbs.MASTERS_WORK)
    return change_page(
        _standing(profile),
        Words("Change the certificate profile"),
        _fieldsets(tx, actor, profile),
        kept(draft, _stored(profile), _CHECKS),
        draft,
        delete=Words("Delete this profile"),
    )


def _delete(_tx: Transaction, actor: Actor, profile: CertificateProfile) -> ConfirmPage:
    masters_only(actor, verbs.MASTERS_WORK)
    return asked_once(_standing(profile), Words("Delete this profile"))


def _standing(profile: CertificateProfile) -> Standing:
    return Standing(f"{BASE}/{profile.id}", profile.name, (_TOP,))


def _values(posted: Posted, profile: CertificateProfile | None) -> Mapping[str, object]:
    kind = profile.certificate_type.value if profile else posted.text("certificate_type")
    return {
        "name": posted.text("name"),
        "description": posted.text("description"),
        "certificate_type": kind,
        "active": posted.flag("active"),
        "subject": posted.text("subject"),
        "subject_alternative_names": posted.lines("subject_alternative_names"),
        "key_usages": posted.many("key_usages"),
        "extended_key_usages": posted.many("extended_key_usages"),
        "policy_oids": posted.lines("policy_oids"),
        "key_algorithms": posted.many("key_algorithms"),
        "minimum_assurance": posted.text("minimum_assurance"),
        "scope": posted.text("scope") or None,
        "term_days": _days(posted.text("term_days")),
        "renewal_window_days": posted.text("renewal_window_days"),
        "notice_days": _days(posted.text("notice_days")),
        "organization_ids": delegation_of(posted),
        "idp_groups": posted.lines("idp_groups"),
        "device_name_pattern": posted.text("device_name_pattern").strip(),
        "connector": profile.connector if profile else "builtin",
    }


def _days(typed: str) -> list[str]:
    return typed.replace(",", " ").split()


def _stored(profile: CertificateProfile) -> dict[str, str | Sequence[str]]:
    return {
        "name": profile.name,
        "description": profile.description,
        "active": "yes" if profile.active else "",
        "subject": profile.subject,
        "subject_alternative_names": "\n".join(profile.subject_alternative_names),
        "key_usages": [usage.value for usage in profile.key_usages],
        "extended_key_usages": profile.extended_key_usages,
        "policy_oids": "\n".join(profile.policy_oids),
        "key_algorithms": [str(key) for key in profile.key_algorithms],
        "minimum_assurance": profile.minimum_assurance.value,
        "scope": profile.scope.value if profile.scope else "",
        "term_days": ", ".join(map(str, profile.term_days)),
        "renewal_window_days": str(profile.renewal_window_days),
        "notice_days": ", ".join(map(str, profile.notice_days)),
        "idp_groups": "\n".join(profile.idp_groups),
        "device_name_pattern": profile.device_name_pattern,
        **delegated_values(profile.organization_ids),
    }
