"""What enroll refuses a person or an agent, beside what `errors` says of certificates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Sentences, Words
from keystead_enroll.domain.names import shown

_TOLD = 5


def _listed(values: Sequence[str]) -> str:
    """A few of what somebody else sent, safe to be shown."""
    told, more = ", ".join(shown(value) for value in values[:_TOLD]), len(values) - _TOLD
    return Words("{names} and {more} more", names=told, more=more) if more > 0 else told


class FormUnknown(Refusal):
    """No enrollment form has this URI extension (or the asker may not know of it)."""

    code = "not-found"
    default_advice = Words("Check the address that your administrator gave you.")


class IdentityRefused(Refusal):
    """The identity token is forged, expired, used, or for another form."""

    code = "unauthenticated"
    default_advice = Words("Sign in again.")


class SessionExpired(Refusal):
    """The portal session is over."""

    code = "session-expired"
    default_advice = Words("Sign in again. Requests under way go on by themselves.")


class NoAccount(Refusal):
    """The person may use none of the form's accounts."""

    code = "forbidden"
    default_advice = Words("Ask the administrator who gave you this address; tell them the address you signed in with.")
    title: ClassVar[Words] = Words("This form is not for your address")


class HomeOrganizationUnknown(NoAccount):
    """What the identity provider sent for the person's organization stands for none that the form is for. Whether it
    stands for another one is not said. `sent` is what it sent."""

    default_advice = Words(
        "Ask the administrator who gave you this address. They need the value that your sign-in service sends as "
        "schacHomeOrganization."
    )
    title = Words("This form is not for your organization")

    def __init__(self, sent: Sequence[str]) -> None:
        super().__init__(
            Words(
                "Your sign-in service sends {value} as your organization, and this form is not for it.",
                value=_listed(sent),
            )
            if sent
            else Words("Your sign-in service does not say which organization you belong to, and this form needs that.")
        )


class GroupsUnknown(NoAccount):
    """What the identity provider sent of the person leads to no certificate profile of the form. `sent` are the groups
    that it sent."""

    default_advice = Words(
        "Ask the administrator who gave you this address which group you need to be in, or whoever runs your sign-in "
        "service to send your groups."
    )
    title = Words("No certificate is meant for your groups")

    def __init__(self, sent: Sequence[str]) -> None:
        super().__init__(
            Words(
                "Your sign-in service sends the groups {groups}, and none of them leads to a certificate of this form.",
                groups=_listed(sent),
            )
            if sent
            else Words("Your sign-in service sends no groups for you that lead to a certificate of this form.")
        )


class AttributesCut(NoAccount):
    """The identity provider said more of the person than is known here, and what they may do depends on it."""

    default_advice = Words(
        "Ask whoever runs your sign-in service to send fewer of them to this service: those that its forms are about."
    )
    title = Words("Your sign-in service says too much about you")

    def __init__(self, name: str) -> None:
        super().__init__(
            Words(
                "Your sign-in service sends more values of “{name}” than can be taken, so what you may use here cannot "
                "be decided.",
                name=name,
            )
        )


class AccessCodeWrong(Refusal):
    """The access code is not the account's."""

    code = "access-code-wrong"
    default_advice = Words("Type it exactly as you were given it. If you do not have one, ask your administrator.")


class AccessCodeInUse(Refusal):
    """Another account has this access code. Which one is not said."""

    code = "conflict"
    default_advice = Words("Choose another access code.")

    def __init__(self) -> None:
        super().__init__(Words("Another account has this access code already."))
        self.fields = {"access_code": Sentences(self.detail, self.advice)}


class TooManyAttempts(Refusal):
    """A rate limit is reached. `retry_after` is in seconds."""

    code = "rate-limited"

    def __init__(self, detail: str, retry_after: int) -> None:
        minutes = max(1, -(-retry_after // 60))
        super().__init__(
            detail, Words.plural("Wait {n} minute and try again.", "Wait {n} minutes and try again.", minutes)
        )
        self.retry_after = retry_after


class AccessCodesTriedTooOften(TooManyAttempts):
    """An administrator chose codes that others have too often. Whether this one is in use is not said."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(Words("You chose access codes that were in use already too often."), retry_after)
        self.fields = {"access_code": Sentences(self.detail, self.advice)}


class FormsTriedTooOften(TooManyAttempts):
    """An administrator made test runs of forms too often: each has certificates made and linted."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(Words("You made too many test runs of enrollment forms."), retry_after)


class RequestRefused(Refusal):
    """A certificate request has mistakes. `fields`: field name → what is wrong with it."""

    code = "order-refused"
    default_advice = Words("Correct the marked fields and send the request again.")
    fields: dict[str, str]

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(Words("Some answers need another look."))
        self.fields = fields


class OrderUnknown(Refusal):
    """There is no such order, or it is another person's."""

    code = "not-found"
    default_advice = Words("Open the form's address to see your requests and certificates.")


class CertificateUnknown(Refusal):
    """There is no such certificate, or it is another person's."""

    code = "not-found"
    default_advice = Words("Open the form's address to see your requests and certificates.")


class NotPublished(Refusal):
    """There is no such CA here, or no such list of its."""

    code = "not-found"
    default_advice = Words("Take the address that is in the certificate.")


class OrderClosed(Refusal):
    """The order has ended or is past the step that was asked for."""

    code = "order-refused"
    default_advice = Words("Start a new request in the portal.")


class AlreadyRevoked(Refusal):
    """The certificate was revoked before, for another reason."""

    code = "conflict"
    default_advice = Words("Nothing is to be done; a revocation keeps its first reason.")


class NotOnHold(Refusal):
    """The certificate was revoked for good, so it cannot be released."""

    code = "conflict"
    default_advice = Words("Its owner needs a new one.")


class TooManyOpenOrders(Refusal):
    """The person has as many unfinished orders with this account as one may have."""

    code = "order-refused"
    default_advice = Words("Finish or cancel some of your requests first; your list of certificates shows them.")


class ClaimInvalid(Refusal):
    """The enrollment link is unknown, expired, or was used by another agent. Which is not said."""

    code = "claim-invalid"
    default_advice = "Get a new link on the request's page in the portal."


class RegistrationRefused(Refusal):
    """A machine does not become a device. Whether its registration token is unknown, of another organization, expired,
    revoked or used up is not said: whoever guesses learns nothing, and who was given the token asks who made it."""

    code = "registration-refused"
    default_advice = (
        "See that the token was copied whole. Tokens end, and register a limited number of computers: an administrator "
        "sees in the console, under Devices and Registration tokens, what became of this one, and can raise its limit, "
        "give it more time, or make another. Then register again; this computer's key is kept."
    )


class AssertionInvalid(Refusal):
    """A device's signed assertion is not valid, or the device is unknown."""

    code = "assertion-invalid"
    default_advice = "Check the machine's clock. If the device was removed, register it again."


class JobNotYours(Refusal):
    """There is no such job for this agent."""

    code = "job-not-yours"
    default_advice = "Reconnect to the job stream and do what it sends."


class JobAlreadyReported(Refusal):
    """The job has another report already; the first one counts."""

    code = "job-already-reported"
    default_advice = "Nothing is to be done."


class ReportRefused(Refusal):
    """The report does not answer this kind of job."""

    code = "report-refused"
    default_advice = "Update the agent."


@dataclass(frozen=True)
class Mistake:
    """Something wrong in a set-up file: whose, what, and on which line (None if it was not read from a file)."""

    line: int | None
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class DeclarationInvalid(Refusal):
    """A set-up file has mistakes: `mistakes`, as they stand in the file."""

    code = "malformed"
    default_advice = "Correct the file and apply it again; nothing was changed."

    def __init__(self, mistakes: Iterable[Mistake], advice: str = "") -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.line or 0)
        super().__init__("; ".join(str(mistake) for mistake in self.mistakes), advice)
