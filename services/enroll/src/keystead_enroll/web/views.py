"""What pages show, made from domain objects: the contexts that the templates document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from keystead_contracts.agent import EnrollLink, KeyProvider
from keystead_contracts.words import Words
from keystead_enroll.domain.certificate_record import Certificate, certificate_state
from keystead_enroll.domain.eligibility import OpenWay
from keystead_enroll.domain.enrollment import CertificateProfile, EnrollmentForm, Organization
from keystead_enroll.domain.orders import Claim, Device, Order, OrderState
from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.usecases.visit import Visit

Context = dict[str, Any]


def form_view(form: EnrollmentForm, organization: Organization | None) -> Context:
    """The form as `base.html` wants it."""
    published = str(form.published.get("organization", "Keystead"))
    return {
        "name": form.name,
        "organization": organization.name if organization else published,
        "help_text": form.help_text,
        "help_link": form.help_link,
        "logo_url": None,
    }


def visit_view(visit: Visit) -> Context:
    """`form`, `person` and `sign_out_url`, which every portal page has."""
    return {
        "form": form_view(visit.form, visit.organization),
        "person": {"email": visit.session.email, "name": visit.session.name},
        "sign_out_url": f"{base(visit.form)}/sign-out",
    }


def base(form: EnrollmentForm) -> str:
    """The path of the form's pages."""
    return f"/e/{form.uri_extension}"


def account_views(ways: Sequence[OpenWay]) -> list[Context]:
    """The accounts to choose from, called by what one gets there and where one belongs. Their own names are for
    administrators, and are shown where nothing else tells two apart."""
    views: list[Context] = [
        {
            "id": way.account.id,
            "name": ", ".join(profile.name for profile in way.profiles),
            "place": ", ".join([way.organization.name, *([way.department.name] if way.department else [])]),
        }
        for way in ways
    ]
    alike = Counter((view["name"], view["place"]) for view in views)
    for view, way in zip(views, ways, strict=True):
        if alike[view["name"], view["place"]] > 1:
            view["name"] = way.account.name
    return views


def profile_view(profile: CertificateProfile) -> Context:
    """A profile to choose or to fill in."""
    return {
        "id": profile.id,
        "name": profile.name,
        "description": profile.description,
        "key_algorithms": [algorithm.value for algorithm in profile.key_algorithms],
        "terms": list(profile.term_days),
    }


def mistakes_view(page: Context, errors: dict[str, str]) -> dict[str, str]:
    """The request page's mistakes, each beside its question; what the page does not ask is told of the form as a
    whole: a choice that went away after the page was opened."""
    profile = page["profile"]
    asked = {"profile": profile is None}
    if profile:
        asked |= {
            "target": bool(page["devices"]) and not page["provided"],
            "key_algorithm": len(profile["key_algorithms"]) > 1 and not page["provided"],
            "csr": page["provided"],
            "term_days": len(profile["terms"]) > 1,
            "licence": page["licence"] is not None,
        }
    told = {name: sentence for name, sentence in errors.items() if asked.get(name, profile is not None)}
    if told != errors:
        told["form"] = Words("The choices on this page have changed. Look them over, then send it again.")
    return told


def device_views(devices: Sequence[Device], now: datetime) -> list[Context]:
    """Devices to choose from, connected ones first, each group in the given order. Those that share their name are
    told apart by when they were registered and where they say that their key is."""
    names = Counter(device.name.casefold() for device in devices)
    views = [
        {
            "id": device.id,
            "name": device.name,
            "last_seen": device.seen_at,
            "connected": device.connected(now),
            "registered_at": device.registered_at if names[device.name.casefold()] > 1 else None,
            "key_in_tpm": device.machine.get("key_provider") != KeyProvider.SOFTWARE.value,
        }
        for device in devices
    ]
    return sorted(views, key=lambda view: not view["connected"])


def certificate_view(certificate: Certificate, profile_name: str, form: EnrollmentForm, now: datetime) -> Context:
    """The certificate card."""
    address = f"{base(form)}/certificates/{certificate.id}"
    return {
        "subject": certificate.subject,
        "names": list(certificate.names),
        "certificate_type": certificate.certificate_type.value,
        "profile": profile_name,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "fingerprint_sha256": certificate.sha256,
        "key_algorithm": certificate.key_algorithm.value,
        "state": certificate_state(certificate, now),
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "renews_at": certificate.renews_at,
        "revoked_at": certificate.revoked_at,
        "revoked_because": _because(certificate),
        "machine": certificate.machine,
        "store": certificate.location,
        "assurance": certificate.assurance.value,
        "evidence_url": f"{base(form)}/orders/{certificate.order_id}/evidence",
        "pem_url": f"{address}/certificate.pem",
        "chain_url": f"{address}/chain.pem",
        "root_url": f"{address}/root.pem",
    }


def _because(certificate: Certificate) -> str:
    if certificate.revoked_at is None:
        return ""
    return RevocationReason(certificate.revocation_reason or RevocationReason.UNSPECIFIED).words


def certificate_row(certificate: Certificate, profile_name: str, form: EnrollmentForm, now: datetime) -> Context:
    """A line of the person's list."""
    return {
        "subject": certificate.subject,
        "profile": profile_name,
        "machine": certificate.machine,
        "url": f"{base(form)}/certificates/{certificate.id}",
        "not_after": certificate.not_after,
        "state": certificate_state(certificate, now),
    }


def order_row(order: Order, profile_name: str, form: EnrollmentForm) -> Context:
    """A request under way or over, in the person's list."""
    return {
        "subject": order.wanted_name,
        "profile": profile_name,
        "url": f"{base(form)}/orders/{order.id}",
        "created_at": order.created_at,
        "ended_at": order.state_at if order.over else None,
        "state": order.state.value,
    }


def order_view(
    order: Order, profile_name: str, form: EnrollmentForm, claim: Claim | None, link: EnrollLink | None, now: datetime
) -> Context:
    """The live page's order. `link` is shown until an agent has answered or its time is over."""
    address = f"{base(form)}/orders/{order.id}"
    waits = order.state is OrderState.OFFERED and claim is not None and claim.redeemed_at is None
    shown = str(link) if waits and link is not None and claim is not None and claim.expires_at > now else None
    return {
        "id": order.id,
        "subject": order.wanted_name,
        "profile": profile_name,
        "reference": order.trace_id,
        "created_at": order.created_at,
        "waiting_since": order.state_at or order.created_at,
        "delivery": "link" if claim is not None else "push",
        "machine": order.machine or None,
        "launch_url": shown,
        "command": f"keystead-agent enroll '{shown}'" if shown else None,
        "renew_url": f"{address}/link" if waits else None,
        "use_link_url": f"{address}/use-link" if claim is None and order.state is OrderState.OFFERED else None,
        "events_url": f"{address}/events",
        "done_url": address,
        "again_url": f"{base(form)}/request",
        "list_url": f"{base(form)}/certificates",
        "evidence_url": f"{address}/evidence" if order.evidence is not None else None,
        "replaces_url": f"{base(form)}/certificates/{order.supersedes}" if order.supersedes else None,
        "cancel_url": None if order.over else f"{address}/cancel",
    }


def unfinished(orders: Sequence[Order]) -> list[Order]:
    """Orders that still go on."""
    return [order for order in orders if not order.over]


def fruitless(orders: Sequence[Order]) -> list[Order]:
    """Orders that ended without a certificate."""
    return [order for order in orders if order.over and not order.fruitful]
