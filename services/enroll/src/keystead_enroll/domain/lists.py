"""Every list of the administration: what can be searched, and in which orders it comes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_contracts.people import IdentityProviderKind
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import ActorKind, Administrator, ApiToken, AuditEntry, Role
from keystead_enroll.domain.bulk_jobs import BulkFormat, BulkJob, BulkState
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.enrollment import (
    CertificateProfile,
    Department,
    EnrollmentForm,
    Organization,
    WebFormAccount,
)
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.orders import Channel, Device, Order, OrderState
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.registration_tokens import RegistrationToken, TokenState
from keystead_enroll.domain.search import Field, FieldKind, ListDefinition


def _choice(meaning: str, values: type[StrEnum] | Iterable[str]) -> Field:
    return Field(FieldKind.CHOICE, meaning, tuple(str(value) for value in values))


def _text(meaning: str) -> Field:
    return Field(FieldKind.TEXT, meaning)


_ORG = _text(Words("name of the organization"))
_DEPARTMENT = _text(Words("name of the department"))
_TYPE = _choice(Words("certificate type"), CertificateType)
_ACTIVE = Field(FieldKind.FLAG, Words("whether it is in use"))
_CREATED = Field(FieldKind.AGO, Words("when it was made"))

ORGANIZATIONS = ListDefinition(
    "organizations", Organization, {"domain": _text(Words("a delegated e-mail or DNS domain"))}, ("name",)
)
DEPARTMENTS = ListDefinition(
    "departments", Department, {"org": _ORG, "organization_id": Field(FieldKind.EXACT, Words("id"))}, ("name",)
)
PROFILES = ListDefinition(
    "profiles", CertificateProfile, {"type": _TYPE, "active": _ACTIVE, "created": _CREATED}, ("name",)
)
FORMS = ListDefinition("forms", EnrollmentForm, {"type": _TYPE, "active": _ACTIVE, "created": _CREATED}, ("name",))
ACCOUNTS = ListDefinition(
    "accounts",
    WebFormAccount,
    {
        "form_id": Field(FieldKind.EXACT, Words("id of the form")),
        "org": _ORG,
        "department": _DEPARTMENT,
        "active": _ACTIVE,
    },
    ("name",),
)
PERSONS = ListDefinition(
    "persons",
    Person,
    {
        "email": _text(Words("e-mail address")),
        "org": _ORG,
        "department": _DEPARTMENT,
        "secret_id": Field(FieldKind.FLAG, Words("whether there is a Secret ID")),
        "created": _CREATED,
    },
    ("email", "name"),
)
ORDERS = ListDefinition(
    "orders",
    Order,
    {
        "state": _choice(Words("where it stands"), OrderState),
        "type": _TYPE,
        "email": _text(Words("whose")),
        "org": _ORG,
        "department": _DEPARTMENT,
        "form": _text(Words("name of the form")),
        "profile": _text(Words("name of the certificate profile")),
        "key": _choice(Words("key algorithm"), KeyAlgorithm),
        "machine": _text(Words("computer")),
        "channel": _choice(Words("how it came"), Channel),
        "created": Field(FieldKind.AGO, Words("when it was asked for")),
        "trace": Field(FieldKind.EXACT, Words("reference that pages and logs show")),
    },
    ("created",),
    newest_first=True,
)
CERTIFICATES = ListDefinition(
    "certificates",
    Certificate,
    {
        "state": _choice(Words("what it is worth now"), ("valid", "expiring", "expired", "on_hold", "revoked")),
        "type": _TYPE,
        "email": _text(Words("whose")),
        "subject": _text("subject"),
        "serial": Field(FieldKind.EXACT, Words("serial number, hex")),
        "sha1": Field(FieldKind.EXACT, Words("SHA-1 fingerprint, hex")),
        "sha256": Field(FieldKind.EXACT, Words("SHA-256 fingerprint, hex")),
        "org": _ORG,
        "department": _DEPARTMENT,
        "form": _text(Words("name of the form")),
        "profile": _text(Words("name of the certificate profile")),
        "key": _choice(Words("key algorithm"), KeyAlgorithm),
        "assurance": _choice(Words("proof that the key is in a TPM"), AssuranceLevel),
        "machine": _text(Words("computer")),
        "issued": Field(FieldKind.AGO, Words("when it was issued")),
        "expires": Field(FieldKind.AHEAD, Words("when it ends")),
        "revoked": Field(FieldKind.AGO, Words("when it was revoked")),
    },
    ("issued", "expires", "subject", "email"),
    newest_first=True,
)
DEVICES = ListDefinition(
    "devices",
    Device,
    {
        "org": _ORG,
        "owner": _text(Words("whose")),
        "group": _text(Words("group of machines")),
        "token": _text(Words("name of the registration token by which it came")),
        "token_id": Field(FieldKind.EXACT, Words("id of that token")),
        "platform": _text(Words("operating system")),
        "assurance": _choice(Words("proof that the device's key is in a TPM"), AssuranceLevel),
        "connected": Field(FieldKind.FLAG, Words("whether it is connected now")),
        "registered": Field(FieldKind.AGO, Words("when it was registered")),
        "seen": Field(FieldKind.AGO, Words("when it was last seen")),
    },
    ("name", "registered"),
)
REGISTRATION_TOKENS = ListDefinition(
    "registration_tokens",
    RegistrationToken,
    {
        "state": _choice(Words("whether it lets machines in"), TokenState),
        "org": _ORG,
        "group": _text(Words("group of machines")),
        "owner": _text(Words("whose devices they will be")),
    },
    ("name",),
)
ENDORSEMENT_KEYS = ListDefinition(
    "endorsement_keys",
    EndorsementKey,
    {
        "ruling": _choice(Words("whether it is allowed or refused"), Ruling),
        "org": _ORG,
        "sha256": Field(FieldKind.EXACT, Words("SHA-256 of the endorsement key, hex")),
        "serial": _text(Words("the machine's serial number")),
        "model": _text(Words("the machine's model")),
        "added": Field(FieldKind.AGO, Words("when it was added")),
    },
    ("added", "label"),
    newest_first=True,
)
BULK_JOBS = ListDefinition(
    "bulk_jobs",
    BulkJob,
    {
        "state": _choice(Words("where it stands"), [state for state in BulkState if state is not BulkState.RECEIVING]),
        "type": _TYPE,
        "org": _ORG,
        "department": _DEPARTMENT,
        "profile": _text(Words("name of the certificate profile")),
        "format": _choice(Words("how the file is written"), BulkFormat),
        "by": _text(Words("who sent it")),
        "created": Field(FieldKind.AGO, Words("when it was sent")),
    },
    ("created",),
    newest_first=True,
)
IDENTITY_PROVIDERS = ListDefinition(
    "identity_providers",
    IdentityProvider,
    {"kind": _choice("protocol", IdentityProviderKind), "active": _ACTIVE},
    ("name",),
)
ADMINISTRATORS = ListDefinition(
    "administrators",
    Administrator,
    {"email": _text(Words("e-mail address")), "active": _ACTIVE, "role": _choice(Words("a role they have"), Role)},
    ("name", "email"),
)
API_TOKENS = ListDefinition(
    "api_tokens",
    ApiToken,
    {
        "administrator_id": Field(FieldKind.EXACT, Words("id of the owner")),
        "active": Field(FieldKind.FLAG, Words("not revoked")),
    },
    ("created",),
    newest_first=True,
)
AUDIT = ListDefinition(
    "audit",
    AuditEntry,
    {
        "action": _text(Words("what was done, such as organization.change")),
        "actor": _text(Words("who did it")),
        "kind": _choice(Words("what kind of actor"), ActorKind),
        "target": _text(Words("to what")),
        "target_id": Field(FieldKind.EXACT, Words("id of what it was done to")),
        "org": _ORG,
        "type": _TYPE,
        "address": Field(FieldKind.EXACT, Words("address it came from")),
        "trace": Field(FieldKind.EXACT, Words("reference that pages and logs show")),
        "at": Field(FieldKind.AGO, Words("when")),
    },
    ("at",),
    newest_first=True,
)
LISTS: tuple[ListDefinition[object], ...] = (
    ORGANIZATIONS, DEPARTMENTS, PROFILES, FORMS, ACCOUNTS, PERSONS, ORDERS, CERTIFICATES, DEVICES,
    REGISTRATION_TOKENS, ENDORSEMENT_KEYS, BULK_JOBS, IDENTITY_PROVIDERS, ADMINISTRATORS, API_TOKENS, AUDIT,
)  # type: ignore[assignment]  # fmt: skip
