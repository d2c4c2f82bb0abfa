"""Identity providers in the console, for masters."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from fastapi import APIRouter

from keystead_contracts.people import IdentityProviderKind, IdentityProviderState
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.enrollment import Organization
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.lists import IDENTITY_PROVIDERS
from keystead_enroll.domain.people_inputs import IdentityProviderInput
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import identity_providers as verbs
from keystead_enroll.usecases.admin.common import masters_only
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.cells import Cell, code, moment, several, tag, text
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.identity_provider_questions import (
    BASE,
    FLAGS,
    KIND_WORDS,
    SOUND,
    TOP,
    change_provider,
    delete_provider,
    new_provider,
    provider_values,
    reserved_id,
    told_to,
)
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.once import PAGE_KEY, page_key
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.tools import ConsoleTools
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    DetailPage,
    Empty,
    Fact,
    ListPage,
    Notice,
    Row,
    Section,
)

NAV = "providers"
SOON = timedelta(days=30)
_COLUMNS = (
    Column("name", Words("Name")),
    Column("kind", Words("Protocol"), narrow=True),
    Column("for", Words("For")),
    Column("state", Words("State"), narrow=True),
    Column("valid", Words("Metadata valid until"), narrow=True),
)


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
            values=provider_values,
            listing=_listing,
            detail=lambda tx, actor, provider, _request: _detail(tx, actor, provider, origin, tools.clock.now()),
            new=lambda tx, actor, draft, request: new_provider(
                tx, actor, draft, request.query_params.get("kind", ""), origin
            ),
            change=lambda tx, _actor, provider, draft: change_provider(tx, provider, draft, origin),
            delete=delete_provider,
            create_verb=verbs.create_identity_provider,
            change_verb=verbs.change_identity_provider,
            delete_verb=verbs.delete_identity_provider,
            sound=SOUND,
            more=lambda posted: {"provider_id": reserved_id(posted.text(PAGE_KEY.name) or page_key())},
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
    audience = [words for name, words in list(FLAGS.items())[:2] if getattr(provider, name)]
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
    own_facts = (
        (
            Fact(
                Words("Metadata address"),
                code(provider.metadata_url) if provider.metadata_url else text(Words("Given as text")),
            ),
            *_signed_by(provider),
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
    may = [words for name, words in FLAGS.items() if getattr(provider, name)]
    speaks_for = [organization.name for organization in organizations if organization]
    return DetailPage(
        title=provider.name,
        subtitle=KIND_WORDS[provider.kind],
        tag=_state(provider),
        crumbs=(TOP,),
        actions=(Action(Words("Change"), f"{BASE}/{provider.id}/change"),),
        notices=_notices(provider, now),
        sections=(
            Section(Words("What it needs from us"), facts=(told_to(provider.kind, origin, provider.id),)),
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


def _signed_by(provider: IdentityProvider) -> tuple[Fact, ...]:
    """What metadata from an address is checked against."""
    title = Words("Certificate that signs it")
    if provider.metadata_url is None:
        return ()
    if provider.metadata_certificate is None:
        return (Fact(title, text(Words("None: it is taken as it comes over https"))),)
    certificate = x509.load_pem_x509_certificate(provider.metadata_certificate.encode())
    return (
        Fact(title, code(certificate.subject.rfc4514_string())),
        Fact(Words("Its SHA-256 fingerprint"), code(certificate.fingerprint(SHA256()).hex())),
        Fact(Words("It is valid until"), moment(certificate.not_valid_after_utc, relative=True)),
    )
