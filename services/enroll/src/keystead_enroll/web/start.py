"""The page at the site's own address, which nobody is sent to and everybody tries."""

from __future__ import annotations

from fastapi import APIRouter, Response

from keystead_enroll.web.context import WebContext
from keystead_enroll.web.views import base
from keystead_kit.settings import Mode


def router(context: WebContext) -> APIRouter:
    """`/`: the forms and the mailbox in development; in production a page that tells a stranger nothing."""
    pages = APIRouter(include_in_schema=False)
    settings = context.enroll.settings

    @pages.api_route("/", methods=["GET", "HEAD"])
    def start() -> Response:
        forms = []
        if settings.mode is Mode.DEVELOPMENT:
            with context.enroll.transactions.read() as tx:
                forms = [{"name": form.name, "help_text": form.help_text, "url": base(form)} for form in tx.forms()]
        mailbox = str(settings.mailbox_url) if settings.mailbox_url else None
        return context.pages.render(
            "start.html", development=settings.mode is Mode.DEVELOPMENT, forms=forms, mailbox_url=mailbox
        )

    return pages
