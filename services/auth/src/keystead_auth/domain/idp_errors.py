"""Why somebody is not signed in through an identity provider, one named exception each.

```
AnswerRefused
├── DocumentRefused     TooLarge, NotWellFormed, HasDoctype, HasInstruction, HasHiddenText, TooDeep, TooManyElements,
│                       IdRepeated, UnexpectedShape
├── SignatureRefused    SignatureMisplaced, SignatureMalformed, ReferenceElsewhere, TransformForbidden,
│                       CanonicalizationForbidden, AlgorithmForbidden, KeyInfoForbidden, SignatureMissing,
│                       SignatureWrong
├── EncryptionRefused   EncryptionForbidden, DecryptionFailed
├── NotMeant            IssuerWrong, DestinationWrong, RecipientWrong, AudienceWrong, RequestUnknown, Unasked,
│                       ConfirmationMissing, BrowserWrong, FormUnnamed
├── NotNow              NotYetValid, TooLate, AlreadyUsed
├── StatusFailed
├── CodeRefused, IdTokenWrong (KeyUnknown)
└── MailMissing, MailUnverified
ProviderUnknown, ProviderNotReady, FetchFailed, SecretMissing
```
"""

from __future__ import annotations

import re
from typing import ClassVar

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words

AGAIN = Words("Start again from the sign-in page. If it happens again, tell your administrator the reference.")


class AnswerRefused(Refusal):
    """An identity provider's answer that signs nobody in.

    `reason` goes to the log and the metrics, `why` to the log alone. What the person reads is the same for every way in
    which an answer can be forged: it teaches a forger nothing. `form` is the URI extension of the form to go back to,
    where it is known.
    """

    code = "forbidden"
    reason: ClassVar[str] = "refused"
    """The class's name in small letters, unless it says otherwise."""
    default_detail = Words("The answer of the sign-in service could not be accepted, so you are not signed in.")
    default_advice = AGAIN

    def __init_subclass__(cls) -> None:
        if "reason" not in vars(cls):
            cls.reason = re.sub(r"(?<=.)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, why: str = "", form: str | None = None) -> None:
        super().__init__()
        self.why = why
        self.form = form


class DocumentRefused(AnswerRefused):
    """What came is no document that anybody should look into."""


class TooLarge(DocumentRefused):
    """More octets than any answer needs."""


class NotWellFormed(DocumentRefused):
    """Not XML 1.0 in UTF-8, or not base64 around it."""


class HasDoctype(DocumentRefused):
    """A document type declaration: where entities come from."""

    reason = "doctype"


class HasInstruction(DocumentRefused):
    """A processing instruction."""

    reason = "instruction"


class HasHiddenText(DocumentRefused):
    """A comment or CDATA section, on which programs disagree where a text ends."""

    reason = "hidden_text"


class TooDeep(DocumentRefused):
    """Elements in elements beyond any use."""


class TooManyElements(DocumentRefused):
    """More elements or attributes than any answer needs."""


class IdRepeated(DocumentRefused):
    """An ID that is there twice, or that hides in a namespace: a signature could mean either."""


class UnexpectedShape(DocumentRefused):
    """An element in a place where SAML has none, or a missing one."""


class SignatureRefused(AnswerRefused):
    """A signature that proves nothing."""


class SignatureMisplaced(SignatureRefused):
    """A signature anywhere but right after the issuer of the response or the assertion, or a second one."""


class SignatureMalformed(SignatureRefused):
    """A signature with parts that SAML's profile of XML Signature has not."""


class ReferenceElsewhere(SignatureRefused):
    """A signature over something else than the element it stands in."""


class TransformForbidden(SignatureRefused):
    """A transform beyond enveloped-signature and exclusive C14N: programs that the sender has us run."""


class CanonicalizationForbidden(SignatureRefused):
    """Another canonicalization than exclusive C14N without comments."""


class AlgorithmForbidden(SignatureRefused):
    """SHA-1, HMAC, or an algorithm that nobody has looked at."""


class KeyInfoForbidden(SignatureRefused):
    """A key that is to be fetched from somewhere."""


class SignatureMissing(SignatureRefused):
    """Neither the response nor its assertion is signed; metadata that has to be is not."""


class SignatureWrong(SignatureRefused):
    """No key of the identity provider made this signature over this content."""


class EncryptionRefused(AnswerRefused):
    """An encrypted assertion that is not opened."""


class EncryptionForbidden(EncryptionRefused):
    """Another shape or algorithm of encryption than ours."""


class DecryptionFailed(EncryptionRefused):
    """Not encrypted to us, or changed on the way."""


class NotMeant(AnswerRefused):
    """A genuine answer to something else."""


class IssuerWrong(NotMeant):
    """Another identity provider's."""


class DestinationWrong(NotMeant):
    """Sent to another address."""


class RecipientWrong(NotMeant):
    """Confirmed for another address."""


class AudienceWrong(NotMeant):
    """Made for another service."""


class RequestUnknown(NotMeant):
    """An answer to a request that we did not make, or to one that was answered before."""


class Unasked(NotMeant):
    """An answer that nobody asked for, of a provider from which none are taken."""

    default_detail = Words("This sign-in did not begin here, so you are not signed in.")
    default_advice = Words("Open the enrollment form's address that your organization gave you and sign in there.")


class ConfirmationMissing(NotMeant):
    """No bearer confirmation (SAML profiles, section 4.1.4.2)."""


class BrowserWrong(NotMeant):
    """The answer came to another browser than the one that asked."""

    default_detail = Words("This sign-in began in another browser, or cookies are blocked, so you are not signed in.")
    default_advice = Words("Start again from the sign-in page. Cookies must be allowed for this site.")


class FormUnnamed(NotMeant):
    """A good answer that nobody asked for, and that does not say which form it is for."""

    default_detail = Words(
        "Your organization's sign-in service sent you here without saying which enrollment form you want."
    )
    default_advice = Words("Open the enrollment form's address that your organization gave you and sign in there.")


class NotNow(AnswerRefused):
    """An answer at the wrong time."""

    default_detail = Words("Signing in took too long, or this page was loaded a second time, so you are not signed in.")


class NotYetValid(NotNow):
    """From the future: the clocks differ."""


class TooLate(NotNow):
    """Its time is over."""


class AlreadyUsed(NotNow):
    """It signed somebody in before."""


class StatusFailed(AnswerRefused):
    """The identity provider says that it did not sign the person in."""

    default_detail = Words("The sign-in service of your organization did not sign you in.")
    default_advice = Words(
        "Try again, or choose another way to sign in. If it happens again, ask your organization's IT desk."
    )


class IdTokenWrong(AnswerRefused):
    """An ID token that does not prove who the person is."""


class KeyUnknown(IdTokenWrong):
    """The provider has named no such key (yet)."""


class CodeRefused(AnswerRefused):
    """The provider did not take its own code back from us: it is another person's or another sign-in's."""


class MailMissing(AnswerRefused):
    """The person is known, their address is not."""

    default_detail = Words(
        "Your organization's sign-in service did not tell us your e-mail address, so you are not signed in."
    )
    default_advice = Words(
        "Ask your organization's IT desk to release the attribute `mail` to this service, and tell them the reference."
    )


class MailUnverified(AnswerRefused):
    """The provider itself does not know whether the person reads that address."""

    default_detail = Words("Your sign-in service has not verified your e-mail address yet, so you are not signed in.")
    default_advice = Words("Verify your e-mail address there, then start again from the sign-in page.")


class ProviderUnknown(Refusal):
    """No identity provider for this form has this id."""

    code = "not-found"
    default_detail = Words("There is no such sign-in service for this enrollment form, or it was withdrawn.")
    default_advice = Words("Open the form's address again and choose one of the ways it shows.")


class ProviderNotReady(Refusal):
    """The identity provider's metadata is missing, broken or over, or this server is not set up for its protocol."""

    code = "unavailable"
    default_detail = Words("This sign-in service cannot be used at the moment.")
    default_advice = Words("Try again later, or choose another way to sign in. If it lasts, tell your administrator.")


class FetchFailed(Refusal):
    """A provider's document could not be had. `detail` is for an administrator; `status` is what the provider
    answered, None if nothing."""

    code = "unavailable"

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.status = status


class SecretMissing(Refusal):
    """Our secret at an OpenID provider is not among this server's secrets. `detail` is for an administrator."""

    code = "unavailable"
