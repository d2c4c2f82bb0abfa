"""Browsers in which somebody signed in before, so that limits on guessing can tell their owner from a stranger."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from keystead_kit.forms import Cookies
from keystead_kit.secrets import keyed_digest, new_id, same

YEAR_SECONDS = 365 * 24 * 3600


class KnownBrowsers:
    """A cookie for each kind of people: a random id, signed together with whose browser it is. It signs nobody in."""

    def __init__(self, key: bytes, cookies: Cookies) -> None:
        self._key, self._cookies = key, cookies

    def get(self, request: Request, kind: str, who: str) -> str | None:
        """This browser's id, if `who` signed in with it before."""
        id, _, signature = (self._cookies.get(request, f"known_{kind}") or "").partition(".")
        return id if id and same(signature, self._signature(kind, who, id)) else None

    def remember(self, request: Request, response: Response, kind: str, who: str) -> None:
        """`who` has signed in with this browser."""
        id = self.get(request, kind, who) or new_id()
        self._cookies.put(response, f"known_{kind}", f"{id}.{self._signature(kind, who, id)}", YEAR_SECONDS)

    def _signature(self, kind: str, who: str, id: str) -> str:
        return keyed_digest(self._key, f"known-browser-{kind}", f"{who}\n{id}")
