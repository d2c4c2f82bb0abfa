"""OpenID Connect's messages and tokens, by Authlib and joserfc, and our secrets at its providers."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from keystead_auth.domain.idp_errors import IdTokenWrong, KeyUnknown, SecretMissing
from keystead_auth.domain.oidc import OidcEntity
from keystead_contracts.words import Words

SCOPES = "openid email profile"
LEAST_RSA_BITS = 2048
LONGEST_TOKEN = 64 * 1024
_SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SecretFolder:
    """`ports.ClientSecrets`: one file for each, in one folder. A name is a file name there and nothing else."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, name: str) -> str:
        """See the port."""
        missing = SecretMissing(
            Words("The client secret “{name}” is not in the folder KEYSTEAD_AUTH_OIDC_SECRETS.", name=name[:64])
        )
        if self._folder is None or not _SECRET_NAME.fullmatch(name):
            raise missing
        try:
            secret = (self._folder / name).read_text().strip()
        except (OSError, ValueError) as error:
            raise missing from error
        if not secret:
            raise missing
        return secret


class JoseIdTokens:
    """`ports.IdTokens`."""

    def claims(self, token: str, keys: Sequence[Mapping[str, Any]], algorithms: Sequence[str]) -> dict[str, Any]:
        """See the port."""
        if len(token) > LONGEST_TOKEN:
            raise IdTokenWrong("too large")
        try:
            header = jws.extract_compact(token.encode()).headers()
            algorithm, kid = header.get("alg"), header.get("kid")
            if not isinstance(algorithm, str) or algorithm not in algorithms:
                raise IdTokenWrong("algorithm")
            kind = "EC" if algorithm == "ES256" else "RSA"
            fitting = [
                key
                for key in keys
                if key.get("kty") == kind and key.get("alg", algorithm) == algorithm and kid in (None, key.get("kid"))
            ]
            if not fitting:
                raise KeyUnknown
            return self._verified(token, fitting, algorithm)
        except (JoseError, ValueError, TypeError) as error:
            raise IdTokenWrong(type(error).__name__) from error

    @staticmethod
    def _verified(token: str, keys: Sequence[Mapping[str, Any]], algorithm: str) -> dict[str, Any]:
        wrong: JoseError | None = None
        for each in keys:
            key = ECKey.import_key(dict(each)) if algorithm == "ES256" else RSAKey.import_key(dict(each))
            if isinstance(key, RSAKey) and key.raw_value.key_size < LEAST_RSA_BITS:
                continue
            try:
                return dict(jwt.decode(token, KeySet([key]) if each.get("kid") else key, algorithms=[algorithm]).claims)
            except JoseError as error:
                wrong = error
        raise IdTokenWrong("signature") from wrong


class AuthlibMessages:
    """`ports.OidcMessages`."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def redirect_uri(self, provider: str) -> str:
        """See the port. One for each, so that no provider's answer passes for another's (RFC 9700 section 4.4.2.2)."""
        return f"{self._origin}/auth/oidc/{quote(provider, safe='')}/callback"

    def request(
        self, entity: OidcEntity, client_id: str, *, redirect_uri: str, state: str, nonce: str, code_verifier: str
    ) -> str:
        """See the port."""
        return str(
            prepare_grant_uri(
                entity.authorization_endpoint, client_id, "code", redirect_uri=redirect_uri, scope=SCOPES, state=state,
                nonce=nonce, code_challenge=create_s256_code_challenge(code_verifier), code_challenge_method="S256",
            )
        )  # fmt: skip

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
        """See the port (RFC 6749 sections 2.3.1 and 4.1.3)."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
        }
        if secret is None:
            return fields | {"client_id": client_id}, None
        if not entity.basic:
            return fields | {"client_id": client_id, "client_secret": secret}, None
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        return fields, f"Basic {base64.b64encode(pair.encode()).decode()}"
