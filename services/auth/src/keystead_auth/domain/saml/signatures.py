"""Which signatures and encryptions of an answer may be looked at at all (SAML core, section 5.4).

All of it is decided from the document's shape, before a key is touched: afterwards there is at most one signature for
the response and one for its assertion, each right after its issuer, over nothing but the element that it stands in.
Signature wrapping needs a second place for either; there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from keystead_auth.domain.idp_errors import (
    AlgorithmForbidden,
    CanonicalizationForbidden,
    EncryptionForbidden,
    KeyInfoForbidden,
    ReferenceElsewhere,
    SignatureMalformed,
    SignatureMisplaced,
    SignatureMissing,
    TransformForbidden,
    UnexpectedShape,
)
from keystead_auth.domain.saml.names import (
    DATA_ENCRYPTION,
    DIGEST_METHODS,
    DS,
    ENVELOPED,
    EXCLUSIVE_C14N,
    KEY_TRANSPORT,
    MD,
    OAEP_DIGESTS,
    SAML,
    SAMLP,
    SIGNATURE_METHODS,
    XENC,
    XENC11,
)
from keystead_auth.domain.saml.xml import ANSWER, Element, read, unique_ids

MOST_KEYS = 4
_SIGNED = {(SAMLP, "Response"), (SAML, "Assertion")}
_KEY_WORDS = {(DS, "KeyName"), (DS, "X509Data"), (DS, "KeyValue")}


@dataclass(frozen=True)
class Screened:
    """An answer that may be looked at. `response` and `assertion` are elements of one tree; `assertion` is None where
    there is none, or while it is `encrypted`."""

    response: Element
    assertion: Element | None
    encrypted: Element | None

    @property
    def response_signed(self) -> bool:
        """Whether the response has a signature, which is yet to be verified."""
        return self.response.maybe(DS, "Signature") is not None

    @property
    def assertion_signed(self) -> bool:
        """Whether the assertion has a signature, which is yet to be verified."""
        return self.assertion is not None and self.assertion.maybe(DS, "Signature") is not None


def screen(document: bytes, *, opened: bool = False) -> Screened:
    """The answer in `document`. `opened`: what was encrypted is not any more, and stands where the ciphertext stood.

    Raises DocumentRefused, SignatureRefused or EncryptionRefused.
    """
    root = read(document, ANSWER)
    unique_ids(root)
    if not root.is_a(SAMLP, "Response"):
        raise UnexpectedShape("no Response")
    assertions, encrypted = root.all(SAML, "Assertion"), root.all(SAML, "EncryptedAssertion")
    if len(assertions) + len(encrypted) > 1:
        raise UnexpectedShape("more than one Assertion")
    placed = {id(root), *(id(each) for each in assertions + encrypted)}
    if opened:
        [wrapper] = encrypted
        if [(child.namespace, child.name) for child in wrapper.children] != [(SAML, "Assertion")]:
            raise UnexpectedShape("something else than one Assertion was encrypted")
        assertions, encrypted = wrapper.children, []
        placed.add(id(wrapper.children[0]))
    for element in root.walk():
        if element.is_a(SAMLP, "Response") or (
            element.namespace == SAML and element.name in ("Assertion", "EncryptedAssertion")
        ):
            if id(element) not in placed:
                raise UnexpectedShape(f"{element.name} in another place")
        elif element.is_a(SAML, "EncryptedID") or element.is_a(SAML, "EncryptedAttribute"):
            raise EncryptionForbidden(f"{element.name} is not supported")
    _check_signatures(root)
    _check_encryption(root, encrypted[0] if encrypted else None)
    return Screened(root, assertions[0] if assertions else None, encrypted[0] if encrypted else None)


def _check_signatures(root: Element) -> None:
    allowed: set[int] = set()
    for owner in root.walk():
        if (owner.namespace, owner.name) in _SIGNED:
            found = owner.all(DS, "Signature")
            if len(found) > 1:
                raise SignatureMisplaced
            if found:
                if len(owner.children) < 2 or owner.children[1] is not found[0]:
                    raise SignatureMisplaced
                if not owner.children[0].is_a(SAML, "Issuer"):
                    raise SignatureMisplaced
                check_signature(found[0], owner)
                allowed |= {id(each) for each in found[0].walk()}
    _refuse_others(root, allowed)


def signed_metadata(root: Element) -> Element:
    """The element of metadata that its one signature is over: the root, or an entity in it. Nothing outside of it may
    be read. Raises DocumentRefused, SignatureRefused."""
    unique_ids(root)
    for owner in (root, *root.all(MD, "EntityDescriptor")):
        if owner.all(DS, "Signature"):
            break
    else:
        raise SignatureMissing
    if owner.namespace != MD or not owner.children[0].is_a(DS, "Signature"):
        raise SignatureMisplaced
    check_signature(owner.children[0], owner)
    _refuse_others(root, {id(each) for each in owner.children[0].walk()})
    return owner


def _refuse_others(root: Element, allowed: set[int]) -> None:
    """What belongs to a signature is nowhere but in `allowed`, except for the key and digest names of an encryption."""
    for element in root.walk():
        if element.namespace != DS or id(element) in allowed:
            continue
        if element.name in ("Transforms", "Transform"):
            raise TransformForbidden
        if element.name in ("Signature", "SignedInfo", "Reference", "Object", "Manifest"):
            raise SignatureMisplaced


def check_signature(signature: Element, owner: Element) -> None:
    """Raises SignatureRefused unless `signature` is over all of `owner`, and asks for nothing that is not needed."""
    parts = [(part.namespace, part.name) for part in signature.children]
    whole = [(DS, "SignedInfo"), (DS, "SignatureValue")]
    if parts not in (whole, [*whole, (DS, "KeyInfo")]):
        raise SignatureMalformed
    info = signature.children[0]
    if [(part.namespace, part.name) for part in info.children] != [
        (DS, "CanonicalizationMethod"),
        (DS, "SignatureMethod"),
        (DS, "Reference"),
    ]:
        raise SignatureMalformed
    canonicalization, method, reference = info.children
    _check_exclusive(canonicalization, CanonicalizationForbidden)
    if method.attributes.get("Algorithm") not in SIGNATURE_METHODS or method.children:
        raise AlgorithmForbidden
    _check_reference(reference, owner)
    if len(signature.children) == 3:
        _check_key_info(signature.children[2])


def _check_reference(reference: Element, owner: Element) -> None:
    name = owner.attributes.get("ID", "")
    if not name or reference.attributes.get("URI") != f"#{name}":
        raise ReferenceElsewhere
    if [(part.namespace, part.name) for part in reference.children] != [
        (DS, "Transforms"),
        (DS, "DigestMethod"),
        (DS, "DigestValue"),
    ]:
        raise SignatureMalformed
    transforms, digest, value = reference.children
    if digest.attributes.get("Algorithm") not in DIGEST_METHODS or digest.children or value.children:
        raise AlgorithmForbidden
    if [part.attributes.get("Algorithm") for part in transforms.children] != [ENVELOPED, EXCLUSIVE_C14N]:
        raise TransformForbidden
    enveloped, exclusive = transforms.children
    if not (enveloped.is_a(DS, "Transform") and exclusive.is_a(DS, "Transform")) or enveloped.children:
        raise TransformForbidden
    _check_exclusive(exclusive, TransformForbidden)


def _check_exclusive(element: Element, refusal: type[CanonicalizationForbidden | TransformForbidden]) -> None:
    """Exclusive C14N without comments, with nothing in it but a list of prefixes."""
    if element.attributes.get("Algorithm") != EXCLUSIVE_C14N:
        raise refusal
    for child in element.children:
        if (
            not child.is_a(EXCLUSIVE_C14N, "InclusiveNamespaces")
            or child.children
            or set(child.attributes) != {"PrefixList"}
        ):
            raise refusal


def _check_key_info(info: Element) -> None:
    """Keys that stand in the document are no keys of ours to trust; they may stand there, and nothing is fetched."""
    for element in info.walk():
        if element is not info and element.namespace != DS:
            raise KeyInfoForbidden
        if "URI" in element.attributes or element.name == "RetrievalMethod":
            raise KeyInfoForbidden
    if any((child.namespace, child.name) not in _KEY_WORDS for child in info.children):
        raise KeyInfoForbidden


def _check_encryption(root: Element, encrypted: Element | None) -> None:
    inside = set() if encrypted is None else {id(element) for element in encrypted.walk()}
    for element in root.walk():
        if element.namespace in (XENC, XENC11) and id(element) not in inside:
            raise EncryptionForbidden
    if encrypted is None:
        return
    data = encrypted.one(XENC, "EncryptedData")
    method = data.one(XENC, "EncryptionMethod")
    if method.attributes.get("Algorithm") not in DATA_ENCRYPTION or method.children:
        raise EncryptionForbidden
    keys = [element for element in encrypted.walk() if element.is_a(XENC, "EncryptedKey")]
    if not 1 <= len(keys) <= MOST_KEYS:
        raise EncryptionForbidden
    for key in keys:
        transport = key.one(XENC, "EncryptionMethod")
        if transport.attributes.get("Algorithm") not in KEY_TRANSPORT:
            raise EncryptionForbidden
        for part in transport.children:
            if part.is_a(DS, "DigestMethod"):
                if part.attributes.get("Algorithm") not in OAEP_DIGESTS:
                    raise EncryptionForbidden
            elif not part.is_a(XENC11, "MGF"):
                raise EncryptionForbidden
    for element in encrypted.walk():
        if element.name in ("RetrievalMethod", "CipherReference", "DataReference", "KeyReference", "Transforms"):
            raise EncryptionForbidden
        if "URI" in element.attributes:
            raise EncryptionForbidden
    count = sum(1 for element in encrypted.walk() if element.is_a(XENC, "EncryptedData"))
    if count != 1:
        raise EncryptionForbidden
