"""Namespaces and identifiers of SAML 2.0, XML Signature and XML Encryption."""

SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"

STATUS_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ENTITY_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"

ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
SIGNATURE_METHODS = frozenset(
    f"http://www.w3.org/2001/04/xmldsig-more#{kind}-sha{size}" for kind in ("rsa", "ecdsa") for size in (256, 384, 512)
)
DIGEST_METHODS = frozenset(
    {
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "http://www.w3.org/2001/04/xmldsig-more#sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    }
)
DATA_ENCRYPTION = frozenset(
    {
        *(f"http://www.w3.org/2001/04/xmlenc#aes{size}-cbc" for size in (128, 192, 256)),
        *(f"http://www.w3.org/2009/xmlenc11#aes{size}-gcm" for size in (128, 192, 256)),
    }
)
KEY_TRANSPORT = frozenset(
    {"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#rsa-oaep"}
)
"""RSA with OAEP alone: the padding of PKCS #1 v1.5 tells a stranger too much (Bleichenbacher)."""
OAEP_DIGESTS = DIGEST_METHODS | {"http://www.w3.org/2000/09/xmldsig#sha1"}
"""Within OAEP, SHA-1 need not be free of collisions (RFC 8017 appendix B.1), and most software knows no other."""
