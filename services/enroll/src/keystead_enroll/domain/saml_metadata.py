"""A first look at SAML metadata that somebody pasted. Whether it can be trusted and used is for auth to judge."""

from __future__ import annotations

from xml.parsers import expat

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words

METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
_ROOTS = (f"{METADATA} EntityDescriptor", f"{METADATA} EntitiesDescriptor")
_PROVIDER = f"{METADATA} IDPSSODescriptor"
_LONGEST = 60


class MetadataRefused(Refusal):
    """It is no metadata of an identity provider."""

    default_advice = Words("Copy all of it, from its first < to its last >.")


def check_metadata(text: str) -> str:
    """`text`, if it is metadata of an identity provider (SAML 2.0 Metadata section 2.4.3). Raises MetadataRefused."""
    elements: list[str] = []
    parser = expat.ParserCreate("UTF-8", " ")
    parser.StartElementHandler = lambda name, _attributes: elements.append(name)
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        if not text.lstrip().startswith("<"):
            raise MetadataRefused(Words("is not XML: metadata begins with “<”")) from error
        raise MetadataRefused(
            Words("is not XML that can be read: there is a mistake on line {line}", line=error.lineno)
        ) from error
    if elements[0] not in _ROOTS:
        name = elements[0].rpartition(" ")[2][:_LONGEST]
        raise MetadataRefused(Words("is not SAML metadata: it is a “{name}”, not an EntityDescriptor", name=name))
    if _PROVIDER not in elements:
        raise MetadataRefused(
            Words("describes no identity provider (there is no IDPSSODescriptor)"),
            Words("Perhaps it is that of a service provider, such as ours."),
        )
    return text


def _refuse_doctype(*_declared: object) -> None:
    raise MetadataRefused(Words("has a document type declaration (DOCTYPE), which metadata never needs"))
