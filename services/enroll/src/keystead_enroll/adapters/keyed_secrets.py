"""The service's keys: digests of what people and machines show, and the tokens that agents carry."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime

from keystead_contracts.agent import AGENT_TOKEN_AUDIENCE
from keystead_kit.secrets import TokenSigner, TokenVerifier, keyed_digest

AGENT_TOKEN_ISSUER = "keystead-enroll"  # noqa: S105 an issuer's name


class KeyedSecrets:
    """The `Secrets` port under keys from the settings."""

    def __init__(self, access_code_key: bytes, link_key: bytes, signer: TokenSigner, token_seconds: int) -> None:
        self._access_code_key, self._link_key = access_code_key, link_key
        self._signer, self._token_seconds = signer, token_seconds
        self._verifier: TokenVerifier = signer.verifier()

    def access_code_digest(self, code: str) -> str:
        """How an access code is stored and compared: unique codes can be told, none can be read back."""
        return keyed_digest(self._access_code_key, "access-code", code)

    def registration_digest(self, token: str) -> str:
        """How a registration token is stored and compared."""
        return keyed_digest(self._access_code_key, "registration-token", token)

    def claim_token(self, claim_id: str) -> str:
        """The token of an enrollment link: an HMAC of its id, so that the page can show the link again."""
        digest = hmac.new(self._link_key, f"claim\n{claim_id}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def agent_token(self, recipient: str, now: datetime) -> tuple[str, int]:
        """A bearer token for `recipient`, and its life in seconds."""
        issued = int(now.timestamp())
        claims = {
            "iss": AGENT_TOKEN_ISSUER,
            "aud": AGENT_TOKEN_AUDIENCE,
            "sub": recipient,
            "iat": issued,
            "exp": issued + self._token_seconds,
        }
        return self._signer.sign(claims), self._token_seconds

    def agent_of(self, token: str) -> tuple[str, int]:
        """The recipient that a bearer token is for, and when it ends (seconds since the epoch).
        Raises jwt.InvalidTokenError."""
        claims = self._verifier.verify(token, issuer=AGENT_TOKEN_ISSUER, audience=AGENT_TOKEN_AUDIENCE)
        return str(claims["sub"]), int(claims["exp"])
