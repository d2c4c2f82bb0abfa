"""What we write in SAML, with pysaml2: requests and our own metadata."""

from __future__ import annotations

import base64
from datetime import datetime
from urllib.parse import urlsplit

from saml2 import md, saml, samlp, xmldsig
from saml2.pack import http_redirect_message
from saml2.sigver import RSACrypto, pre_signature_part
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from keystead_auth.adapters.saml_keys import SamlKey
from keystead_auth.adapters.xmlsec import XmlSec
from keystead_auth.domain.saml.metadata import SamlEntity
from keystead_auth.domain.saml.names import POST, SAMLP
from keystead_auth.ports import SamlRequest

_ENCRYPTION = (
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
)


class Pysaml2Messages:
    """`ports.SamlMessages`. `keys`: the current one, and the next one if there is one, for answers that an identity
    provider encrypts to it already."""

    def __init__(self, origin: str, keys: tuple[SamlKey, ...], xmlsec: XmlSec) -> None:
        self._keys, self._xmlsec = keys, xmlsec
        self.entity_id = f"{origin}/auth/saml/metadata"
        self.acs_url = f"{origin}/auth/saml/acs"

    def request(self, entity: SamlEntity, id: str, relay_state: str, now: datetime) -> SamlRequest:
        """See the port."""
        destination = entity.redirect_url or entity.post_url
        request = samlp.AuthnRequest(
            id=id,
            version="2.0",
            issue_instant=f"{now:%Y-%m-%dT%H:%M:%SZ}",
            destination=destination,
            assertion_consumer_service_url=self.acs_url,
            protocol_binding=POST,
            issuer=saml.Issuer(text=self.entity_id),
            name_id_policy=samlp.NameIDPolicy(allow_create="true"),
        )
        if entity.redirect_url is not None:
            answer = http_redirect_message(
                str(request), entity.redirect_url, relay_state, sigalg=SIG_RSA_SHA256, sign=True,
                backend=RSACrypto(self._keys[0].private),
            )  # fmt: skip
            return SamlRequest(dict(answer["headers"])["Location"])
        request.signature = pre_signature_part(
            id, self._keys[0].certificate, digest_alg=DIGEST_SHA256, sign_alg=SIG_RSA_SHA256
        )
        signed = self._xmlsec.sign(str(request), f"{SAMLP}:AuthnRequest", id)
        return SamlRequest(
            str(destination),
            {"SAMLRequest": base64.b64encode(signed.encode()).decode(), "RelayState": relay_state},
        )

    def metadata(self) -> bytes:
        """See the port. The current key signs; every key is there to encrypt to, the next one first."""
        current, *later = self._keys
        keys = [_described(current, "signing")]
        keys += [_described(key, "encryption") for key in (*later, current)]
        descriptor = md.SPSSODescriptor(
            protocol_support_enumeration=SAMLP,
            authn_requests_signed="true",
            want_assertions_signed="true",
            key_descriptor=keys,
            assertion_consumer_service=[
                md.AssertionConsumerService(binding=POST, location=self.acs_url, index="0", is_default="true")
            ],
        )
        entity = md.EntityDescriptor(entity_id=self.entity_id, spsso_descriptor=descriptor)
        return bytes(entity.to_string())


def host_of(origin: str) -> str:
    """The host name in an origin."""
    return urlsplit(origin).hostname or "keystead"


def _described(key: SamlKey, use: str) -> md.KeyDescriptor:
    certificate = xmldsig.X509Certificate(text=key.certificate)
    return md.KeyDescriptor(
        use=use,
        key_info=xmldsig.KeyInfo(x509_data=[xmldsig.X509Data(x509_certificate=certificate)]),
        encryption_method=[md.EncryptionMethod(algorithm=name) for name in _ENCRYPTION] if use == "encryption" else [],
    )
