"""What auth uses beside its store: limits, bells, randomness, signers, and those who speak to identity providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from keystead_auth.domain.oidc import OidcEntity
from keystead_auth.domain.saml.metadata import SamlEntity


class Whose(StrEnum):
    """Whose secret somebody tries to give."""

    ADMINISTRATOR = "administrator"
    PERSON = "person"


@dataclass(frozen=True)
class Guess:
    """Somebody gives the secret of `email`. `browser` is the id of a browser in which its owner signed in before."""

    whose: Whose
    email: str
    client: str
    browser: str | None = None
    form: str | None = None


class Attempts(Protocol):
    """Rate limits."""

    def sign_in(self, client: str, email: str, form: str) -> int | None:
        """Counts a request for a link; None if it may go on, else seconds to wait. Nobody's requests make another
        person wait for good."""
        ...

    def confirm(self, client: str) -> int | None:
        """Counts nothing; None if this client may open a sign-in link, else seconds to wait."""
        ...

    def guessed(self, client: str) -> None:
        """Counts a sign-in link that does not exist."""
        ...

    def secret(self, guess: Guess) -> int | None:
        """Counts a try at a password or Secret ID; None if it may go on, else seconds to wait. Nobody's tries in
        another browser make the owner wait in a browser of their own."""
        ...

    def secret_wrong(self, guess: Guess) -> None:
        """Counts a wrong one against the client."""
        ...

    def secret_right(self, guess: Guess) -> None:
        """Gives back what was counted against the owner."""
        ...

    def code(self, administrator: str) -> int | None:
        """Counts a try at a one-time code; None if it may go on, else seconds to wait."""
        ...

    def code_right(self, administrator: str) -> None:
        """Gives back what was counted."""
        ...

    def reset(self, client: str, email: str) -> int | None:
        """Counts a forgotten password; None if it may go on, else seconds to wait."""
        ...

    def idp_begin(self, client: str) -> int | None:
        """Counts a sign-in that goes to an identity provider; None if it may go on, else seconds to wait."""
        ...

    def idp_answer(self, client: str) -> int | None:
        """Counts nothing; None if this client may bring an identity provider's answer, else seconds to wait."""
        ...

    def idp_refused(self, client: str) -> None:
        """Counts an answer that was refused."""
        ...


class Doorbell(Protocol):
    """Tells the worker that there is work."""

    def ring(self) -> None:
        """Never raises; a lost ring is made good by the worker's heartbeat."""
        ...


class Randomness(Protocol):
    """Where ids and tokens come from."""

    def new_id(self) -> str:
        """32 hex digits, unique."""
        ...

    def new_token(self) -> str:
        """256 random bits, URL-safe."""
        ...


class IdentitySigner(Protocol):
    """Signs identity tokens."""

    def sign(self, claims: dict[str, Any]) -> str:
        """The claims as an ES256 JWT."""
        ...


class OneTimeCodes(Protocol):
    """Secrets of authenticator apps (sealed: bound to their administrator, useless without our key), and recovery
    codes."""

    def new_secret(self, administrator: str) -> str:
        """A fresh secret, sealed."""
        ...

    def shown(self, sealed: str, administrator: str) -> str:
        """The secret as people type it (base32)."""
        ...

    def step(self, sealed: str, administrator: str, code: str, now: datetime) -> int | None:
        """The time step whose code this is, now or a step aside; None if it is none."""
        ...

    def new_recovery_codes(self, count: int) -> list[str]:
        """Fresh codes as people type them."""
        ...

    def recovery_digest(self, administrator: str, code: str) -> str:
        """How a recovery code is stored, however it was typed."""
        ...


class SignatureVerifier(Protocol):
    """Checks XML signatures. Nothing comes here that `domain.saml.signatures` has not screened."""

    def verify(self, document: bytes, element: str, id: str, certificate: str) -> bool:
        """Whether the signature within the `element` ("Response", "Assertion", or metadata's "EntityDescriptor" or
        "EntitiesDescriptor") with this `id` is by the key of `certificate` (base64 of DER)."""
        ...

    def decrypt(self, document: bytes) -> bytes:
        """The document with its encrypted assertion opened by one of our keys. Raises DecryptionFailed."""
        ...


class Fetcher(Protocol):
    """Gets public documents from identity providers."""

    def get(self, url: str) -> bytes:
        """The document. Raises domain.idp_errors.FetchFailed with words for an administrator."""
        ...

    def send(
        self, method: str, url: str, data: Mapping[str, str] | None = None, authorization: str | None = None
    ) -> bytes:
        """The body of the answer. Raises FetchFailed."""
        ...


@dataclass(frozen=True)
class SamlRequest:
    """How a browser takes an AuthnRequest to the provider: by an address to go to, or by a form to send there."""

    url: str
    fields: dict[str, str] | None = None


class SamlMessages(Protocol):
    """What we write in SAML."""

    @property
    def entity_id(self) -> str:
        """Our name."""
        ...

    @property
    def acs_url(self) -> str:
        """Where answers come."""
        ...

    def request(self, entity: SamlEntity, id: str, relay_state: str, now: datetime) -> SamlRequest:
        """A signed AuthnRequest."""
        ...

    def metadata(self) -> bytes:
        """Our own metadata."""
        ...


class ClientSecrets(Protocol):
    """Our secrets at OpenID providers."""

    def get(self, name: str) -> str:
        """The secret. Raises domain.idp_errors.SecretMissing."""
        ...


class IdTokens(Protocol):
    """Reads ID tokens."""

    def claims(self, token: str, keys: Sequence[Mapping[str, Any]], algorithms: Sequence[str]) -> dict[str, Any]:
        """The claims, if one of the keys signed them by one of the algorithms.

        Raises domain.idp_errors.KeyUnknown if none of them could have, else IdTokenWrong.
        """
        ...


class OidcMessages(Protocol):
    """What we write in OpenID Connect."""

    def redirect_uri(self, provider: str) -> str:
        """Where answers of this provider come."""
        ...

    def request(
        self, entity: OidcEntity, client_id: str, *, redirect_uri: str, state: str, nonce: str, code_verifier: str
    ) -> str:
        """The address of an authentication request, with PKCE."""
        ...

    def token_request(
        self,
        entity: OidcEntity,
        client_id: str,
        secret: str | None,
        *,
        redirect_uri: str,
        code: str,
        code_verifier: str,
    ) -> tuple[dict[str, str], str | None]:
        """The fields that turn a code into tokens, and the Authorization header, if one goes along."""
        ...
