"""Signature wrapping (XSW): what is signed and what is read are two things. Each shape is a function of the forge."""

from __future__ import annotations

from tests.attacks.saml.forge import (
    Answer,
    Forge,
    cut,
    declaration_free,
    signature,
)
from tests.attacks.saml.service import EVIL
from tests.unit.auth.fakes import START


def evil(**changes: object) -> Answer:
    return Answer(START, mail=EVIL, assertion_id="_evil", response_id="_evil-response", **changes)  # type: ignore[arg-type]


def signed_response(forge: Forge) -> str:
    return declaration_free(forge.sign_response(Answer(START, response_signature=signature("#_response")).response()))


def signed_assertion(forge: Forge) -> str:
    return declaration_free(cut(forge.good(START), "Assertion")[1])


def with_object(signed: str, content: str) -> str:
    return signed.replace("</ds:Signature>", f"<ds:Object>{content}</ds:Object></ds:Signature>")


def xsw1(forge: Forge) -> str:
    """The signed response within its own signature, in a response of another's making."""
    rest, mark = cut(signed_response(forge), "Signature")
    return evil(response_signature=with_object(mark, rest)).response()


def xsw2(forge: Forge) -> str:
    """The signed response beside its signature."""
    rest, mark = cut(signed_response(forge), "Signature")
    return evil(response_signature=mark, extensions=rest).response()


def xsw3(forge: Forge) -> str:
    """Another assertion before the signed one."""
    return Answer(START).response(evil().assertion() + signed_assertion(forge))


def xsw3_after(forge: Forge) -> str:
    """... and behind it."""
    return Answer(START).response(signed_assertion(forge) + evil().assertion())


def xsw4(forge: Forge) -> str:
    """The signed assertion within another one."""
    return Answer(START).response(
        evil().assertion().replace("</saml:Assertion>", signed_assertion(forge) + "</saml:Assertion>")
    )


def xsw5(forge: Forge) -> str:
    """Another assertion with the signature, and the one it is of behind."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(evil(assertion_signature=mark).assertion() + rest)


def xsw6(forge: Forge) -> str:
    """Another assertion with the signature, which has what it is of in it."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(
        evil(assertion_signature=mark.replace("</ds:Signature>", rest + "</ds:Signature>")).assertion()
    )


def xsw7(forge: Forge) -> str:
    """Another assertion of the same ID in the extensions."""
    extensions = f"<samlp:Extensions>{Answer(START, mail=EVIL).assertion()}</samlp:Extensions>"
    return Answer(START, extensions=extensions).response(signed_assertion(forge))


def xsw7_other_id(forge: Forge) -> str:
    """... of another ID."""
    extensions = f"<samlp:Extensions>{evil().assertion()}</samlp:Extensions>"
    return Answer(START, extensions=extensions).response(signed_assertion(forge))


def xsw8(forge: Forge) -> str:
    """Another assertion with the signature, which has what it is of in an object."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(evil(assertion_signature=with_object(mark, rest)).assertion())


def in_advice(forge: Forge) -> str:
    """The signed assertion as the advice of another."""
    return Answer(START).response(
        evil().assertion().replace("<saml:AuthnS", f"<saml:Advice>{signed_assertion(forge)}</saml:Advice><saml:AuthnS")
    )


def in_status(forge: Forge) -> str:
    """The signed assertion in the status."""
    detail = f"<samlp:StatusDetail>{signed_assertion(forge)}</samlp:StatusDetail></samlp:Status>"
    return evil().response().replace("</samlp:Status>", detail)


def in_attribute(forge: Forge) -> str:
    """The signed assertion as the value of an attribute."""
    return evil().response().replace("<saml:AttributeValue>", f"<saml:AttributeValue>{signed_assertion(forge)}", 1)


def response_in_response(forge: Forge) -> str:
    """The signed response within another one."""
    return evil().response(evil().assertion() + signed_response(forge))


def in_envelope(forge: Forge) -> str:
    """The signed response, and another one, in an envelope."""
    return f"<Envelope>{evil().response()}{signed_response(forge)}</Envelope>"


def signature_at_the_end(forge: Forge) -> str:
    """The assertion's signature where no schema has it."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(rest.replace("</saml:Assertion>", mark + "</saml:Assertion>"))


def signature_in_subject(forge: Forge) -> str:
    """A signature elsewhere in the assertion."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(rest.replace("</saml:Subject>", mark + "</saml:Subject>"))


def two_signatures(forge: Forge) -> str:
    """Two signatures of one assertion."""
    text = signed_assertion(forge)
    _, mark = cut(text, "Signature")
    return Answer(START).response(text.replace(mark, mark + mark))


SHAPES = [
    xsw1,
    xsw2,
    xsw3,
    xsw3_after,
    xsw4,
    xsw5,
    xsw6,
    xsw7,
    xsw7_other_id,
    xsw8,
    in_advice,
    in_status,
    in_attribute,
    response_in_response,
    in_envelope,
    signature_at_the_end,
    signature_in_subject,
    two_signatures,
]
