"""Letters as text and HTML, and as Internet messages (RFC 5322, MIME)."""

from __future__ import annotations

from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import TypeAdapter

from keystead_kit.i18n import language, speak, speaking
from keystead_kit.pages import utc_text
from keystead_notify.domain.letter import Letter, LetterFact

PRODUCT = "Keystead"
_FACT: TypeAdapter[LetterFact] = TypeAdapter(LetterFact)


@dataclass(frozen=True)
class Written:
    """A letter's words."""

    subject: str
    text: str
    html: str


class Writer:
    """Writes letters from the templates beside this file: `<kind>.txt`, whose first line is the subject, and
    `<kind>.html`."""

    def __init__(self) -> None:
        # Two environments, not one that decides by file name: both kinds share macros, and the words of a macro are
        # escaped by the environment that loaded it.
        self._text, self._html = _environment(autoescape=False), _environment(autoescape=True)

    def write(self, kind: str, fact: dict[str, Any]) -> Written:
        """The letter that tells `fact`, in the language of whoever gets it. Raises pydantic.ValidationError if the fact
        is malformed."""
        told = _FACT.validate_python(fact | {"type": kind})
        context = {"fact": told, "product": PRODUCT}
        with speaking(told.language):
            head, _, text = self._text.get_template(f"{kind}.txt").render(context).partition("\n")
            html = self._html.get_template(f"{kind}.html").render(context)
        return Written(subject=_one_line(head.removeprefix("Subject:")), text=text.strip() + "\n", html=html)


def compose(letter: Letter, written: Written, sender: Address, domain: str) -> EmailMessage:
    """The Internet message: text and HTML, with a Message-ID and Date that a second sending has too.

    No value can begin another header: the subject is one line, the addresses are parsed, and `EmailMessage` refuses
    line ends in headers. `domain` is the right side of the Message-ID.
    """
    local, _, host = letter.recipient.rpartition("@")
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = Address(username=local, domain=host)
    message["Subject"] = written.subject
    message["Date"] = format_datetime(letter.queued_at)
    message["Message-ID"] = f"<{letter.message_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(written.text, cte="quoted-printable")
    message.add_alternative(written.html, subtype="html", cte="quoted-printable")
    return message


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=autoescape,  # noqa: S701 off for plain text alone
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    speak(environment)
    environment.globals["language"] = language
    environment.filters["utc"] = utc_text
    return environment


def _one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())
