"""Metadata that is forged though a certificate is set for its signature."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.attacks.saml.forge import ENVELOPED, EXCLUSIVE, Forge, signature
from tests.attacks.saml.service import XPATH, XSLT
from tests.unit.auth.fakes import START, FakeClock, FakeRandomness, FakeTransactions
from tests.unit.auth.test_providers import FORM, GOOD, PROVIDER, Documents, metadata

from keystead_auth.adapters.oidc import SecretFolder
from keystead_auth.domain.saml.metadata import MetadataRead, MetadataRefused, read_metadata
from keystead_auth.usecases.check_provider import Sources, check_provider
from keystead_contracts.people import IdentityProviderChecked, IdentityProviderState

EVIL = "https://evil.example/sso"
URL = "https://idp.example/metadata"
MARK = signature("#_md")
MD = 'xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"'


def described(mark: str = MARK, more: str = 'ID="_md"') -> str:
    """The metadata of an entity, with a signature to be filled in where the schema has it."""
    return metadata(attributes=more).decode().replace("<md:IDPSSO", f"{mark}<md:IDPSSO", 1)


def federation(content: str, more: str = 'ID="_all"', mark: str = "") -> str:
    return f"<md:EntitiesDescriptor {MD} {more}>{mark}{content}</md:EntitiesDescriptor>"


def take(forge: Forge, document: str, by: str = "idp") -> MetadataRead:
    """What is read of a document whose signature has to be by this key."""
    certificate = forge.keys[by].certificate
    return read_metadata(
        document.encode(), START, secure=True,
        signed_by=lambda element, id: forge.xmlsec.verify(document.encode(), element, id, certificate),
    )  # fmt: skip


def test_metadata_of_the_right_key_is_read(forge: Forge) -> None:
    assert take(forge, forge.sign_metadata(described())).entity.entity_id == "https://idp.example/"


def test_a_signature_over_all_of_a_federation_s_metadata_does_too(forge: Forge) -> None:
    document = forge.sign_metadata(federation(described("", ""), 'ID="_md"', MARK), "EntitiesDescriptor")
    assert take(forge, document).entity.entity_id == "https://idp.example/"


def test_only_what_is_signed_is_read(forge: Forge) -> None:
    signed = forge.sign_metadata(federation(described()))
    late = signed.replace('ID="_all"', 'ID="_all" validUntil="1999-01-01T00:00:00Z" cacheDuration="PT15M"')
    other = metadata().decode().replace("https://idp.example/", "https://evil.example/")
    read = take(forge, late.replace("</md:EntitiesDescriptor>", f"{other}</md:EntitiesDescriptor>"))
    assert (read.entity.entity_id, read.usable_until) == ("https://idp.example/", None)


def _address(signed: str) -> str:
    return signed.replace("https://idp.example/sso", EVIL)


def _wrapped(signed: str) -> str:
    evil = _address(described("", 'ID="_evil"'))
    return federation(evil + signed)


def _beside(signed: str) -> str:
    return federation(signed + _address(signed))


def _inside(signed: str) -> str:
    """The signed entity where nobody reads it, within one that is not."""
    evil = _address(described("", 'ID="_evil"'))
    return evil.replace("<md:IDPSSO", f"<md:Extensions>{signed}</md:Extensions><md:IDPSSO", 1)


def _moved(signed: str) -> str:
    """The signature put into an entity that it is not over."""
    start, end = signed.index("<ds:Signature"), signed.index("</ds:Signature>") + len("</ds:Signature>")
    return _address(described(signed[start:end], 'ID="_evil"'))


def _extended(signed: str) -> str:
    return signed.replace("</md:EntityDescriptor>", f"<md:Extensions>{signed}</md:Extensions></md:EntityDescriptor>")


@pytest.mark.parametrize(
    ("forged", "words"),
    [
        (_address, "signature is wrong"),
        (lambda signed: signed.replace(GOOD, base64.b64encode(b"x" * 300).decode()), "signature is wrong"),
        (_moved, "cannot be accepted (reference elsewhere)"),
        (_inside, "is not signed"),
        (_beside, "cannot be read (id repeated)"),
        (_extended, "cannot be read (id repeated)"),
        (lambda signed: signed.replace('ID="_md"', 'id="_md"'), "cannot be accepted (reference elsewhere)"),
    ],
)
def test_what_the_key_did_not_sign_is_refused(forge: Forge, forged: Callable[[str], str], words: str) -> None:
    with pytest.raises(MetadataRefused) as caught:
        take(forge, forged(forge.sign_metadata(described())))
    assert words in caught.value.detail


def test_an_entity_beside_the_signed_one_is_not_read(forge: Forge) -> None:
    read = take(forge, _wrapped(forge.sign_metadata(described())))
    assert read.entity.redirect_url == "https://idp.example/sso"


@pytest.mark.parametrize("by", ["stranger", "sp"])
def test_another_key_s_signature_is_refused_though_it_brings_its_certificate(forge: Forge, by: str) -> None:
    own = f"<ds:X509Certificate>{forge.keys[by].certificate}</ds:X509Certificate>"
    brought = f"<ds:KeyInfo><ds:X509Data>{own}</ds:X509Data></ds:KeyInfo>"
    with pytest.raises(MetadataRefused, match="signature is wrong"):
        take(forge, forge.sign_metadata(described(signature("#_md", more=brought)), by=by))


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        (signature("#_md", transforms=ENVELOPED + XSLT + EXCLUSIVE), "transform forbidden"),
        (signature("#_md", transforms=ENVELOPED + XPATH), "transform forbidden"),
        (signature("#_md", transforms=EXCLUSIVE), "transform forbidden"),
        (signature(""), "reference elsewhere"),
        (signature("file:///etc/passwd"), "reference elsewhere"),
        (signature("#_md", references=2), "signature malformed"),
        (signature("#_md", more="<ds:Object/>"), "signature malformed"),
        (signature("#_md", method="http://www.w3.org/2000/09/xmldsig#rsa-sha1"), "algorithm forbidden"),
        (signature("#_md", method="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"), "algorithm forbidden"),
        (MARK + MARK, "signature misplaced"),
        ("<md:Extensions/>" + MARK, "signature misplaced"),
    ],
)
def test_a_signature_of_another_shape_never_reaches_xmlsec(mark: str, reason: str) -> None:
    def never(element: str, id: str) -> bool:
        raise AssertionError(f"{element} {id} was verified")

    with pytest.raises(MetadataRefused) as caught:
        read_metadata(described(mark).encode(), START, secure=True, signed_by=never)
    assert f"({reason})" in caught.value.detail


def checked(forge: Forge, document: str, *, signed: bool = True) -> IdentityProviderChecked:
    """What enroll is told of a provider whose address answers `document`."""
    transactions = FakeTransactions(FORM)
    pem = f"-----BEGIN CERTIFICATE-----\n{forge.keys['idp'].certificate}\n-----END CERTIFICATE-----\n"
    certificate = pem if signed else None
    with transactions.write() as tx:
        provider = replace(PROVIDER, material=None, metadata_url=URL, metadata_certificate=certificate)
        tx.providers.put(provider, START)
    told = check_provider(
        transactions, Sources(Documents(document.encode()), SecretFolder(None), forge.xmlsec), FakeRandomness(),
        FakeClock(), secure=True, unsupported={}, trace_id="a" * 32,
    )  # fmt: skip
    assert told is not None
    return told


def test_a_provider_with_a_certificate_is_ready_with_its_signature_alone(forge: Forge) -> None:
    assert checked(forge, forge.sign_metadata(described())).state is IdentityProviderState.READY
    for document, words in (
        (described(""), "is not signed"),
        (forge.sign_metadata(described(), by="stranger"), "signature is wrong"),
    ):
        told = checked(forge, document)
        assert told.state is IdentityProviderState.FAILED
        assert words in told.detail


def test_without_a_certificate_metadata_is_taken_as_it_comes(forge: Forge) -> None:
    assert checked(forge, described(""), signed=False).state is IdentityProviderState.READY
