"""The test run of an enrollment form in the console: what somebody would meet there. It enrolls nothing.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.base import CertificateType
from keystead_contracts.identity import ATTRIBUTES, SignInMethod
from keystead_contracts.words import Sentences, Words
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import EnrollmentForm
from keystead_enroll.domain.enrollment_inputs import TrialInput
from keystead_enroll.domain.refusals import FormsTriedTooOften
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.try_form import Trial, TriedAccount, TriedProfile, providers_of, try_form
from keystead_enroll.web.console.cells import code, several, tag, text
from keystead_enroll.web.console.choices import AUTHORIZATIONS, CSR_METHODS, KEYS, METHODS, options
from keystead_enroll.web.console.form_questions import BASE, TOP
from keystead_enroll.web.console.form_widgets import Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.mistakes import Wrong, done_or_told
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import Action, Crumb, DetailPage, Fact, Notice, Section, Tab
from keystead_kit.drafts import Draft

NAV, TAB = "forms", "test-run"
_SOUND: Mapping[str, object] = {
    "email": "any@example.org", "name": None, "attributes": {}, "device_name": "", "serial_number": "", "dns_names": "",
}  # fmt: skip
_ASKED = ("method", "email", "name", "identity_provider_id", "attributes", "device_name", "serial_number", "dns_names")
Reached = Callable[[Transaction, Visitor, str], EnrollmentForm]
Tabs = Callable[[Transaction, Visitor, EnrollmentForm], tuple[Tab, ...]]


def add_trial_pages(pages: APIRouter, tools: ConsoleTools, reached: Reached, tabs: Tabs) -> None:
    """The pages of the tab."""
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    def asking(request: Request, visitor: Visitor, id: str, draft: Draft) -> Response:
        with tools.transactions.read() as tx:
            form = reached(tx, visitor, id)
            page = _questions(tx, form, draft, tabs(tx, visitor, form))
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{BASE}/{{id}}/{TAB}")
    def ask(request: Request, visitor: Here, id: str) -> Response:
        return asking(request, visitor, id, tools.draft(request))

    @pages.post(f"{BASE}/{{id}}/{TAB}")
    def run(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
        if posted.flag("again"):
            return asking(request, visitor, id, posted.draft({}))

        def tried(wanted: TrialInput) -> Trial:
            try:
                return try_form(tools.transactions, tools.clock, tools.enroll.trial_rules(), visitor.actor, id, wanted)
            except FormsTriedTooOften as refusal:
                raise InputRefused({"form": Sentences(refusal.detail, refusal.advice)}) from refusal

        with tools.transactions.read() as tx:
            form = reached(tx, visitor, id)
            above = tabs(tx, visitor, form)
        try:
            trial = done_or_told(TrialInput, _values(posted), tried, tried, sound=_SOUND, beside={})
        except InputRefused as refusal:
            return tools.again(request, posted, refusal, lambda draft: asking(request, visitor, id, draft))
        return tools.render(request, visitor, _outcome(trial, posted, above), NAV)


def _values(posted: Posted) -> dict[str, object]:
    return {
        "method": posted.text("method"),
        "email": posted.text("email"),
        "name": posted.optional("name"),
        "identity_provider_id": posted.optional("identity_provider_id"),
        "attributes": _attributes(posted.lines("attributes")),
        "device_name": posted.text("device_name"),
        "serial_number": posted.text("serial_number"),
        "dns_names": posted.text("dns_names"),
    }


def _attributes(lines: Sequence[str]) -> dict[str, list[str]] | Wrong:
    said: dict[str, list[str]] = {}
    for line in lines:
        name, separator, value = line.partition("=")
        if not separator or not value.strip():
            return Wrong({"attributes": Words("Write each line as `groups = staff`.")})
        said.setdefault(name.strip().lower(), []).append(value.strip())
    return said


def _questions(tx: Transaction, form: EnrollmentForm, draft: Draft, tabs: tuple[Tab, ...]) -> FormPage:
    methods = {method: METHODS[method] for method in form.methods}
    fieldsets = [
        Fieldset(
            (
                FormField("method", Words("They sign in by"), "radios", options=options(methods)),
                FormField("email", Words("E-mail address"), "email", more={"maxlength": 254, "autocomplete": "off"}),
                FormField("name", Words("Name"), required=False, more={"maxlength": 256, "autocomplete": "off"}),
            ),
            Words("Who comes"),
        )
    ]
    if SignInMethod.IDP in form.methods:
        fieldsets.append(_said(tx, form))
    asked = _ASKED_FOR.get(form.certificate_type, ())
    if asked:
        fieldsets.append(Fieldset(asked, Words("What they ask for")))
    return FormPage(
        title=form.name,
        intro=Words(
            "Enter somebody, and see what they would meet: how they sign in, which accounts and certificates are open "
            "to them, and what is refused. Nothing is stored, no letter is sent and nobody is enrolled."
        ),
        action=f"{BASE}/{form.id}/{TAB}",
        fieldsets=tuple(fieldsets),
        submit=Words("Run the test"),
        cancel_url=f"{BASE}/{form.id}",
        values=draft.values or {"method": form.methods[0].value},
        errors=draft.errors,
        crumbs=(TOP,),
        tabs=tabs,
    )


def _said(tx: Transaction, form: EnrollmentForm) -> Fieldset:
    providers = tuple(Option(provider.id, provider.name) for provider in providers_of(tx, form))
    return Fieldset(
        (
            FormField(
                "identity_provider_id", Words("Identity provider"), "select", required=False, marked=False,
                options=providers,
            ),
            FormField(
                "attributes", Words("What it says of them"), "textarea", required=False, marked=False, code=True,
                hint=Words(
                    "One a line, such as `groups = staff`; several values on several lines. There are {names}.",
                    names=", ".join(ATTRIBUTES),
                ),
            ),
        ),
        Words("Identity provider"),
        Words("Only for somebody who signs in through one."),
    )  # fmt: skip


_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
_ASKED_FOR: Mapping[CertificateType, tuple[FormField, ...]] = {
    CertificateType.DEVICE: (
        FormField("device_name", Words("Device name"), code=True, more=_PLAIN),
        FormField("serial_number", Words("Serial number"), required=False, code=True, more=_PLAIN),
    ),
    CertificateType.SSL: (FormField("dns_names", Words("Server names"), "textarea", rows=3, code=True),),
}


def _outcome(trial: Trial, posted: Posted, tabs: tuple[Tab, ...]) -> DetailPage:
    form = trial.form
    own = f"{BASE}/{form.id}/{TAB}"
    typed = tuple((name, posted.text(name)) for name in _ASKED if posted.text(name))
    ways = [
        Words("{method}: {names}", method=METHODS[each], names=", ".join(trial.providers) or Words("none is set up"))
        if each is SignInMethod.IDP
        else METHODS[each]
        for each in form.methods
    ]
    return DetailPage(
        title=form.name,
        subtitle=Words("Test run for {email}", email=posted.text("email").strip()),
        crumbs=(TOP, Crumb(form.name, f"{BASE}/{form.id}")),
        tabs=tabs,
        actions=(Action(Words("Change what was entered"), own, "primary", "post", (*typed, ("again", "1"))),),
        notices=_notices(trial),
        sections=(
            Section(
                Words("Before they ask"),
                facts=(
                    Fact(Words("Ways to sign in"), several(ways)),
                    Fact(
                        Words("Licence terms"),
                        text(Words("Version {version}, which they accept", version=trial.licence))
                        if trial.licence
                        else text(""),
                    ),
                ),
            ),
            *(_account(tried) for tried in sorted(trial.accounts, key=lambda tried: bool(tried.closed))),
        ),
    )


def _notices(trial: Trial) -> tuple[Notice, ...]:
    told = []
    if not trial.form.active:
        told.append(Notice(Words("Its address leads nowhere while it is withdrawn."), "warn"))
    if trial.refusal is not None:
        why = Words("{what} {now}", what=trial.refusal.detail, now=trial.refusal.advice)
        told.append(Notice(Words("They get no further. The form says: {why}", why=why), "bad"))
    else:
        number = sum(not tried.closed for tried in trial.accounts)
        told.append(
            Notice(
                Words.plural("{n} account is open to them.", "They choose among {n} accounts.", number),
                "good",
            )
        )
    if trial.unseen:
        told.append(
            Notice(
                Words.plural(
                    "{n} account of this form is not yours to see and is left out.",
                    "{n} accounts of this form are not yours to see and are left out.",
                    trial.unseen,
                ),
                "calm",
            )
        )
    return tuple(told)


def _account(tried: TriedAccount) -> Section:
    title = Words("Account “{name}”", name=tried.account.name)
    if tried.closed:
        state = Fact(Words("State"), tag("calm", Words("Not open to them"), tried.closed))
        return Section(title, facts=(state, Fact(Words("Organization"), text(tried.place))))
    approval = Words("Automatic") if tried.account.automatic_approval else Words("By an administrator")
    full = tag("warn", Words("No further request"), Words("They have as many requests under way as one may have."))
    return Section(
        title,
        facts=(
            Fact(Words("State"), full if tried.full else tag("good", Words("Open to them"))),
            Fact(Words("Organization"), text(tried.place)),
            Fact(Words("Asks for"), text(AUTHORIZATIONS[tried.account.authorization])),
            Fact(Words("CSR generation method"), text(CSR_METHODS[tried.account.csr_method])),
            Fact(Words("Approval"), text(approval)),
            *(fact for each in tried.profiles for fact in _profile(each)),
        ),
    )


def _profile(tried: TriedProfile) -> tuple[Fact, ...]:
    profile = tried.profile
    keys = ", ".join(KEYS[key] for key in profile.key_algorithms)
    offered = text(profile.name, Words("{keys}; {days} days", keys=keys, days=", ".join(map(str, profile.term_days))))
    facts = [Fact(Words("Certificate profile"), offered)]
    if tried.names is not None:
        names = several([code(name) for name in tried.alternative_names])
        facts += [Fact(Words("Subject"), code(tried.names.rfc4514())), Fact(Words("Alternative names"), names)]
    if tried.mistakes:
        facts.append(Fact(Words("Refused"), several([tag("bad", why) for why in tried.mistakes.values()])))
    elif tried.linted:
        facts.append(Fact(Words("Sample certificate"), tag("good", Words("Passes the linter"))))
    return tuple(facts)
