"""What console forms offer to choose from, and the words for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from keystead_contracts.base import AssuranceLevel, CertificateScope, CertificateType, KeyAlgorithm
from keystead_contracts.identity import SignInMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.endorsement_keys import Ruling
from keystead_enroll.domain.enrollment import Authorization, CsrGenerationMethod, Organization
from keystead_enroll.domain.idp_mapping import MatchType
from keystead_enroll.domain.key_usages import KeyUsage
from keystead_enroll.domain.lists import ORGANIZATIONS
from keystead_enroll.domain.orders import Channel
from keystead_enroll.domain.search import MOST_ROWS, ListDefinition, PageWanted, Search
from keystead_enroll.ports import Transaction
from keystead_enroll.web.console.cells import Cell, several, tag, text
from keystead_enroll.web.console.form_widgets import FormField, Option
from keystead_enroll.web.console.mistakes import Wrong
from keystead_enroll.web.console.tools import Posted
from keystead_kit.drafts import Draft

T = TypeVar("T")
MOST_OFFERED = 1000
ALL, LISTED = "all", "listed"
TYPES: Mapping[CertificateType, str] = {
    CertificateType.CLIENT: Words("Client"),
    CertificateType.DEVICE: Words("Device"),
    CertificateType.SSL: Words("SSL"),
}
CHANNELS: Mapping[Channel, str] = {
    Channel.FORM: Words("Form"),
    Channel.BULK: Words("Bulk job"),
    Channel.API: Words("API"),
}
METHODS: Mapping[SignInMethod, str] = {
    SignInMethod.EMAIL: Words("E-mail"),
    SignInMethod.IDP: Words("Identity provider"),
    SignInMethod.SECRET_ID: Words("Secret ID"),
}
AUTHORIZATIONS: Mapping[Authorization, str] = {
    Authorization.NONE: Words("Nothing more"),
    Authorization.ACCESS_CODE: Words("Access code"),
    Authorization.IDP_MAPPING: Words("Identity provider mapping"),
}
MATCHES: Mapping[MatchType, str] = {
    MatchType.MATCHES: Words("is one of"),
    MatchType.CONTAINS: Words("contains one of"),
}
CSR_METHODS: Mapping[CsrGenerationMethod, str] = {
    CsrGenerationMethod.AGENT: Words("Keystead Agent"),
    CsrGenerationMethod.PROVIDED: Words("Provided CSR"),
}
ASSURANCES: Mapping[AssuranceLevel, str] = {
    AssuranceLevel.SOFTWARE: Words("None: a key in software will do"),
    AssuranceLevel.CLAIMED: Words("The agent says that the key is in a TPM"),
    AssuranceLevel.ATTESTED: Words("The TPM attests the key"),
    AssuranceLevel.LISTED: Words("The TPM attests the key and is on the organization's list"),
    AssuranceLevel.VENDOR: Words("The TPM attests the key and its maker vouches for it"),
}
SCOPES: Mapping[CertificateScope, str] = {
    CertificateScope.USER: Words("The person's"),
    CertificateScope.MACHINE: Words("The whole computer's"),
}
RULINGS: Mapping[Ruling, str] = {
    Ruling.ALLOW: Words("Allowed"),
    Ruling.DENY: Words("Refused"),
}
KEY_USAGES: Mapping[KeyUsage, str] = {
    KeyUsage.DIGITAL_SIGNATURE: Words("Sign"),
    KeyUsage.CONTENT_COMMITMENT: Words("Commit to content (non-repudiation)"),
    KeyUsage.KEY_ENCIPHERMENT: Words("Decipher keys (RSA)"),
    KeyUsage.DATA_ENCIPHERMENT: Words("Decipher data (RSA)"),
    KeyUsage.KEY_AGREEMENT: Words("Agree on keys (ECDSA)"),
}
USAGES: Mapping[str, str] = {
    "clientAuth": Words("Sign in to servers (TLS)"),
    "emailProtection": Words("Sign e-mail (S/MIME)"),
    "smartcardLogon": Words("Sign in to Windows"),
    "documentSigning": Words("Sign documents"),
    "serverAuth": Words("Be a server (TLS)"),
}
KEYS: Mapping[KeyAlgorithm, str] = {
    KeyAlgorithm.EC_P256: "ECDSA P-256",
    KeyAlgorithm.EC_P384: "ECDSA P-384",
    KeyAlgorithm.RSA_2048: "RSA 2048",
    KeyAlgorithm.RSA_3072: "RSA 3072",
    KeyAlgorithm.RSA_4096: "RSA 4096",
}


def options(words: Mapping[T, str]) -> tuple[Option, ...]:
    """All of an enumeration."""
    return tuple(Option(str(value), label) for value, label in words.items())


def rule_words(rule: Mapping[str, object]) -> str:
    """A rule over what an identity provider says."""
    values = rule["values"]
    return Words(
        "{attribute} {compared}: {values}",
        attribute=str(rule["key"]),
        compared=MATCHES[MatchType(str(rule["match_type"]))],
        values=", ".join(values) if isinstance(values, list) else str(values),
    )


def state_of(active: bool) -> Cell:
    """Whether a thing is in use."""
    return tag("good", Words("Active")) if active else tag("calm", Words("Withdrawn"))


def every(tx: Transaction, actor: Actor, definition: ListDefinition[T], search: Search | None = None) -> list[T]:
    """All of a list that the actor sees, up to a thousand."""
    found: list[T] = []
    after: str | None = None
    while len(found) < MOST_OFFERED:
        page = tx.page(definition, actor.scope, PageWanted(search or Search(), limit=MOST_ROWS, after=after))
        found += page.items
        after = page.next
        if after is None:
            break
    return found


def kept(
    draft: Draft, stored: Mapping[str, str | Sequence[str]], checks: Collection[str]
) -> dict[str, str | Sequence[str]]:
    """A form's values: what was typed before, or else what is stored. `checks` are the fields with several."""
    if not draft.values:
        return dict(stored)
    values: dict[str, str | Sequence[str]] = dict(draft.values)
    return values | {name: draft.values.get(name, "").split("\n") for name in checks}


def delegation_fields(tx: Transaction, actor: Actor, delegated: Iterable[str]) -> tuple[FormField, ...]:
    """To all organizations, or to those that are checked. One who is no master delegates to their own alone."""
    offered = {organization.id: organization.name for organization in every(tx, actor, ORGANIZATIONS)}
    for one in actor.scope.seen(delegated):
        found = tx.get(Organization, one)
        if found is not None:
            offered.setdefault(one, found.name)
    listed = FormField(
        "organization_ids",
        Words("Organizations"),
        "checks",
        options=tuple(Option(one, name) for one, name in offered.items()),
    )
    if not actor.scope.everything:
        return (listed,)
    whom = (Option(ALL, Words("All organizations")), Option(LISTED, Words("Those that are checked here")))
    return (FormField("delegation", Words("Delegated to"), "radios", options=whom), listed)


def delegated_values(organization_ids: Sequence[str]) -> dict[str, str | Sequence[str]]:
    """What is stored of a delegation, for its fields."""
    return {"delegation": LISTED if organization_ids else ALL, "organization_ids": organization_ids}


def delegation_of(posted: Posted) -> list[str] | Wrong:
    """The organizations that were chosen; none for all. Nothing checked is wrong: it would mean everybody."""
    if posted.text("delegation") == ALL:
        return []
    return posted.many("organization_ids") or Wrong({"organization_ids": Words("Check at least one organization.")})


def delegation_cell(tx: Transaction, actor: Actor, organization_ids: Sequence[str]) -> Cell:
    """Whom a thing is delegated to, as far as the actor sees them."""
    if not organization_ids:
        return text(Words("All organizations"))
    found = (tx.get(Organization, one) for one in actor.scope.seen(organization_ids))
    return several([organization.name for organization in found if organization is not None])
