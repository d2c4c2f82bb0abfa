"""The links in every page's footer that choose its language. They need no script."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from keystead_kit.i18n import COOKIE, languages, path_of_this_site

_YEAR = 365 * 86400


def add_language_switch(app: FastAPI, secure: bool) -> None:
    """`GET /language/<tag>?back=<path>`: remembers the language in this browser and leads back."""

    @app.get("/language/{tag}", include_in_schema=False)
    async def choose(tag: str, back: str = "/") -> Response:
        if tag not in languages():
            raise HTTPException(404)
        response = RedirectResponse(path_of_this_site(back), 303, headers={"cache-control": "no-store"})
        response.set_cookie(COOKIE, tag, max_age=_YEAR, path="/", secure=secure, httponly=True, samesite="lax")
        return response


def address_of(request: Request) -> str:
    """The path to which the links lead back: the page's own, or for the answer to a form that of the form's page."""
    if request.method in ("GET", "HEAD"):
        own = request.url
        return path_of_this_site(f"{own.path}?{own.query}" if own.query else own.path)
    try:
        form = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    return path_of_this_site(f"{form.path}?{form.query}" if form.query else form.path)
