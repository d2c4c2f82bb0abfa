"""What relying parties fetch: revocation lists and CA certificates (RFC 5280 sections 4.2.1.13 and 4.2.2.1, RFC 2585).

Anybody may, without signing in; nothing here sets a cookie or reads one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from fastapi import APIRouter, Request, Response

from keystead_enroll.domain.status import CA_CERTIFICATES, LISTS, ListHead
from keystead_enroll.usecases.published import published_authority, published_list
from keystead_enroll.web.context import WebContext

CRL, CERTIFICATE = "application/pkix-crl", "application/pkix-cert"
_CERTIFICATE_KEPT = timedelta(days=1)


def router(context: WebContext) -> APIRouter:
    """The addresses below `/pki/`."""
    public = APIRouter(include_in_schema=False)
    transactions, clock = context.enroll.transactions, context.enroll.clock
    kept = timedelta(minutes=context.enroll.settings.status_cache_minutes)

    @public.api_route(LISTS, methods=["GET", "HEAD"])
    def revocation_list(request: Request, authority: str, partition: str) -> Response:
        found = published_list(transactions, authority, partition)
        headers = _cached(found.head, kept, clock.now())
        if _known(request, found.head):
            return Response(status_code=304, headers=headers)
        return Response(found.der, media_type=CRL, headers=headers)

    @public.api_route(CA_CERTIFICATES, methods=["GET", "HEAD"])
    def ca_certificate(authority: str) -> Response:
        found = published_authority(transactions, authority)
        cached = f"public, max-age={_CERTIFICATE_KEPT.total_seconds():.0f}"
        return Response(found, media_type=CERTIFICATE, headers={"cache-control": cached})

    return public


def _cached(head: ListHead, kept: timedelta, now: datetime) -> dict[str, str]:
    """`kept`: for how long a cache may give out a list without asking again; by so much is a revocation seen later."""
    seconds = max(timedelta(), min(kept, head.next_update - now)).total_seconds()
    return {
        "cache-control": f"public, max-age={seconds:.0f}",
        "etag": _etag(head),
        "last-modified": format_datetime(head.this_update, usegmt=True),
    }


def _etag(head: ListHead) -> str:
    return f'"{head.number:x}"'


def _known(request: Request, head: ListHead) -> bool:
    """Whether the client has this list already (RFC 9110 section 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or _etag(head) in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except ValueError:
        return False
    return since.tzinfo is not None and since >= head.this_update
