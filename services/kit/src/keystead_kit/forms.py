"""Cookies and the two checks on every form: the browser's Origin, and a token bound to this visit's cookie."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_kit.problems import ProblemException
from keystead_kit.secrets import keyed_digest, new_token, same


@dataclass(frozen=True)
class Cookies:
    """Sets and reads a service's cookies: HttpOnly, SameSite=Lax, Path=/; `__Host-` and Secure on https."""

    prefix: str
    secure: bool

    def name(self, short: str) -> str:
        """The cookie's full name."""
        return f"{'__Host-' if self.secure else ''}{self.prefix}_{short}"

    def get(self, request: Request, short: str) -> str | None:
        """The cookie's value, if the browser sent one of a sane length."""
        value = request.cookies.get(self.name(short))
        return value if value and len(value) <= 4096 else None

    def put(self, response: Response, short: str, value: str, max_age: int | None = None) -> None:
        """Sets the cookie; without `max_age` (seconds) it ends with the browser."""
        response.set_cookie(
            self.name(short),
            value,
            max_age=max_age,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def drop(self, response: Response, short: str) -> None:
        """Deletes the cookie."""
        response.delete_cookie(self.name(short), path="/", secure=self.secure, httponly=True, samesite="lax")


class FormGuard:
    """Form tokens: HMAC of a random per-browser visit cookie. A page on another site can neither read nor guess one."""

    VISIT = "visit"

    def __init__(self, key: bytes, cookies: Cookies, public_origin: str) -> None:
        self._key, self._cookies, self._origin = key, cookies, public_origin

    def visit(self, request: Request) -> tuple[str, str]:
        """This browser's visit value (a fresh one if it has none) and the form token that belongs to it."""
        visit = self._cookies.get(request, self.VISIT) or new_token()
        return visit, self._token(visit)

    def remember(self, request: Request, response: Response, visit: str) -> None:
        """Sets the visit cookie unless the browser has it."""
        if self._cookies.get(request, self.VISIT) != visit:
            self._cookies.put(response, self.VISIT, visit)

    def check(self, request: Request, form_token: str) -> None:
        """Raises ProblemException unless the form came from our own page in this browser."""
        if request.headers.get("origin") != self._origin:
            raise ProblemException(
                403, ProblemCode.WRONG_ORIGIN, Words("This form was sent from another site."),
                Words("Open {origin} in your browser and use the form there.", origin=self._origin),
            )  # fmt: skip
        visit = self._cookies.get(request, self.VISIT)
        if not visit or not same(self._token(visit), form_token):
            raise ProblemException(
                403, ProblemCode.FORM_TOKEN_INVALID, Words("This page was open for too long, or cookies are blocked."),
                Words("Go back, reload the page and try again. Cookies must be allowed for this site."),
            )  # fmt: skip

    def _token(self, visit: str) -> str:
        return keyed_digest(self._key, "form", visit)
