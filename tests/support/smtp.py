"""A real mail server for tests: STARTTLS or TLS with a certificate of its own CA, login, and refusals on request."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.support.servers import HOST, free_port, wait_until

USERNAME, PASSWORD = "keystead", "correct horse"


@dataclass
class MailServer:
    """Takes letters into `received`. `rcpt` and `data` map a recipient to the replies for it, used up one by one;
    `hold` keeps every letter before the 250 until it is set."""

    port: int = field(default_factory=free_port)
    received: list[EmailMessage] = field(default_factory=list)
    rcpt: dict[str, list[str]] = field(default_factory=dict)
    data: dict[str, list[str]] = field(default_factory=dict)
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    connections: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event | None = None

    async def handle_EHLO(self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]) -> Any:  # noqa: N802
        session.host_name = hostname
        self.connections += session.ssl is None
        return responses

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        replies = self.rcpt.get(address)
        if replies:
            return replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.reached.set()
        if self.hold is not None:
            while not self.hold.is_set():
                await asyncio.sleep(0.02)
        replies = self.data.get(envelope.rcpt_tos[0])
        if replies:
            return replies.pop(0)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 kept"

    def wait_for(self, count: int, seconds: float = 20.0) -> list[EmailMessage]:
        """The letters, once there are `count`. Raises TimeoutError."""
        wait_until(lambda: len(self.received) >= count, f"{count} letter(s)", seconds)
        return self.received

    @contextmanager
    def serving(
        self, certificate: Path | None = None, *, implicit_tls: bool = False, login: bool = False
    ) -> Iterator[None]:
        """It listens while the block lasts, always on the same port. `certificate`: PEM of key and certificate."""
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        starttls = context if not implicit_tls else None

        class Server(Controller):
            def factory(self) -> SMTP:
                return SMTP(
                    self.handler, tls_context=starttls, require_starttls=starttls is not None,
                    auth_required=login, auth_require_tls=starttls is not None, authenticator=handler._authenticate,
                )  # fmt: skip

        handler = self
        controller = Server(self, HOST, self.port, ssl_context=context if implicit_tls else None)
        controller.start()
        try:
            yield
        finally:
            controller.stop()

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = LoginPassword(USERNAME.encode(), PASSWORD.encode())
        if data == right:
            self.logins.append(USERNAME)
        return AuthResult(success=data == right, handled=False)


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A server's PEM (key and certificate for 127.0.0.1 and localhost) and the PEM of the CA that signed it."""
    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test mail CA")])

    def builder(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
        )

    not_used = (
        "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
        "decipher_only",
    )  # fmt: skip
    usage = dict.fromkeys(not_used, False)
    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **usage), True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]), False
        )
        .add_extension(x509.BasicConstraints(False, None), True)
        .sign(ca_key, hashes.SHA256())
    )
    server_file, ca_file = folder / "mail-server.pem", folder / "mail-ca.pem"
    server_file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + leaf.public_bytes(Encoding.PEM)
    )
    ca_file.write_bytes(ca.public_bytes(Encoding.PEM))
    return server_file, ca_file
