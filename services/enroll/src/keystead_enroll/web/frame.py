"""What surrounds a portal page on which something went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request

from keystead_enroll.web.context import SESSION, WebContext
from keystead_enroll.web.views import base, form_view
from keystead_kit.pages import NO_FRAME
from keystead_kit.secrets import token_digest

_PORTAL_PATH = re.compile(r"/e/([^/]+)")


def portal_frame(context: WebContext, request: Request) -> Mapping[str, Any]:
    """The form that the address names, whatever is wrong with the rest of it, and who is signed in there."""
    path = _PORTAL_PATH.match(request.url.path)
    if path is None:
        return NO_FRAME
    token = context.cookies.get(request, SESSION)
    with context.enroll.transactions.read() as tx:
        form = tx.form_by_uri(path[1])
        if form is None:
            return NO_FRAME
        session = tx.session_of(token_digest(token)) if token else None
        frame = {"form": form_view(form, None)}
        if session is None or session.form_id != form.id or session.expires_at <= context.enroll.clock.now():
            return frame
        person = {"email": session.email, "name": session.name}
    _, form_token = context.guard.visit(request)
    return frame | {"person": person, "sign_out_url": f"{base(form)}/sign-out", "form_token": form_token}
