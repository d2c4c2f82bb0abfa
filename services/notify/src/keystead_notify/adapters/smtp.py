"""`ports.Mailer` over SMTP (RFC 5321), with STARTTLS (RFC 3207) or implicit TLS (RFC 8314) and login (RFC 4954)."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from pathlib import Path
from typing import Literal

from keystead_notify.adapters.writing import Writer, compose
from keystead_notify.domain.errors import LetterPostponed, LetterRefused, MailServerAway
from keystead_notify.domain.letter import Letter

Security = Literal["none", "starttls", "tls"]
# Replies of 5xx that speak of this client's own set-up, not of the letter: an operator can mend them.
_OUR_FAULT = frozenset({500, 501, 502, 503, 504, 530, 534, 535, 538, 555})
_CLOSING = 421


@dataclass(frozen=True)
class MailServer:
    """Where letters are handed over. `domain` names this host (EHLO) and the Message-IDs; `timeout` in seconds."""

    host: str
    port: int
    security: Security
    sender: Address
    domain: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    timeout: float = 10.0


class SmtpMailer:
    """Hands letters to one mail server. TLS always verifies the server's certificate and name."""

    def __init__(self, server: MailServer, writer: Writer) -> None:
        self._server, self._writer = server, writer

    @contextmanager
    def session(self) -> Iterator[SmtpSession]:
        """See the port."""
        try:
            client = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            raise MailServerAway(_words(error)) from error
        try:
            yield SmtpSession(client, self._server, self._writer)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                client.quit()
            client.close()

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        if server.security == "tls":
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, server.domain, timeout=server.timeout, context=self._tls()
            )
        else:
            client = smtplib.SMTP(server.host, server.port, server.domain, timeout=server.timeout)
        try:
            if server.security == "starttls":
                client.starttls(context=self._tls())  # raises if the server does not offer it: never in the clear
            if server.username is not None and server.password is not None:
                client.login(server.username, server.password)
        except BaseException:
            client.close()
            raise
        return client

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._server.ca_file)


class SmtpSession:
    """`ports.MailSession`."""

    def __init__(self, client: smtplib.SMTP, server: MailServer, writer: Writer) -> None:
        self._client, self._server, self._writer = client, server, writer

    def send(self, letter: Letter) -> None:
        """See the port."""
        written = self._writer.write(letter.kind, letter.fact)
        message = compose(letter, written, self._server.sender, self._server.domain)
        try:
            self._client.sendmail(self._server.sender.addr_spec, [letter.recipient], message.as_bytes())
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            raise _judge(code, reply) from error
        except smtplib.SMTPSenderRefused as error:
            raise _postponed_or_away(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPResponseException as error:
            raise _judge(error.smtp_code, error.smtp_error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailServerAway(_words(error)) from error


def _judge(code: int, reply: bytes | str) -> LetterRefused | LetterPostponed | MailServerAway:
    if 500 <= code <= 599 and code not in _OUR_FAULT:
        return LetterRefused(code, _text(reply))
    return _postponed_or_away(code, reply)


def _postponed_or_away(code: int, reply: bytes | str) -> LetterPostponed | MailServerAway:
    words = f"{code} {_text(reply)}"
    return MailServerAway(words) if code in (_CLOSING, -1) else LetterPostponed(words)


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return f"{type(error).__name__}: {error}"


def _text(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())[:300]
