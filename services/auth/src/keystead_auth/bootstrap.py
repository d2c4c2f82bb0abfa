"""The one place where auth's ports meet their adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from keystead_auth import ports
from keystead_auth.adapters import tables
from keystead_auth.adapters.administrator_store import SqlAdministratorSessions
from keystead_auth.adapters.attempts import Limits, RedisAttempts
from keystead_auth.adapters.fetch import HttpFetcher
from keystead_auth.adapters.idp_store import SqlProviders
from keystead_auth.adapters.oidc import AuthlibMessages, JoseIdTokens, SecretFolder
from keystead_auth.adapters.one_time_codes import TotpCodes
from keystead_auth.adapters.person_store import SqlPersons
from keystead_auth.adapters.randomness import SystemRandomness
from keystead_auth.adapters.saml_messages import Pysaml2Messages
from keystead_auth.adapters.store import SqlForms, SqlTransaction, SqlTransactions
from keystead_auth.adapters.xmlsec import XmlSec, find_xmlsec
from keystead_auth.settings import AuthSettings, AuthWebSettings
from keystead_auth.usecases.administrator_desk import AdministratorDesk
from keystead_auth.usecases.check_provider import Sources
from keystead_auth.usecases.invite_administrator import LinkFor
from keystead_auth.usecases.project_administrator import project_administrator
from keystead_auth.usecases.project_form import project_form
from keystead_auth.usecases.project_person import project_person
from keystead_auth.usecases.project_provider import project_provider
from keystead_auth.usecases.take_oidc_answer import OidcTools
from keystead_contracts.events import Envelope, Fact, FormPublished
from keystead_contracts.people import (
    AdministratorPublished,
    AdministratorSeen,
    IdentityProviderKind,
    IdentityProviderPublished,
    PersonPublished,
)
from keystead_contracts.words import Words
from keystead_kit.bus import Bus
from keystead_kit.clock import Clock, SystemClock
from keystead_kit.db import Database
from keystead_kit.drafts import Drafts
from keystead_kit.forms import Cookies, FormGuard
from keystead_kit.known_browsers import KnownBrowsers
from keystead_kit.logs import get_logger
from keystead_kit.migrations import Migrations
from keystead_kit.ratelimit import RateLimiter
from keystead_kit.secrets import TokenSigner
from keystead_kit.setting_types import Mode
from keystead_kit.worker import Messenger

SERVICE = tables.SERVICE
NO_SAML_KEY = Words("This server has no SAML key: KEYSTEAD_AUTH_SAML_KEY_FILE and _CERTIFICATE_FILE are to be set.")
NO_XMLSEC = Words("This server lacks the program xmlsec1, which SAML needs.")
_log = get_logger()


@dataclass(frozen=True)
class Saml:
    """What SAML is made of."""

    messages: ports.SamlMessages
    verifier: ports.SignatureVerifier


@dataclass(frozen=True)
class Parts:
    """What auth's web is made of."""

    settings: AuthWebSettings
    database: Database
    bus: Bus
    transactions: ports.Transactions
    attempts: ports.Attempts
    signer: ports.IdentitySigner
    randomness: ports.Randomness
    clock: Clock
    cookies: Cookies
    identity_cookies: Cookies
    guard: FormGuard
    drafts: Drafts
    saml: Saml | None
    codes: ports.OneTimeCodes
    known_browsers: KnownBrowsers

    @property
    def desk(self) -> AdministratorDesk:
        """What administrators' sign-in works with."""
        return AdministratorDesk(
            self.transactions, self.attempts, self.signer, self.randomness, self.clock, self.codes, self.settings.rules
        )

    oidc: OidcTools

    @property
    def kinds(self) -> list[IdentityProviderKind]:
        """The kinds of identity providers that people can sign in through here."""
        return [IdentityProviderKind.OIDC, *([IdentityProviderKind.SAML] if self.saml else [])]


@dataclass(frozen=True)
class WorkerParts:
    """What auth's worker is made of."""

    settings: AuthSettings
    database: Database
    bus: Bus
    messenger: Messenger
    transactions: ports.Transactions
    randomness: ports.Randomness
    clock: Clock
    sources: Sources
    unsupported: Mapping[IdentityProviderKind, str]


def web_parts(settings: AuthWebSettings, clock: Clock | None = None) -> Parts:
    """The web's parts on real adapters. Raises ValueError or OSError if the token key cannot be used."""
    database = Database(settings.database_url.get_secret_value())
    redis_url = settings.redis_url.get_secret_value()
    bus = Bus(SERVICE, redis_url)
    key = settings.cookie_key.get_secret_value().encode()
    cookies = Cookies("keystead_auth", settings.secure)
    for reason in set(unsupported(settings).values()):
        _log.warning("identity providers of a kind are not offered", why=reason)
    return Parts(
        settings=settings,
        database=database,
        bus=bus,
        transactions=SqlTransactions(database),
        attempts=RedisAttempts(
            RateLimiter(redis_url, SERVICE),
            Limits(
                per_client=settings.limit_sign_in_per_client,
                per_email=settings.limit_sign_in_per_email,
                per_form=settings.limit_sign_in_per_form,
                confirm_per_client=settings.limit_confirm_per_client,
                idp_per_client=settings.limit_idp_per_client,
                secret_per_client=settings.limit_secret_per_client,
                secret_per_owner=settings.limit_secret_per_owner,
                code_per_administrator=settings.limit_code_per_administrator,
            ),
            key,
        ),
        signer=TokenSigner.from_file(settings.token_key_file),
        randomness=SystemRandomness(),
        clock=clock or SystemClock(),
        cookies=cookies,
        identity_cookies=Cookies("keystead", settings.secure),
        guard=FormGuard(key, cookies, settings.public_origin),
        drafts=Drafts(key, cookies),
        saml=saml(settings),
        codes=TotpCodes(settings.totp_key.get_secret_value().encode()),
        known_browsers=KnownBrowsers(key, cookies),
        oidc=OidcTools(
            AuthlibMessages(settings.public_origin),
            fetcher(settings),
            JoseIdTokens(),
            SecretFolder(settings.oidc_secrets),
        ),
    )


def fetcher(settings: AuthSettings) -> HttpFetcher:
    """How documents of identity providers are had."""
    return HttpFetcher(development=settings.mode is Mode.DEVELOPMENT, networks=settings.networks)


def saml(settings: AuthSettings) -> Saml | None:
    """SAML on real adapters; None if it is not set up here."""
    keys, program = settings.saml_keys, find_xmlsec()
    if not keys or program is None:
        return None
    xmlsec = XmlSec(program, tuple(key.key_file for key in keys))
    return Saml(Pysaml2Messages(settings.public_origin, keys, xmlsec), xmlsec)


def unsupported(settings: AuthSettings) -> dict[IdentityProviderKind, str]:
    """Kind → why people cannot sign in through such an identity provider here."""
    reasons: dict[IdentityProviderKind, str] = {}
    if not settings.saml_keys:
        reasons[IdentityProviderKind.SAML] = NO_SAML_KEY
    elif find_xmlsec() is None:
        reasons[IdentityProviderKind.SAML] = NO_XMLSEC
    return reasons


def worker_parts(settings: AuthSettings, clock: Clock | None = None) -> WorkerParts:
    """The worker's parts on real adapters."""
    database = Database(settings.database_url.get_secret_value())
    bus = Bus(SERVICE, settings.redis_url.get_secret_value())
    clock = clock or SystemClock()
    randomness = SystemRandomness()
    program = find_xmlsec()

    def take(session: Session, fact: Fact, envelope: Envelope) -> None:
        take_fact(session, fact, envelope, randomness, password_link(settings.public_origin))

    return WorkerParts(
        settings=settings,
        database=database,
        bus=bus,
        messenger=Messenger(database, bus, clock, tables.outbox, tables.inbox, take),
        transactions=SqlTransactions(database),
        randomness=randomness,
        clock=clock,
        sources=Sources(
            fetcher(settings), SecretFolder(settings.oidc_secrets), XmlSec(program, ()) if program else None
        ),
        unsupported=unsupported(settings),
    )


def password_link(origin: str) -> LinkFor:
    """Where an administrator chooses a password, from a token."""
    return lambda token: f"{origin}/auth/administrators/invitation/{token}"


def take_fact(session: Session, fact: Fact, envelope: Envelope, randomness: ports.Randomness, link: LinkFor) -> None:
    """Takes a fact in, in the inbox's transaction. Facts that are none of auth's business are dropped."""
    if isinstance(fact, FormPublished):
        project_form(SqlForms(session), fact)
    elif isinstance(fact, IdentityProviderPublished):
        project_provider(SqlProviders(session), fact, envelope.recorded_at)
    elif isinstance(fact, PersonPublished):
        project_person(SqlPersons(session), fact)
    elif isinstance(fact, AdministratorPublished):
        project_administrator(
            SqlTransaction(session), randomness, fact, link_for=link, now=envelope.recorded_at,
            trace_id=envelope.trace_id,
        )  # fmt: skip
    elif isinstance(fact, AdministratorSeen):
        SqlAdministratorSessions(session).seen_at_console(fact.administrator_id, fact.session, fact.seen_at)


def migrations(database: Database) -> Migrations:
    """auth's migrations on `database`."""
    return Migrations(database, tables.metadata, Path(__file__).parent / "migrations")
