"""Facts about who may sign in: persons, administrators, identity providers; and the letters that invite them.

enroll owns these records and publishes each change; auth keeps the newest of each id (`version` rises with each change
of the record) and lets people in by it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from keystead_contracts.base import AwareDatetime, EmailAddress, LanguageTag, Message, PlainText


class PersonPublished(Message):
    """enroll → auth: a Person was created, changed or removed. `secret_id_hash` is an argon2id PHC string; None if the
    person has no Secret ID."""

    type: Literal["person_published"] = "person_published"
    person_id: str
    version: int
    organization_id: str
    email: EmailAddress
    name: PlainText
    secret_id_hash: str | None = None
    removed: bool = False


class AdministratorMethod(StrEnum):
    """How an administrator signs in: a password and a one-time code (RFC 6238), or through an identity provider."""

    PASSWORD = "password"  # noqa: S105 the name of a method, not a secret
    IDP = "idp"


class AdministratorPublished(Message):
    """enroll → auth: an administrator was created, changed or removed (not `active`). auth invites a new one who signs
    in with a password. What they may do is enroll's business alone."""

    type: Literal["administrator_published"] = "administrator_published"
    administrator_id: str
    version: int
    email: EmailAddress
    name: PlainText
    methods: list[AdministratorMethod]
    active: bool = True
    invited_by: PlainText = ""
    invitation: int = 0
    """Rises when the administrator is to have a (new) invitation."""


class AdministratorSignInsEnded(Message):
    """auth → enroll: what an administrator began before `ended_at` is over, because their password or authenticator
    was set anew, or they said so: no console that was opened then stays open. With `session` only what that sign-in
    opened (`AdministratorClaims.session`)."""

    type: Literal["administrator_sign_ins_ended"] = "administrator_sign_ins_ended"
    administrator_id: str
    ended_at: AwareDatetime
    session: str = ""


class AdministratorSeen(Message):
    """enroll → auth: the console that this sign-in (`AdministratorClaims.session`) opened was used."""

    type: Literal["administrator_seen"] = "administrator_seen"
    administrator_id: str
    session: str
    seen_at: AwareDatetime


class IdentityProviderKind(StrEnum):
    """The protocol that an identity provider speaks."""

    SAML = "saml"
    OIDC = "oidc"


class IdentityProviderPublished(Message):
    """enroll → auth: an identity provider was set up, changed or withdrawn.

    SAML has `metadata_url` (https, refreshed) or `metadata_xml`. OpenID Connect has `issuer`, `client_id` and the name
    of the client secret, which auth reads from its own secrets: no secret is in here. `attributes` maps a name of
    `keystead_contracts.identity.ATTRIBUTES` to the name by which this provider sends it, where that is none of the
    usual ones. `organization_ids` are those it may speak for, empty for all.
    """

    type: Literal["identity_provider_published"] = "identity_provider_published"
    identity_provider_id: str
    version: int
    name: PlainText
    kind: IdentityProviderKind
    metadata_url: str | None = None
    metadata_xml: Annotated[str, Field(max_length=262_144)] | None = None
    metadata_certificate: Annotated[str, Field(max_length=16_384)] | None = None
    """PEM: metadata from `metadata_url` is taken only if its key signed it. None: as it comes over https."""
    issuer: str | None = None
    client_id: str | None = None
    client_secret_name: str | None = None
    attributes: dict[str, str] = Field(default_factory=dict)
    organization_ids: list[str] = Field(default_factory=list)
    for_persons: bool = True
    for_administrators: bool = False
    idp_initiated: bool = False
    """Whether responses that nobody asked for are taken (SAML profiles, section 4.1.5)."""
    withdrawn: bool = False


class IdentityProviderState(StrEnum):
    """Whether people can sign in through it now."""

    READY = "ready"
    FAILED = "failed"


class IdentityProviderChecked(Message):
    """auth → enroll: what auth made of a provider's metadata, when it first read it and whenever that changes."""

    type: Literal["identity_provider_checked"] = "identity_provider_checked"
    identity_provider_id: str
    version: int
    state: IdentityProviderState
    checked_at: AwareDatetime
    entity_id: str = ""
    detail: PlainText = ""
    detail_words: dict[str, Any] | None = None
    """The same (`keystead_contracts.words.to_plain`), to be said in another language."""
    valid_until: AwareDatetime | None = None
    """The earliest end of its metadata and of its signing certificates."""


class PersonInvited(Message):
    """enroll → notify: an administrator invites a person to a form."""

    type: Literal["person_invited"] = "person_invited"
    email: EmailAddress
    name: PlainText
    organization: str
    form_name: str
    form_url: str
    needs_secret_id: bool = False
    needs_access_code: bool = False
    invited_by: PlainText
    invited_at: AwareDatetime
    help_link: str | None = None
    language: LanguageTag = ""


class AdministratorInvited(Message):
    """auth → notify: an administrator is to choose a password, for the first time or anew."""

    type: Literal["administrator_invited"] = "administrator_invited"
    email: EmailAddress
    name: PlainText
    link: str
    purpose: Literal["invitation", "reset"] = "invitation"
    invited_by: PlainText = ""
    requested_at: AwareDatetime
    expires_at: AwareDatetime
    requested_from: str = ""
    language: LanguageTag = ""
