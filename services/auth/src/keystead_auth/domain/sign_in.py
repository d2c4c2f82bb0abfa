"""Forms, requests for a link, links and sessions as auth knows them, and what their facts mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keystead_auth.domain.errors import FormUnknown, LinkExpired, LinkUnknown, LinkUsed, MethodNotOffered
from keystead_contracts.delegation import email_is_delegated
from keystead_contracts.identity import SignInMethod


@dataclass(frozen=True)
class Form:
    """An enrollment form as enroll last published it. `uri` is its URI extension."""

    uri: str
    version: int
    name: str
    organization: str
    methods: tuple[SignInMethod, ...]
    email_domains: tuple[str, ...]
    help_text: str = ""
    help_link: str | None = None
    withdrawn: bool = False
    organization_ids: tuple[str, ...] = ()

    def may_sign_in_by_email(self, email: str, *, known: bool = False) -> bool:
        """Whether this address gets a sign-in link: e-mail is offered, and the address's domain is delegated or a
        Person of the form's organizations has it (`known`)."""
        if self.withdrawn or SignInMethod.EMAIL not in self.methods:
            return False
        return known or email_is_delegated(email, self.email_domains)


def open_form(form: Form | None) -> Form:
    """`form`, if people can sign in to it. Raises FormUnknown."""
    if form is None or form.withdrawn:
        raise FormUnknown
    return form


def offering(form: Form | None, method: SignInMethod) -> Form:
    """`form`, if it offers `method`. Raises FormUnknown or MethodNotOffered."""
    known = open_form(form)
    if method not in known.methods:
        raise MethodNotOffered
    return known


@dataclass(frozen=True)
class SignInRequest:
    """Somebody typed an address. Nothing is decided yet."""

    id: str
    form: str
    email: str
    requested_at: datetime
    requested_from: str
    trace_id: str
    language: str = ""


class Decision(StrEnum):
    """What became of a request."""

    LINK_SENT = "link_sent"
    NOT_ELIGIBLE = "not_eligible"
    TOO_LATE = "too_late"


def decide(
    request: SignInRequest, form: Form | None, now: datetime, expires_at: datetime, *, known: bool = False
) -> Decision:
    """Whether `request` earns a link that would work until `expires_at`. `known`: see `Form.may_sign_in_by_email`."""
    if form is None or not form.may_sign_in_by_email(request.email, known=known):
        return Decision.NOT_ELIGIBLE
    return Decision.LINK_SENT if now < expires_at else Decision.TOO_LATE


@dataclass(frozen=True)
class Link:
    """A sign-in link. `digest` is the SHA-256 of its token; `used_by` the digest of the browser's visit value."""

    digest: str
    form: str
    email: str
    expires_at: datetime
    trace_id: str
    used_at: datetime | None = None
    used_by: str | None = None


def usable(link: Link | None, now: datetime) -> Link:
    """`link`, if pressing its button would sign in. Raises LinkUnknown, LinkUsed or LinkExpired."""
    if link is None:
        raise LinkUnknown
    if link.used_at is not None:
        raise LinkUsed(link.form)
    if now >= link.expires_at:
        raise LinkExpired(link.form)
    return link


@dataclass(frozen=True)
class Session:
    """A person who proved to read `email`, gave a Secret ID, or for whom an identity provider vouched. `digest` is the
    SHA-256 of the cookie's token; `link` the digest of what began it (a link, a provider's answer): sessions of one
    end together. `persons`: id → digest of the stored Secret ID that was given."""

    digest: str
    email: str
    method: SignInMethod
    link: str
    created_at: datetime
    expires_at: datetime
    identity_provider: str | None = None
    name: str | None = None
    attributes: Mapping[str, list[str]] = field(default_factory=dict)
    persons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SignedIn:
    """What a browser gets: a token for its session cookie (None: it keeps the one it has) and the identity token."""

    form: Form
    email: str
    identity_token: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    trace_id: str | None = None
