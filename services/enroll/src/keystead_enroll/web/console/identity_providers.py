"""Identity providers in the console, for masters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fastapi import APIRouter, Request

from keystead_contracts.identity import ATTRIBUTES
from keystead_contracts.people import IdentityProviderKind, IdentityProviderState
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import Organization
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.lists import IDENTITY_PROVIDERS
from keystead_enroll.domain.people_inputs import IdentityProviderInput
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import identity_providers as verbs
from keystead_enroll.usecases.admin.common import masters_only
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.cells import Cell, code, copy, moment, several, tag, text
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    Crumb,
    DetailPage,
    Empty,
    Fact,
    ListPage,
    Notice,
    Row,
    Section,
)
from keystead_kit.drafts import Draft

NAV, BASE = "providers", f"{HOME}/identity-providers"
TOP = Crumb(Words("Identity providers"), BASE)
SOON = timedelta(days=30)
KIND_WORDS = {IdentityProviderKind.SAML: "SAML 2.0", IdentityProviderKind.OIDC: "OpenID Connect"}
_COLUMNS = (
    Column("name", Words("Name")),
    Column("kind", Words("Protocol"), narrow=True),
    Column("for", Words("For")),
    Column("state", Words("State"), narrow=True),
    Column("valid", Words("Metadata valid until"), narrow=True),
)
_FLAGS = {
    "for_persons": Words("People who enroll"),
    "for_administrators": Words("Administrators"),
    "idp_initiated": Words("May begin a sign-in by itself (IdP-initiated, SAML only)"),
}


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    origin = tools.enroll.settings.public_origin
    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=verbs.KIND,
            definition=IDENTITY_PROVIDERS,
            given=IdentityProviderInput,
            values=_values,
            listing=_listing,
            detail=lambda tx, actor, provider, _request: _detail(tx, actor, provider, origin, tools.clock.now()),
            new=_new,
            change=_change,
            delete=_delete,
            create_verb=verbs.create_identity_provider,
            change_verb=verbs.change_identity_provider,
            delete_verb=verbs.delete_identity_provider,
        ),
    )
    return pages


def _listing(visitor: Visitor) -> Listing[IdentityProvider]:
    masters_only(visitor.actor, Words("set up identity providers"))
    create = Action(Words("New identity provider"), f"{BASE}/new", "primary", icon="add")
    return Listing(
        IDENTITY_PROVIDERS,
        ListPage(
            title=Words("Identity providers"),
            intro=Words("Who vouches for people that sign in: your organization's own sign-in page."),
            columns=_COLUMNS,
            rows=(),
            create=create,
            empty=Empty(
                Words("No identity providers yet"), Words("Without one, people sign in by e-mail or Secret ID."), create
            ),
        ),
        lambda _tx, provider: _row(provider),
        BASE,
    )


def _row(provider: IdentityProvider) -> Row:
    audience = [words for name, words in list(_FLAGS.items())[:2] if getattr(provider, name)]
    return Row(
        f"{BASE}/{provider.id}",
        (
            text(provider.name),
            text(KIND_WORDS[provider.kind]),
            several(audience),
            _state(provider),
            moment(provider.valid_until, relative=True),
        ),
    )


def _state(provider: IdentityProvider) -> Cell:
    if not provider.active:
        return tag("calm", Words("Not active"))
    if provider.state is None:
        return tag("warn", Words("Not looked at"))
    return (
        tag("good", Words("Ready"))
        if provider.state is IdentityProviderState.READY
        else tag("bad", Words("Does not work"))
    )


def _notices(provider: IdentityProvider, now: datetime) -> tuple[Notice, ...]:
    if not provider.active:
        return ()
    if provider.state is IdentityProviderState.FAILED:
        return (Notice(Words("Nobody can sign in through it: {why}", why=provider.why), "bad"),)
    if provider.state is None:
        return (Notice(Words("It has not been looked at yet. Open this page again in a minute."), "calm"),)
    if provider.valid_until is not None and provider.valid_until - now < SOON:
        return (Notice(Words("Its metadata or its signing certificate ends soon. Ask whoever runs it."), "warn"),)
    return (Notice(provider.why, "warn"),) if provider.why else ()


def _detail(tx: Transaction, actor: Actor, provider: IdentityProvider, origin: str, now: datetime) -> DetailPage:
    saml = provider.kind is IdentityProviderKind.SAML
    organizations = [tx.get(Organization, organization_id) for organization_id in provider.organization_ids]
    told = (
        (Fact(Words("Our metadata"), copy(f"{origin}/auth/saml/metadata", Words("address of our metadata"))),)
        if saml
        else (
            Fact(
                Words("Redirect address"), copy(f"{origin}/auth/oidc/{provider.id}/callback", Words("redirect address"))
            ),
        )
    )
    own_facts = (
        (
            Fact(
                Words("Metadata address"),
                code(provider.metadata_url) if provider.metadata_url else text(Words("Given as text")),
            ),
            Fact(Words("Entity id"), code(provider.entity_id)),
        )
        if saml
        else (
            Fact(Words("Issuer"), code(provider.issuer or "")),
            Fact(Words("Client id"), code(provider.client_id or "")),
            Fact(Words("Name of the client secret"), code(provider.client_secret_name or "")),
        )
    )
    names = [code(f"{field} = {name}") for field, name in sorted(provider.attributes.items())]
    may = [words for name, words in _FLAGS.items() if getattr(provider, name)]
    speaks_for = [organization.name for organization in organizations if organization]
    return DetailPage(
        title=provider.name,
        subtitle=KIND_WORDS[provider.kind],
        tag=_state(provider),
        crumbs=(TOP,),
        actions=(Action(Words("Change"), f"{BASE}/{provider.id}/change"),),
        notices=_notices(provider, now),
        sections=(
            Section(Words("What it needs from us"), facts=told),
            Section(
                Words("What we know of it"),
                facts=(
                    *own_facts,
                    Fact(Words("Attribute names"), several(names) if names else text(Words("The usual ones"))),
                    Fact(Words("Valid until"), moment(provider.valid_until, relative=True)),
                    Fact(Words("Last looked at"), moment(provider.checked_at, "datetime", relative=True)),
                ),
            ),
            Section(
                Words("What it may do"),
                facts=(
                    Fact(Words("Signs in"), several(may)),
                    Fact(
                        Words("Speaks for"),
                        several(speaks_for) if provider.organization_ids else text(Words("Every organization")),
                    ),
                ),
            ),
        ),
        timeline=timeline_of(tx, actor, provider.id),
    )


def _fieldsets(tx: Transaction) -> tuple[Fieldset, ...]:
    kinds = tuple(Option(kind.value, words) for kind, words in KIND_WORDS.items())
    flags = tuple(Option(name, words) for name, words in _FLAGS.items())
    organizations = tuple(Option(o.id, o.name) for o in tx.organizations())
    plain = {"autocomplete": "off", "spellcheck": "false"}
    return (
        Fieldset(
            (
                FormField(
                    "name", Words("Name"), hint=Words("People read it on the sign-in page."), more={"maxlength": 128}
                ),
                FormField("kind", Words("Protocol"), "radios", options=kinds),
                FormField("may", Words("For"), "checks", required=False, options=flags),
                FormField(
                    "active",
                    Words("In use"),
                    "checks",
                    required=False,
                    options=(Option("yes", Words("People may use it")),),
                ),
            )
        ),
        Fieldset(
            (
                FormField(
                    "metadata_url", Words("Address of its metadata"), "url", required=False, hint=Words("With https://")
                ),
                FormField("metadata_file", Words("Or a file with its metadata"), "file", required=False),
                FormField(
                    "metadata_xml", Words("Or the metadata itself"), "textarea", required=False, rows=6, code=True
                ),
                FormField(
                    "metadata_certificate",
                    Words("Certificate that signs it"),
                    "textarea",
                    required=False,
                    rows=4,
                    code=True,
                    hint=Words(
                        "PEM, for metadata from an address: it is taken only with a signature by this certificate's "
                        "key. Without one, it is taken as it comes over https."
                    ),
                ),
            ),
            legend="SAML 2.0",
            intro=Words("One of the first three. From an address it is read again regularly."),
        ),
        Fieldset(
            (
                FormField("issuer", Words("Issuer"), "url", required=False, hint=Words("With https://")),
                FormField("client_id", Words("Client id"), required=False, code=True, more=plain),
                FormField(
                    "client_secret_name",
                    Words("Name of the client secret"),
                    required=False,
                    code=True,
                    hint=Words("The secret itself is in the settings of the sign-in service, under this name."),
                    more=plain,
                ),
            ),
            legend="OpenID Connect",
        ),
        Fieldset(
            (
                FormField(
                    "organization_ids",
                    Words("Speaks for"),
                    "checks",
                    required=False,
                    options=organizations,
                    hint=Words("Without a choice, for every organization."),
                ),
                FormField(
                    "attributes",
                    Words("Attribute names"),
                    "textarea",
                    required=False,
                    code=True,
                    hint=Words(
                        "One a line, such as `mail = emailaddress`, where they are not the usual ones. "
                        "There are {names}.",
                        names=", ".join(ATTRIBUTES),
                    ),
                ),
            ),
            legend=Words("What it says"),
        ),
    )


def _answers(draft: Draft, stored: Mapping[str, str | Sequence[str]]) -> dict[str, str | Sequence[str]]:
    if not draft.values:
        return dict(stored)
    checks = {name: draft.values.get(name, "").splitlines() for name in ("may", "organization_ids", "active")}
    return {**draft.values, **checks}


def _new(tx: Transaction, actor: Actor, draft: Draft, _request: Request) -> FormPage:
    masters_only(actor, Words("set up identity providers"))  # the form names every organization
    usual = {"kind": IdentityProviderKind.SAML.value, "may": ["for_persons"], "active": ["yes"]}
    return FormPage(
        title=Words("New identity provider"),
        action=f"{BASE}/new",
        fieldsets=_fieldsets(tx),
        submit=Words("Set it up"),
        cancel_url=BASE,
        values=_answers(draft, usual),
        errors=draft.errors,
        crumbs=(TOP,),
    )


def _change(tx: Transaction, _actor: Actor, provider: IdentityProvider, draft: Draft) -> FormPage:
    own = f"{BASE}/{provider.id}"
    stored: dict[str, str | Sequence[str]] = {
        "name": provider.name,
        "kind": provider.kind.value,
        "may": [name for name in _FLAGS if getattr(provider, name)],
        "active": ["yes"] if provider.active else [],
        "organization_ids": provider.organization_ids,
        "attributes": "\n".join(f"{field} = {name}" for field, name in sorted(provider.attributes.items())),
        **{name: getattr(provider, name) or "" for name in verbs.DESCRIBED if name != "kind"},
    }
    return FormPage(
        title=Words("Change the identity provider"),
        subtitle=provider.name,
        action=f"{own}/change",
        fieldsets=_fieldsets(tx),
        submit=Words("Save"),
        cancel_url=own,
        values=_answers(draft, stored),
        errors=draft.errors,
        crumbs=(TOP, Crumb(provider.name, own)),
        danger=Action(Words("Delete this identity provider"), f"{own}/delete", "danger"),
    )


def _delete(_tx: Transaction, _actor: Actor, provider: IdentityProvider) -> ConfirmPage:
    own = f"{BASE}/{provider.id}"
    return ConfirmPage(
        title=Words("Delete this identity provider"),
        verb=Words("Delete this identity provider"),
        action=f"{own}/delete",
        cancel_url=own,
        question=Words("Delete “{name}”?", name=provider.name),
        consequences=(Words("Nobody can sign in through it any more."), Words("This cannot be undone.")),
        crumbs=(TOP, Crumb(provider.name, own)),
    )


def _values(posted: Posted, _provider: IdentityProvider | None) -> dict[str, object]:
    return {
        "name": posted.text("name"),
        "kind": posted.text("kind"),
        "metadata_url": posted.optional("metadata_url"),
        "metadata_xml": _file(posted) or posted.optional("metadata_xml"),
        "metadata_certificate": posted.optional("metadata_certificate"),
        "issuer": posted.optional("issuer"),
        "client_id": posted.optional("client_id"),
        "client_secret_name": posted.optional("client_secret_name"),
        "attributes": _attributes(posted.lines("attributes")),
        "organization_ids": posted.many("organization_ids"),
        "active": posted.flag("active"),
        **{name: name in posted.many("may") for name in _FLAGS},
    }


def _file(posted: Posted) -> str:
    try:
        return posted.files.get("metadata_file", b"").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputRefused({"metadata_file": Words("The file is not text in UTF-8.")}) from error


def _attributes(lines: Sequence[str]) -> dict[str, str]:
    pairs = [line.partition("=") for line in lines]
    if any(not separator for _, separator, _ in pairs):
        raise InputRefused({"attributes": Words("Write each line as `mail = emailaddress`.")})
    return {field.strip(): name.strip() for field, _, name in pairs}
