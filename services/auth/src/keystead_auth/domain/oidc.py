"""OpenID Connect as pure decisions: what a provider says of itself, and whether its ID token signs somebody in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from keystead_auth.domain.attributes import Sent
from keystead_auth.domain.idp_errors import (
    AudienceWrong,
    IdTokenWrong,
    IssuerWrong,
    MailUnverified,
    NotYetValid,
    RequestUnknown,
    TooLate,
)
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words

ALGORITHMS = ("RS256", "ES256", "PS256")
"""By which an ID token may be signed (RFC 7518 section 3.1). Never `none`, never by a secret that both sides know."""
SKEW = timedelta(minutes=2)
OLDEST = timedelta(hours=1)
MOST_KEYS = 20
LOOK_AGAIN = timedelta(hours=6)


class DiscoveryRefused(Refusal):
    """A provider's description with which nobody can sign in. `detail` tells an administrator what to change."""


@dataclass(frozen=True)
class OidcEntity:
    """An OpenID provider as it describes itself (OpenID Connect Discovery 1.0, section 3; RFC 8414; RFC 9207)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: tuple[str, ...]
    keys: tuple[Mapping[str, Any], ...]
    basic: bool
    """Whether our secret goes in a header, else in the form."""
    names_itself: bool
    """Whether its answers say whose they are (RFC 9207)."""

    def material(self) -> dict[str, Any]:
        """As JSON, for the database."""
        lists = {"algorithms": list(self.algorithms), "keys": [dict(key) for key in self.keys]}
        return asdict(self) | lists | {"entity_id": self.issuer}

    @classmethod
    def of(cls, material: Mapping[str, Any]) -> OidcEntity:
        """From `material`."""
        values = {name: value for name, value in material.items() if name != "entity_id"}
        return cls(**values | {"algorithms": tuple(values["algorithms"]), "keys": tuple(values["keys"])})


def discovery_address(issuer: str) -> str:
    """Where a provider describes itself."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def read_discovery(document: bytes, issuer: str, *, secure: bool) -> OidcEntity:
    """What the provider says of itself; its keys are yet to be read. `secure`: https alone. Raises DiscoveryRefused."""
    said = _object(document)
    if said.get("issuer") != issuer:
        raise DiscoveryRefused(Words("The provider calls itself otherwise than the issuer that is set here."))
    algorithms = tuple(name for name in ALGORITHMS if name in _texts(said, "id_token_signing_alg_values_supported"))
    if not algorithms:
        raise DiscoveryRefused(Words("The provider signs by none of {algorithms}.", algorithms=", ".join(ALGORITHMS)))
    if "code" not in _texts(said, "response_types_supported"):
        raise DiscoveryRefused(Words("The provider does not offer the authorization code flow."))
    challenges = _texts(said, "code_challenge_methods_supported")
    if challenges and "S256" not in challenges:
        raise DiscoveryRefused(Words("The provider does not take PKCE by S256."))
    methods = _texts(said, "token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return OidcEntity(
        issuer=issuer,
        authorization_endpoint=_address(said, "authorization_endpoint", secure),
        token_endpoint=_address(said, "token_endpoint", secure),
        jwks_uri=_address(said, "jwks_uri", secure),
        userinfo_endpoint=_address(said, "userinfo_endpoint", secure) if said.get("userinfo_endpoint") else None,
        algorithms=algorithms,
        keys=(),
        basic="client_secret_basic" in methods,
        names_itself=said.get("authorization_response_iss_parameter_supported") is True,
    )


def read_keys(document: bytes) -> tuple[Mapping[str, Any], ...]:
    """The public signing keys in a JWK set (RFC 7517 section 5). Raises DiscoveryRefused."""
    keys = _object(document).get("keys")
    if not isinstance(keys, list):
        raise DiscoveryRefused(Words("The provider's keys cannot be read."))
    wanted = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
    found = [
        {name: key[name] for name in (*wanted[key["kty"]], "kid", "alg") if isinstance(key.get(name), str)}
        for key in keys[:MOST_KEYS]
        if isinstance(key, dict) and key.get("kty") in wanted and key.get("use", "sig") == "sig"
    ]
    if not found:
        raise DiscoveryRefused(Words("The provider has no key that could sign."))
    return tuple(found)


@dataclass(frozen=True)
class ExpectedToken:
    """What a good ID token has."""

    issuer: str
    client_id: str
    nonce: str
    now: datetime


def judge_token(claims: Mapping[str, Any], expected: ExpectedToken) -> str:
    """The subject, if the token proves that they signed in just now, for us (OpenID Connect Core 1.0, section 3.1.3.7).

    Raises AnswerRefused. The caller has verified that the issuer signed the claims.
    """
    if claims.get("iss") != expected.issuer:
        raise IssuerWrong
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or expected.client_id not in audiences:
        raise AudienceWrong
    if claims.get("azp", expected.client_id) != expected.client_id or (len(audiences) > 1 and "azp" not in claims):
        raise AudienceWrong
    if claims.get("nonce") != expected.nonce:
        raise RequestUnknown
    if _moment(claims, "exp") <= expected.now - SKEW:
        raise TooLate
    made = _moment(claims, "iat")
    if made > expected.now + SKEW or ("nbf" in claims and _moment(claims, "nbf") > expected.now + SKEW):
        raise NotYetValid
    if made < expected.now - OLDEST:
        raise TooLate
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise IdTokenWrong("no subject")
    return subject


def check_source(entity: OidcEntity, named: str | None) -> None:
    """Whether an answer is of the provider that was asked, as far as it says so (RFC 9207). Raises IssuerWrong."""
    if named != entity.issuer and (named is not None or entity.names_itself):
        raise IssuerWrong


def sent_attributes(claims: Mapping[str, Any]) -> list[Sent]:
    """Texts, and lists of texts, among the claims. Raises MailUnverified if the provider has doubts of the address."""
    if "email" in claims and claims.get("email_verified", True) not in (True, "true"):
        raise MailUnverified
    sent = []
    for name, value in claims.items():
        values = value if isinstance(value, list) else [value]
        sent.append(Sent(name, tuple(each for each in values if isinstance(each, str))))
    return sent


def _object(document: bytes) -> dict[str, Any]:
    try:
        said = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise DiscoveryRefused(Words("The provider's description cannot be read.")) from error
    if not isinstance(said, dict):
        raise DiscoveryRefused(Words("The provider's description cannot be read."))
    return said


def _texts(said: Mapping[str, Any], name: str) -> list[str]:
    value = said.get(name)
    return [each for each in value if isinstance(each, str)] if isinstance(value, Iterable) else []


def _address(said: Mapping[str, Any], name: str, secure: bool) -> str:
    value = said.get(name)
    schemes = ("https",) if secure else ("https", "http")
    try:
        good = isinstance(value, str) and urlsplit(value).scheme in schemes and urlsplit(value).hostname
    except ValueError:
        good = None
    if not good:
        raise DiscoveryRefused(Words("The provider's {field} is no https address.", field=name))
    return str(value)


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise IdTokenWrong(f"no {name}")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise IdTokenWrong(f"{name} is no time") from error
