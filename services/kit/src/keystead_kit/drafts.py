"""A form that was sent with mistakes, kept in its browser while the person puts them right.

The answer to such a form is a redirect to the form's own page, so that Back and Reload never have to send it again.
What was typed and what is wrong with it travel in a cookie that only this service can read; the address has no more
than a random mark that says which draft the page is to show.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import zlib
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from keystead_kit.forms import Cookies
from keystead_kit.i18n import translated
from keystead_kit.secrets import keyed_digest

LIFETIME_SECONDS = 900
MOST_COOKIE_CHARACTERS = 3800
"""Browsers keep 4096 octets of a cookie's name and value (RFC 6265 section 6.1)."""
SHORT_VALUE = 255
_COOKIE = MARK = "draft"
_NONCE_OCTETS = 12


@dataclass(frozen=True)
class Draft:
    """What was typed and what is wrong with it, both by field name. Empty for a form that is shown afresh."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


class Drafts:
    """Puts drafts into the browser's cookie, encrypted with AES-256-GCM and bound to the page's path and its mark."""

    def __init__(self, key: bytes, cookies: Cookies) -> None:
        self._cipher = AESGCM(bytes.fromhex(keyed_digest(key, "draft", "")))
        self._cookies = cookies

    def holds(self, request: Request, draft: Draft) -> bool:
        """Whether `send_back` loses nothing of it."""
        return len(self._sealed(draft, _bound_to(request.url.path, "x" * 8))) <= MOST_COOKIE_CHARACTERS

    def send_back(self, request: Request, draft: Draft, page: str | None = None) -> Response:
        """The redirect from a form's POST to the GET of the same path, or of `page` where the form stands.

        What no cookie can hold (thousands of characters that do not compress) has to be typed again.
        """
        mark, path = secrets.token_urlsafe(6), page or request.url.path
        text = self._sealed(draft, _bound_to(path, mark))
        if len(text) > MOST_COOKIE_CHARACTERS:
            short = {name: value for name, value in draft.values.items() if len(value) <= SHORT_VALUE}
            text = self._sealed(Draft(short, draft.errors), _bound_to(path, mark))
        response = RedirectResponse(f"{path}?{MARK}={mark}", 303, headers={"cache-control": "no-store"})
        self._cookies.put(response, _COOKIE, text, LIFETIME_SECONDS)
        return response

    def get(self, request: Request) -> Draft:
        """The draft that this address names, if this browser still has it; else an empty one."""
        mark, text = request.query_params.get(MARK), self._cookies.get(request, _COOKIE)
        if not mark or not text:
            return Draft()
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
            nonce, rest = sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:]
            plain = self._cipher.decrypt(nonce, rest, _bound_to(request.url.path, mark))
        except (binascii.Error, ValueError, InvalidTag):
            return Draft()
        return Draft(*json.loads(zlib.decompress(plain)))

    def _sealed(self, draft: Draft, bound_to: bytes) -> str:
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        plain = zlib.compress(json.dumps([draft.values, translated(draft.errors)]).encode())
        return base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, plain, bound_to)).decode().rstrip("=")

    def forget(self, request: Request, response: Response) -> None:
        """Drops the cookie: the form was taken, or the person has signed out."""
        if self._cookies.get(request, _COOKIE) is not None:
            self._cookies.drop(response, _COOKIE)


def _bound_to(path: str, mark: str) -> bytes:
    return f"{path}\n{mark}".encode()
