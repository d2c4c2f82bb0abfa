"""What the use cases need from the outside, as protocols. `adapters/` implements them, `bootstrap.py` joins."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, TypeVar

from cryptography import x509

from keystead_contracts.base import Message
from keystead_enroll.domain.administration import Administrator, ApiToken, ConsoleSession, Scope
from keystead_enroll.domain.attestation_state import AttestationChallenge, DeviceAttestationKey, OrderEvidence
from keystead_enroll.domain.certificate_record import Certificate, IntentState, IssuanceIntent
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.enrollment import (
    CertificateProfile,
    Department,
    EnrollmentForm,
    LicenceTerms,
    Organization,
    WebFormAccount,
)
from keystead_enroll.domain.figures import Figures
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.issuance import IssuableOrder
from keystead_enroll.domain.jobs import Job
from keystead_enroll.domain.lint import Finding
from keystead_enroll.domain.orders import Claim, Device, Order, OrderTransition
from keystead_enroll.domain.outcomes import Outcome
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.registration_tokens import RegistrationToken
from keystead_enroll.domain.search import ListDefinition, Page, PageWanted, Search
from keystead_enroll.domain.shapes import Shape
from keystead_enroll.domain.visits import PortalSession
from keystead_enroll.ports_bulk import BulkTransaction
from keystead_enroll.ports_status import StatusTransaction
from keystead_kit.clock import Clock

T = TypeVar("T")

__all__ = [
    "Clock",
    "Issuer",
    "Linter",
    "PasswordHasher",
    "RateLimits",
    "Secrets",
    "Transaction",
    "TransactionTogether",
    "Transactions",
    "TransactionsTogether",
]


class Transaction(BulkTransaction, StatusTransaction, Protocol):
    """One database transaction. What `ring` and `wake` ask for happens after the commit."""

    def form_by_uri(self, uri_extension: str) -> EnrollmentForm | None: ...
    def form(self, form_id: str) -> EnrollmentForm: ...

    def form_of(self, asked: Order | Certificate) -> EnrollmentForm | None:
        """The form by which a person asked for it; None if it came by another channel."""
        ...

    def forms(self) -> Sequence[EnrollmentForm]: ...
    def accounts(self, form_id: str) -> Sequence[WebFormAccount]: ...
    def account(self, account_id: str) -> WebFormAccount | None: ...
    def account_with_code(self, access_code_digest: str) -> WebFormAccount | None: ...
    def accounts_with_profile(self, profile_id: str) -> Sequence[WebFormAccount]: ...
    def organization(self, organization_id: str) -> Organization: ...
    def organizations(self) -> Sequence[Organization]: ...
    def department(self, department_id: str) -> Department: ...
    def departments(self) -> Sequence[Department]: ...
    def profile(self, profile_id: str) -> CertificateProfile | None: ...
    def profiles(self) -> Sequence[CertificateProfile]: ...
    def registration_token(self, digest: str) -> RegistrationToken | None: ...
    def registration_tokens(self) -> Sequence[RegistrationToken]: ...

    def count_registration(self, token_id: str, now: datetime, number: int = 1) -> bool:
        """Counts new devices of this token; False if it does not register so many any more. However many are counted at
        once, the limit holds; whoever counts another waits until this transaction ends, so do this last."""
        ...

    def forget_registration(self, token_id: str) -> None:
        """Takes one device of this token out of the count."""
        ...

    def licence(self) -> LicenceTerms | None: ...
    def licences(self) -> Sequence[LicenceTerms]: ...
    def licence_version(self, version: str) -> LicenceTerms | None: ...

    def homes(self, values: Collection[str]) -> Sequence[Organization | Department]:
        """Those whose `home_organization` is one of these, whatever the case."""
        ...

    def persons_by_email(self, email: str) -> Sequence[Person]:
        """The Persons of all organizations who have this address."""
        ...

    def session_of(self, digest: str, *, lock: bool = False) -> PortalSession | None:
        """The session; with `lock` its visit does one thing at a time."""
        ...

    def end_session(self, session: PortalSession) -> None: ...

    def burn_identity(self, jti: str, now: datetime) -> bool:
        """Remembers an identity token's id; False if it was seen before."""
        ...

    def identity_burned(self, jti: str) -> bool:
        """Whether `burn_identity` was told of this id."""
        ...

    def order(self, order_id: str, *, lock: bool = False) -> Order | None:
        """The order; with `lock` nobody else changes it before this transaction ends."""
        ...

    def order_of_request(self, request_digest: str) -> Order | None: ...

    def open_orders(self, account_id: str, email: str) -> int:
        """How many of the person's orders with this account have not ended."""
        ...

    def give_key(self, order: Order, spki_sha256: str) -> bool:
        """Notes the order's key; False if another order has it."""
        ...

    def orders_of(self, form_id: str, email: str) -> Sequence[Order]: ...

    def claim_accepted_orders(self, limit: int) -> Sequence[IssuableOrder]:
        """Orders in csr_accepted, locked; those another worker holds are left out. The more urgent come first; of the
        same urgency each organization has its share, the oldest of its orders."""
        ...

    def claim_deserted_orders(self, before: datetime, limit: int) -> Sequence[Order]:
        """Orders that wait for a link's agent which could go on until `before` or earlier, locked, in the order of
        their ids; those another worker holds are left out."""
        ...

    def claim_stale_intents(self, now: datetime, limit: int) -> Sequence[IssuanceIntent]:
        """Intents that were to be signed by a worker whose lease is over, locked."""
        ...

    def orders_to_store(self, order_ids: Iterable[str]) -> Sequence[IssuableOrder]:
        """Those of these orders that are still being signed, locked, in the order of their ids."""
        ...

    def log_transitions(self, lines: Sequence[OrderTransition]) -> None:
        """Takes orders to the targets of these lines, which the transition table allowed, and keeps the lines."""
        ...

    def settle_intents(self, order_ids: Iterable[str], state: IntentState) -> None:
        """These orders' intents are no longer to be signed."""
        ...

    def add_orders(self, orders: Sequence[Order]) -> Collection[str]:
        """Stores new orders whose key no other order has, with their logs; the ids of those. What changes in them later
        is not stored."""
        ...

    def outcomes(self, order_ids: Collection[str]) -> Sequence[Outcome]:
        """Where these orders stand, with their certificates."""
        ...

    def add_many(self, entities: Iterable[object]) -> None:
        """Stores new entities at once, all of a kind with one statement. What changes in them later is not stored."""
        ...

    def record_many(self, facts: Sequence[tuple[Message, str]], *, destination: str) -> None:
        """`record` for each (fact, trace id), with one statement."""
        ...

    def intent(self, order_id: str) -> IssuanceIntent | None: ...
    def certificate_of(self, order_id: str) -> Certificate | None: ...

    def certificate(self, certificate_id: str, *, lock: bool = False) -> Certificate | None:
        """The certificate; with `lock` nobody else changes it before this transaction ends. Lock its order first."""
        ...

    def certificates_of(self, form_id: str, email: str) -> Sequence[Certificate]: ...
    def enrollment_claim(self, token_digest: str, *, lock: bool = False) -> Claim | None: ...
    def claim_of(self, recipient: str) -> Claim | None: ...
    def device(self, device_id: str, *, lock: bool = False) -> Device | None: ...
    def device_by_key(self, spki_sha256: str) -> Device | None: ...
    def devices_of(self, email: str, organization_id: str) -> Sequence[Device]:
        """The person's devices that may be given something to do."""
        ...

    def open_orders_for(self, recipient: str) -> Sequence[Order]:
        """Orders that have not ended and that this recipient works on, locked, in the order of their ids."""
        ...

    def certificates_for(self, recipient: str, limit: int) -> Sequence[Certificate]:
        """The newest certificates of orders that this recipient worked on, newest first."""
        ...

    def device_streams_began(self, device_ids: Collection[str], holder: str, now: datetime) -> None:
        """The web process `holder` has the newest stream of each of these devices."""
        ...

    def device_streams_go_on(self, device_ids: Collection[str], holder: str, now: datetime) -> None:
        """They are still open there; where a newer one is open elsewhere, that one counts."""
        ...

    def device_streams_ended(self, device_ids: Collection[str], holder: str) -> None:
        """They are no longer open there."""
        ...

    def device_with_tpm(self, organization_id: str, ek_sha256: str) -> Device | None: ...

    def challenge(self, challenge_id: str) -> AttestationChallenge | None:
        """The challenge, locked: nobody else answers it before this transaction ends."""
        ...

    def open_challenges(self, recipient: str, now: datetime) -> Sequence[AttestationChallenge]:
        """Those that this recipient may still answer, oldest first."""
        ...

    def attestation_key(self, recipient: str, name: str) -> DeviceAttestationKey | None:
        """The device's attestation key with this Name (hex)."""
        ...

    def attestation_keys(self, recipient: str) -> Sequence[DeviceAttestationKey]:
        """The device's attestation keys, newest first."""
        ...

    def forget_attestation(self, recipient: str) -> None:
        """Deletes the recipient's attestation keys and challenges."""
        ...

    def hand_over(self, giver: str, taker: str) -> None:
        """What one recipient worked on and is to do becomes another's."""
        ...

    def evidence_of(self, order_id: str) -> OrderEvidence | None: ...
    def job(self, job_id: str, *, lock: bool = False) -> Job | None: ...

    def open_jobs(self, recipient: str, limit: int = 100) -> Sequence[Job]:
        """What this recipient is to do, in order; nothing if it is a device that was removed."""
        ...

    def open_jobs_of_each(self, recipients: Collection[str], limit: int) -> Mapping[str, Sequence[Job]]:
        """What each of these recipients is to do, in order, the first `limit` of it. Devices that were removed are
        left out."""
        ...

    def open_jobs_of_order(self, order_id: str) -> Sequence[Job]: ...

    def figures(self, scope: Scope, now: datetime) -> Figures:
        """The dashboard's numbers of what is in `scope`."""
        ...

    def page(self, definition: ListDefinition[T], scope: Scope, wanted: PageWanted) -> Page[T]:
        """The part of a list that is in `scope` and that is wanted. Raises CursorInvalid."""
        ...

    def count(self, definition: ListDefinition[Any], scope: Scope, search: Search) -> int:
        """How many there are in `scope` that fit `search`."""
        ...

    def in_reach(self, definition: ListDefinition[T], scope: Scope, entity_id: str) -> T | None:
        """The one of the list with this id, if it is in `scope`."""
        ...

    def get(self, entity: type[T], entity_id: str) -> T | None:
        """The one with this id, whoever asks."""
        ...

    def named(self, entity: type[object], name: str, *, but: str = "") -> bool:
        """Whether one of these, other than the one with the id `but`, has this name."""
        ...

    def form_called(self, name: str, organization_ids: Collection[str], *, but: str = "") -> bool:
        """Whether a form, other than the one with the id `but`, has this name in one of these organizations; without
        any: among those that are delegated to all."""
        ...

    def remove_unused(self, entity: object) -> bool:
        """Deletes an entity at once; False, and it stays, if anything refers to it."""
        ...

    def earlier(self, actor_id: str, key: str, request_digest: str, fresh_id: str, now: datetime) -> str | None:
        """Remembers that this idempotency key of the actor makes `fresh_id`; the id it made before, if it did. Raises
        KeyReused if it came with another request then."""
        ...

    def administrator_by_email(self, email: str) -> Administrator | None: ...

    def lock_administrator(self, administrator_id: str) -> None:
        """Whatever else locks this administrator waits until this transaction ends."""
        ...

    def active_masters(self) -> Sequence[Administrator]:
        """Those who may sign in and do everything, locked: nobody else takes one away before this transaction ends."""
        ...

    def claim_approvers(self, before: datetime) -> Sequence[Administrator]:
        """Active administrators whom nobody has written since `before` that requests wait for approval, if there is one
        of which they were never told, locked; those another worker holds are left out."""
        ...

    def untold_requests(self, administrator: Administrator, limit: int) -> Sequence[Order]:
        """Requests that wait for approval, that this administrator may decide and was never told of, oldest first."""
        ...

    def note_told(self, administrator: Administrator, orders: Sequence[Order], now: datetime) -> None:
        """Remembers that the administrator is told of these requests."""
        ...

    def identity_providers(self) -> Sequence[IdentityProvider]: ...

    def persons_with(self, organization_id: str, emails: Collection[str]) -> Sequence[Person]:
        """The organization's persons who have one of these addresses."""
        ...

    def endorsement_rulings(
        self, organization_id: str, only: Collection[str] | None = None
    ) -> Sequence[tuple[str, Ruling]]:
        """Fingerprint and ruling of the endorsement keys that this organization or all have entries of, or of `only`
        those."""
        ...

    def endorsement_keys_with(self, fingerprints: Collection[str]) -> Sequence[EndorsementKey]:
        """The entries of these fingerprints, of whichever organization."""
        ...

    def tokens_of(self, administrator_id: str) -> Sequence[ApiToken]:
        """The administrator's tokens, newest first."""
        ...

    def end_console_sessions(self, administrator_id: str, before: datetime | None = None) -> None:
        """Signs the administrator out everywhere, or where they came at `before` or earlier."""
        ...

    def end_console_sessions_of(self, administrator_id: str, sign_in: str) -> None:
        """Signs the administrator out where this sign-in brought them."""
        ...

    def api_tokens(self, digests: Collection[str]) -> Sequence[ApiToken]:
        """The tokens with these digests, in the order of their ids."""
        ...

    def administrators(self, ids: Collection[str]) -> Sequence[Administrator]:
        """Those of these who exist."""
        ...

    def console_session(self, digest: str) -> ConsoleSession | None: ...

    def add(self, entity: object) -> None:
        """Stores a new entity."""
        ...

    def add_first(self, entity: object) -> bool:
        """Stores a new entity at once; False if one that must not be there twice is there already."""
        ...

    def set_first(self, entity: object, values: Mapping[str, object]) -> bool:
        """Sets attributes of a stored entity at once; False, and they stay, if that would be there twice."""
        ...

    def remove(self, entity: object) -> None:
        """Deletes an entity."""
        ...

    def savepoint(self) -> AbstractContextManager[object]:
        """A block whose changes alone are taken back if it raises."""
        ...

    def flush(self) -> None:
        """Writes what was added so far, so that the database's own checks and numbers apply."""
        ...

    def undo(self) -> None:
        """Takes back all that this transaction did; the last that is asked of it."""
        ...

    def record(self, fact: Message, *, destination: str, trace_id: str | None = None) -> None:
        """Tells another service a fact, through the outbox."""
        ...

    def ring(self) -> None:
        """There is work for this service's workers."""
        ...

    def wake(self, *topics: str) -> None:
        """Wakes open streams: `recipient:<recipient>`, `order:<id>`."""
        ...


class Transactions(Protocol):
    """Opens transactions."""

    def write(self) -> AbstractContextManager[Transaction]:
        """Committed when the block ends, rolled back when it raises."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """Changes nothing."""
        ...


class TransactionTogether(Transaction, Protocol):
    """One transaction for several who ask at once. What is foreseen is read at once, and locked where it is to be
    changed; other methods then answer from memory. `add_first` and its like answer True and undo everything in the end
    if that was wrong."""

    def foresee_registrations(self, token_digests: Collection[str], keys: Collection[str]) -> None:
        """Tokens, and the devices of keys (`Device.spki_sha256`) with their challenges."""
        ...

    def foresee_endorsements(self, fingerprints: Collection[str]) -> None:
        """What is held of endorsement keys, and the devices that have them."""
        ...

    def foresee_challenges(self, challenge_ids: Collection[str]) -> None:
        """Challenges, and the devices of their recipients with their attestation keys."""
        ...

    def foresee_devices(self, device_ids: Collection[str]) -> None:
        """Devices, to be read."""
        ...

    def foresee_reports(self, job_ids: Collection[str]) -> None:
        """Jobs, their orders and certificates, and who has to do them, with what is held of their TPMs."""
        ...


class TransactionsTogether(Transactions, Protocol):
    """Opens transactions, also for several who ask at once."""

    def write_together(self) -> AbstractContextManager[TransactionTogether]:
        """As `write`. Raises if anything would be there twice, at the latest when the block ends."""
        ...

    def away(self, error: Exception) -> bool:
        """Whether the error says that the database cannot be used now: then nobody need try alone."""
        ...


class Issuer(Protocol):
    """A CA that signs what was linted."""

    @property
    def issuer_certificate(self) -> x509.Certificate:
        """The issuing CA's certificate."""
        ...

    @property
    def chain(self) -> list[str]:
        """PEM certificates, issuing CA first, without the root."""
        ...

    @property
    def root(self) -> str:
        """The root's PEM certificate."""
        ...

    def sign(self, precertificate_der: bytes) -> bytes:
        """The certificate in DER: the same to-be-signed bytes, signed by the CA. Raises domain Refusals."""
        ...


class Linter(Protocol):
    """Checks a certificate before it is signed."""

    def lint(self, der: bytes) -> tuple[Finding, ...]:
        """What RFC 5280 has against the certificate."""
        ...


class ShapeMemory(Protocol):
    """Remembers the shapes of certificates in which a full lint found nothing that refuses."""

    def knows(self, shape: Shape) -> bool: ...
    def remember(self, shape: Shape) -> None: ...
    def forget(self, shape: Shape) -> None: ...


class RateLimits(Protocol):
    """Counts attempts."""

    def hit(self, limit: str, *key: str) -> int | None:
        """Counts one; None if it may go on, else the seconds to wait."""
        ...

    def check(self, limit: str, *key: str) -> int | None:
        """As `hit`, and counts nothing."""
        ...

    def left(self, limit: str, *key: str) -> int:
        """How many are left now; counts nothing."""
        ...

    def forget(self, limit: str, *key: str) -> None:
        """Gives back every one that was counted."""
        ...


class Secrets(Protocol):
    """Keyed digests and tokens, under the service's keys."""

    def access_code_digest(self, code: str) -> str: ...
    def registration_digest(self, token: str) -> str: ...
    def claim_token(self, claim_id: str) -> str: ...
    def agent_token(self, recipient: str, now: datetime) -> tuple[str, int]: ...


class PasswordHasher(Protocol):
    """Hashes what persons know, slowly (tens of milliseconds): never within a transaction."""

    def hash(self, text: str) -> str:
        """`text` as an argon2id PHC string, another one each time."""
        ...

    def verify(self, text: str, phc: str) -> bool:
        """Whether `phc` was made of `text`."""
        ...


NewId = Callable[[], str]
