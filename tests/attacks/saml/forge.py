"""Makes SAML answers, good and forged, with keys of its own: `Forge` signs as an identity provider would, and the
functions here put what it signed where it does not belong."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from saml2.sigver import pre_encryption_part

from keystead_auth.adapters.saml_keys import SamlKey, write_saml_key
from keystead_auth.adapters.xmlsec import XmlSec, find_xmlsec
from keystead_auth.domain.saml.metadata import SamlEntity
from keystead_auth.domain.saml.names import MD, SAML, SAMLP

IDP = "https://idp.example/entity"
SP = "https://enroll.example/auth/saml/metadata"
ACS = "https://enroll.example/auth/saml/acs"
REQUEST = "_request-of-the-tests"
RELAY = "relay state of the tests"

NAMESPACES = (
    'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
    'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
)
EXCLUSIVE = '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
ENVELOPED = '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>'
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def signature(
    reference: str,
    *,
    transforms: str = ENVELOPED + EXCLUSIVE,
    canonicalization: str = '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>',
    method: str = RSA_SHA256,
    digest: str = SHA256,
    references: int = 1,
    more: str = "",
) -> str:
    """An empty signature, which xmlsec1 fills in."""
    one = (
        f'<ds:Reference URI="{reference}"><ds:Transforms>{transforms}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue></ds:DigestValue></ds:Reference>'
    )
    return (
        f'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>{canonicalization}'
        f'<ds:SignatureMethod Algorithm="{method}"/>{one * references}</ds:SignedInfo>'
        f"<ds:SignatureValue></ds:SignatureValue>{more}</ds:Signature>"
    )


@dataclass
class Answer:
    """An unsigned answer; every field can be wrong. `*_signature`: the signature to be filled in, "" for none."""

    now: datetime
    issuer: str = IDP
    response_issuer: str | None = IDP
    destination: str | None = ACS
    request: str | None = REQUEST
    confirmed_request: str | None = REQUEST
    recipient: str = ACS
    audience: str = SP
    status: str = "urn:oasis:names:tc:SAML:2.0:status:Success"
    method: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    mail: str = "ada@example.org"
    name_id: str = "ada"
    assertion_id: str = "_assertion"
    response_id: str = "_response"
    ends_in: timedelta = timedelta(minutes=5)
    begins_in: timedelta = timedelta(minutes=-1)
    response_signature: str = ""
    assertion_signature: str = ""
    extensions: str = ""

    def assertion(self) -> str:
        """The assertion, which can be read alone."""
        begin, end, now = (_text(self.now + each) for each in (self.begins_in, self.ends_in, timedelta()))
        confirmed = f' InResponseTo="{self.confirmed_request}"' if self.confirmed_request else ""
        return (
            f'<saml:Assertion {NAMESPACES} ID="{self.assertion_id}" Version="2.0" IssueInstant="{now}">'
            f"<saml:Issuer>{self.issuer}</saml:Issuer>{self.assertion_signature}"
            f'<saml:Subject><saml:NameID>{self.name_id}</saml:NameID><saml:SubjectConfirmation Method="{self.method}">'
            f'<saml:SubjectConfirmationData NotOnOrAfter="{end}" Recipient="{self.recipient}"{confirmed}/>'
            f'</saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{begin}" NotOnOrAfter="{end}">'
            f"<saml:AudienceRestriction><saml:Audience>{self.audience}</saml:Audience></saml:AudienceRestriction>"
            f'</saml:Conditions><saml:AuthnStatement AuthnInstant="{now}"><saml:AuthnContext>'
            f"<saml:AuthnContextClassRef>urn:x</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
            f'<saml:AttributeStatement><saml:Attribute Name="mail"><saml:AttributeValue>{self.mail}'
            f"</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>"
        )

    def response(self, content: str | None = None) -> str:
        """The response around the assertion, or around other content."""
        attributes = "".join(
            f' {name}="{value}"'
            for name, value in (("Destination", self.destination), ("InResponseTo", self.request))
            if value
        )
        issuer = f"<saml:Issuer>{self.response_issuer}</saml:Issuer>" if self.response_issuer else ""
        return (
            f'<samlp:Response {NAMESPACES} ID="{self.response_id}" Version="2.0" IssueInstant="{_text(self.now)}"'
            f"{attributes}>{issuer}{self.response_signature}{self.extensions}<samlp:Status>"
            f'<samlp:StatusCode Value="{self.status}"/></samlp:Status>'
            f"{self.assertion() if content is None else content}</samlp:Response>"
        )


class Forge:
    """An identity provider's keys, a stranger's, and ours to encrypt to."""

    def __init__(self, folder: Path) -> None:
        program = find_xmlsec()
        assert program, "xmlsec1 is not installed"
        self.keys: dict[str, SamlKey] = {}
        for name in ("idp", "stranger", "sp"):
            files = folder / f"{name}.key.pem", folder / f"{name}.crt.pem"
            write_saml_key(*files, name)
            self.keys[name] = SamlKey.from_files(*files)
        self._signers = {name: XmlSec(program, (key.key_file,)) for name, key in self.keys.items()}
        self.xmlsec = self._signers["sp"]
        self._certificate_file = folder / "sp.crt.pem"

    @property
    def entity(self) -> SamlEntity:
        """The identity provider as its metadata tells."""
        return SamlEntity(IDP, "https://idp.example/sso", None, (self.keys["idp"].certificate,))

    def sign_assertion(self, document: str, id: str = "_assertion", by: str = "idp") -> str:
        """The document with the signature of its assertion filled in."""
        return self._signers[by].sign(document, f"{SAML}:Assertion", id)

    def sign_response(self, document: str, id: str = "_response", by: str = "idp") -> str:
        """The document with the signature of its response filled in."""
        return self._signers[by].sign(document, f"{SAMLP}:Response", id)

    def sign_metadata(self, document: str, element: str = "EntityDescriptor", id: str = "_md", by: str = "idp") -> str:
        """The document with the signature of its metadata filled in, without an XML declaration."""
        return re.sub(r"^<\?xml[^>]*>\s*", "", self._signers[by].sign(document, f"{MD}:{element}", id)).strip()

    def good(self, now: datetime, **changes: object) -> str:
        """An answer whose assertion is signed."""
        return self.sign_assertion(Answer(now, assertion_signature=signature("#_assertion"), **changes).response())  # type: ignore[arg-type]

    def encrypted(self, response: str) -> str:
        """The response with its assertion encrypted to us."""
        wrapped = re.sub(
            r"(<saml:Assertion.*</saml:Assertion>)", r"<saml:EncryptedAssertion>\1</saml:EncryptedAssertion>", response,
            flags=re.S,
        )  # fmt: skip
        template = str(pre_encryption_part(
            msg_enc="http://www.w3.org/2001/04/xmlenc#aes256-cbc",
            key_enc="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
        ))  # fmt: skip
        with NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(template)
            file.flush()
            backend = self.xmlsec._backend
            path = "/*[local-name()='Response']/*[local-name()='EncryptedAssertion']/*[local-name()='Assertion']"
            return str(backend.encrypt(
                wrapped, str(self._certificate_file), file.name, "aes-256", path
            ).decode())  # fmt: skip


def sent(document: str | bytes) -> str:
    """As the browser brings it."""
    return base64.b64encode(document if isinstance(document, bytes) else document.encode()).decode()


def cut(document: str, name: str) -> tuple[str, str]:
    """The document without its first element of this name, and that element."""
    found = re.search(rf"<(?:\w+:)?{name}[ >].*?</(?:\w+:)?{name}>", document, re.S)
    assert found, name
    return document.replace(found[0], "", 1), found[0]


def declaration_free(document: str) -> str:
    """The document without its XML declaration, to be put into another one."""
    return re.sub(r"^<\?xml[^>]*\?>\s*", "", document).strip()


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
