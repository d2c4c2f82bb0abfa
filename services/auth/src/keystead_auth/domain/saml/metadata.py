"""What an identity provider's SAML metadata says (SAML metadata 2.0, sections 2.3 and 2.4)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from keystead_auth.domain.idp_errors import DocumentRefused, SignatureMissing, SignatureRefused
from keystead_auth.domain.saml.names import DS, MD, POST, REDIRECT, SAMLP
from keystead_auth.domain.saml.signatures import signed_metadata
from keystead_auth.domain.saml.xml import METADATA, Element, read
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words

LONGEST_CACHE = timedelta(days=1)
SHORTEST_CACHE = timedelta(minutes=15)
LEAST_RSA_BITS = 2048
MOST_CERTIFICATES = 8
SignedBy = Callable[[str, str], bool]
_DURATION = re.compile(r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?")


class MetadataRefused(Refusal):
    """Metadata with which nobody can sign in. `detail` tells an administrator what to change."""


@dataclass(frozen=True)
class SamlEntity:
    """An identity provider as its metadata describes it. `certificates` are base64 of DER, of its signing keys."""

    entity_id: str
    redirect_url: str | None
    post_url: str | None
    certificates: tuple[str, ...]
    wants_signed_requests: bool = False

    def material(self) -> dict[str, Any]:
        """As JSON, for the database."""
        return asdict(self) | {"certificates": list(self.certificates)}

    @classmethod
    def of(cls, material: dict[str, Any]) -> SamlEntity:
        """From `material`."""
        return cls(**material | {"certificates": tuple(material["certificates"])})


@dataclass(frozen=True)
class MetadataRead:
    """The entity, when its metadata ends, when its first signing certificate ends, and when to look again."""

    entity: SamlEntity
    usable_until: datetime | None
    certificate_ends: datetime
    look_again: timedelta


def read_metadata(document: bytes, now: datetime, *, secure: bool, signed_by: SignedBy | None = None) -> MetadataRead:
    """What `document` says of the one identity provider in it. `secure`: people are sent to https only. `signed_by`:
    whether the right key signed an element, given its name and ID; then nothing is read but what is signed.

    Raises MetadataRefused.
    """
    try:
        root = read(document, METADATA)
        return _read(root if signed_by is None else _signed(root, signed_by), now, secure)
    except DocumentRefused as refusal:
        raise MetadataRefused(
            Words("The metadata cannot be read ({reason}).", reason=refusal.reason.replace("_", " "))
        ) from refusal


def _signed(root: Element, signed_by: SignedBy) -> Element:
    try:
        element = signed_metadata(root)
    except SignatureMissing as refusal:
        raise MetadataRefused(
            Words("The metadata is not signed, and a certificate for its signature is set.")
        ) from refusal
    except SignatureRefused as refusal:
        reason = refusal.reason.replace("_", " ")
        raise MetadataRefused(
            Words("The metadata's signature cannot be accepted ({reason}).", reason=reason)
        ) from refusal
    if not signed_by(element.name, element.attributes["ID"]):
        raise MetadataRefused(
            Words("The metadata's signature is wrong: the key of the certificate that is set for it did not make it.")
        )
    return element


def _read(root: Element, now: datetime, secure: bool) -> MetadataRead:
    entity = _the_provider(root)
    descriptors = [
        each
        for each in entity.all(MD, "IDPSSODescriptor")
        if SAMLP in each.attributes.get("protocolSupportEnumeration", "").split()
    ]
    if len(descriptors) != 1:
        raise MetadataRefused(Words("The metadata does not describe one SAML 2.0 identity provider."))
    [descriptor] = descriptors
    name = entity.attributes.get("entityID", "")
    if not name or len(name) > 1024:
        raise MetadataRefused(Words("The metadata names no entity."))
    around = [each for each in (root, entity, descriptor) if "validUntil" in each.attributes]
    usable_until = min((_moment(each.attributes["validUntil"]) for each in around), default=None)
    if usable_until is not None and usable_until <= now:
        raise MetadataRefused(Words("The metadata has expired."))
    certificates = _certificates(descriptor)
    redirect, post = (_address(descriptor, binding, secure) for binding in (REDIRECT, POST))
    if redirect is None and post is None:
        raise MetadataRefused(Words("The metadata has no sign-in address for HTTP-Redirect or HTTP-POST."))
    cache = min((_duration(each) for each in (root, entity, descriptor)), default=LONGEST_CACHE)
    return MetadataRead(
        entity=SamlEntity(
            entity_id=name,
            redirect_url=redirect,
            post_url=post,
            certificates=tuple(certificates),
            wants_signed_requests=descriptor.attributes.get("WantAuthnRequestsSigned") in ("true", "1"),
        ),
        usable_until=usable_until,
        certificate_ends=min(certificates.values()),
        look_again=max(min(cache, LONGEST_CACHE), SHORTEST_CACHE),
    )


def _the_provider(root: Element) -> Element:
    if root.is_a(MD, "EntityDescriptor"):
        return root
    if root.is_a(MD, "EntitiesDescriptor"):
        providers = [each for each in root.all(MD, "EntityDescriptor") if each.all(MD, "IDPSSODescriptor")]
        if len(providers) == 1:
            return providers[0]
        raise MetadataRefused(
            Words("The metadata describes several identity providers. Give the address of one's own.")
        )
    raise MetadataRefused(Words("This is no SAML metadata."))


def _certificates(descriptor: Element) -> dict[str, datetime]:
    """Base64 of DER → end, of the signing keys."""
    found: dict[str, datetime] = {}
    for key in descriptor.all(MD, "KeyDescriptor"):
        if key.attributes.get("use", "signing") != "signing":
            continue
        for element in key.walk():
            if element.is_a(DS, "X509Certificate"):
                text = "".join(element.words().split())
                found[text] = _certificate_end(text)
    if not found:
        raise MetadataRefused(Words("The metadata has no signing certificate."))
    if len(found) > MOST_CERTIFICATES:
        raise MetadataRefused(Words("The metadata has more than {most} signing certificates.", most=MOST_CERTIFICATES))
    return found


def base64_of_pem(pem: str) -> str:
    """A certificate in PEM as SAML writes it. Raises MetadataRefused."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise MetadataRefused(Words("The certificate for the metadata's signature cannot be read.")) from error
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _certificate_end(text: str) -> datetime:
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
        key = certificate.public_key()
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        raise MetadataRefused(Words("A signing certificate in the metadata cannot be read.")) from error
    strong = isinstance(key, ec.EllipticCurvePublicKey) or (
        isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS
    )
    if not strong:
        raise MetadataRefused(
            Words(
                "A signing key in the metadata is too weak; RSA with {bits} bits or a NIST curve is needed.",
                bits=LEAST_RSA_BITS,
            )
        )
    return certificate.not_valid_after_utc


def _address(descriptor: Element, binding: str, secure: bool) -> str | None:
    for service in descriptor.all(MD, "SingleSignOnService"):
        if service.attributes.get("Binding") == binding:
            location = service.attributes.get("Location", "").strip()
            try:
                parts = urlsplit(location)
                good = parts.scheme in (("https",) if secure else ("https", "http")) and parts.hostname
                _ = parts.port
            except ValueError:
                good = None
            if not good or len(location) > 2000 or not location.isascii() or any(c in location for c in " \"'<>;,\\"):
                raise MetadataRefused(Words("A sign-in address in the metadata is no https address."))
            return location
    return None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise MetadataRefused(Words("The metadata's validUntil is no time.")) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _duration(element: Element) -> timedelta:
    """An xs:duration of days and less; anything else means the longest."""
    found = _DURATION.fullmatch(element.attributes.get("cacheDuration", ""))
    if not found or not any(found.groups()):
        return LONGEST_CACHE
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
