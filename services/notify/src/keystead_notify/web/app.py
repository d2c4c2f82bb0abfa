"""notify's web application: no public route."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from keystead_kit.http import new_app
from keystead_kit.pages import Pages
from keystead_kit.settings import Mode
from keystead_notify.bootstrap import SERVICE, WebParts
from keystead_notify.web.samples import samples

LETTER_CSP = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"


def create_app(parts: WebParts) -> FastAPI:
    """Health and metrics; in development mode also `/preview`, a sample of every letter."""
    pages = Pages(Path(__file__).parent / "templates")
    app = new_app(
        SERVICE,
        "Keystead notify",
        pages=pages,
        ready={"database": parts.database.ping, "redis": parts.bus.ping},
        secure=parts.settings.secure,
    )
    if parts.settings.mode is Mode.DEVELOPMENT:
        _add_preview(app, parts, pages)
    return app


def _add_preview(app: FastAPI, parts: WebParts, pages: Pages) -> None:
    facts = samples(parts.settings.public_origin)

    @app.get("/preview")
    def index() -> Response:
        written = {kind: parts.writer.write(kind, fact.model_dump(mode="json")) for kind, fact in facts.items()}
        return pages.render("preview.html", letters=written)

    @app.get("/preview/{kind}.txt")
    def as_text(kind: str) -> Response:
        if kind not in facts:
            raise HTTPException(404)
        return PlainTextResponse(parts.writer.write(kind, facts[kind].model_dump(mode="json")).text)

    @app.get("/preview/{kind}.html")
    def as_html(kind: str) -> Response:
        if kind not in facts:
            raise HTTPException(404)
        html = parts.writer.write(kind, facts[kind].model_dump(mode="json")).html
        return HTMLResponse(html, headers={"content-security-policy": LETTER_CSP, "x-frame-options": "SAMEORIGIN"})
