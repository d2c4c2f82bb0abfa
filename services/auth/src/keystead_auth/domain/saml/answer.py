"""What a SAML response says, as plain values. Only elements that a verified signature covers come in here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from keystead_auth.domain.attributes import Sent
from keystead_auth.domain.idp_errors import UnexpectedShape
from keystead_auth.domain.saml.names import BEARER, ENTITY_FORMAT, SAML, SAMLP
from keystead_auth.domain.saml.xml import Element

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z")


@dataclass(frozen=True)
class Confirmation:
    """A bearer confirmation of the subject."""

    recipient: str | None
    in_response_to: str | None
    not_before: datetime | None
    not_on_or_after: datetime | None


@dataclass(frozen=True)
class Assertion:
    """What the identity provider asserts. `audiences`: one tuple for each restriction."""

    id: str
    issuer: str
    issued_at: datetime
    name_id: str
    name_id_format: str
    not_before: datetime | None
    not_on_or_after: datetime | None
    audiences: tuple[tuple[str, ...], ...]
    confirmations: tuple[Confirmation, ...]
    authenticated: bool
    """Whether it has a statement that the person was authenticated."""
    session_ends: datetime | None
    attributes: tuple[Sent, ...]


@dataclass(frozen=True)
class Answer:
    """A response. `signed`: whether its own signature, or only that of its assertion, was verified."""

    id: str
    issuer: str | None
    destination: str | None
    in_response_to: str | None
    status: tuple[str, ...]
    """The status code, and below it the one that says more, if any."""
    assertion: Assertion | None
    signed: bool


def read_answer(response: Element, assertion: Element | None, *, signed: bool) -> Answer:
    """The values of a response. Raises UnexpectedShape."""
    if response.attributes.get("Version") != "2.0":
        raise UnexpectedShape("not SAML 2.0")
    code = response.one(SAMLP, "Status").one(SAMLP, "StatusCode")
    inner = code.maybe(SAMLP, "StatusCode")
    issuer = response.maybe(SAML, "Issuer")
    return Answer(
        id=response.attributes.get("ID", ""),
        issuer=None if issuer is None else _issuer(issuer),
        destination=response.attributes.get("Destination"),
        in_response_to=response.attributes.get("InResponseTo"),
        status=tuple(each.attributes.get("Value", "") for each in (code, inner) if each is not None),
        assertion=None if assertion is None else _assertion(assertion),
        signed=signed,
    )


def _assertion(element: Element) -> Assertion:
    if element.attributes.get("Version") != "2.0" or not element.attributes.get("ID"):
        raise UnexpectedShape("not an assertion of SAML 2.0")
    issued_at = _moment(element, "IssueInstant")
    if issued_at is None:
        raise UnexpectedShape("no IssueInstant")
    subject, conditions = element.one(SAML, "Subject"), element.one(SAML, "Conditions")
    name_id = subject.maybe(SAML, "NameID")
    statements = element.all(SAML, "AuthnStatement")
    ends = [end for end in (_moment(each, "SessionNotOnOrAfter") for each in statements) if end is not None]
    return Assertion(
        id=element.attributes["ID"],
        issuer=_issuer(element.one(SAML, "Issuer")),
        issued_at=issued_at,
        name_id="" if name_id is None else name_id.words(),
        name_id_format="" if name_id is None else name_id.attributes.get("Format", ""),
        not_before=_moment(conditions, "NotBefore"),
        not_on_or_after=_moment(conditions, "NotOnOrAfter"),
        audiences=tuple(
            tuple(audience.words() for audience in restriction.all(SAML, "Audience"))
            for restriction in conditions.all(SAML, "AudienceRestriction")
        ),
        confirmations=tuple(
            _confirmation(each)
            for each in subject.all(SAML, "SubjectConfirmation")
            if each.attributes.get("Method") == BEARER
        ),
        authenticated=bool(statements),
        session_ends=min(ends, default=None),
        attributes=tuple(
            _attribute(attribute)
            for statement in element.all(SAML, "AttributeStatement")
            for attribute in statement.all(SAML, "Attribute")
        ),
    )


def _issuer(element: Element) -> str:
    if element.attributes.get("Format", ENTITY_FORMAT) != ENTITY_FORMAT:
        raise UnexpectedShape("an issuer that is no entity")
    return element.words()


def _confirmation(element: Element) -> Confirmation:
    data = element.maybe(SAML, "SubjectConfirmationData")
    if data is None:
        return Confirmation(None, None, None, None)
    return Confirmation(
        recipient=data.attributes.get("Recipient"),
        in_response_to=data.attributes.get("InResponseTo"),
        not_before=_moment(data, "NotBefore"),
        not_on_or_after=_moment(data, "NotOnOrAfter"),
    )


def _attribute(element: Element) -> Sent:
    """A value that is no text (a NameID, an address) is not for us."""
    values = [value for value in element.all(SAML, "AttributeValue") if not value.children]
    return Sent(element.attributes.get("Name", ""), tuple(value.words() for value in values))


def _moment(element: Element, name: str) -> datetime | None:
    """An xs:dateTime in UTC (SAML core, section 1.3.3)."""
    text = element.attributes.get(name)
    if text is None:
        return None
    found = _MOMENT.fullmatch(text.strip())
    try:
        return datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else _refuse_time(name)
    except ValueError:
        return _refuse_time(name)


def _refuse_time(name: str) -> datetime:
    raise UnexpectedShape(f"{name} is no time in UTC")
