"""Getting identity providers' documents from a real server with a real certificate."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keystead_auth.adapters.fetch import MOST_OCTETS, HttpFetcher
from keystead_auth.domain.idp_errors import FetchFailed

HERE = (ip_network("127.0.0.0/8"),)


@dataclass
class Server:
    """A server that calls itself idp.test."""

    port: int
    trust: ssl.SSLContext
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def fetcher(self, **changes: object) -> HttpFetcher:
        values = {"development": False, "networks": HERE, "tls": self.trust, "resolver": lambda *_: ["127.0.0.1"]}
        return HttpFetcher(**values | changes)  # type: ignore[arg-type]

    def url(self, path: str = "/good", host: str = "idp.test") -> str:
        return f"https://{host}:{self.port}{path}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    certificate = _certificate(folder)
    trust = ssl.create_default_context(cafile=str(certificate))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            running.asked.append((self.path, self.headers["host"], self.headers.get("authorization", "")))
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("location", running.url())
                self.end_headers()
                return
            body = b"x" * (MOST_OCTETS + 1) if self.path == "/huge" else b"a document"
            self.send_response(200 if self.path in ("/good", "/huge") else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    http.socket = tls.wrap_socket(http.socket, server_side=True)
    running = Server(http.server_address[1], trust)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield running
    http.shutdown()
    http.server_close()
    thread.join()


def _certificate(folder: Path) -> Path:
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("idp.test")]), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return path


def test_a_document_comes_from_the_host_that_was_named(server: Server) -> None:
    assert server.fetcher().get(server.url()) == b"a document"
    assert server.asked[-1] == ("/good", f"idp.test:{server.port}", "")


def test_a_host_with_another_s_certificate_is_not_believed(server: Server) -> None:
    with pytest.raises(FetchFailed, match="not trusted"):
        server.fetcher().get(server.url(host="other.test"))


def test_a_certificate_that_nobody_vouches_for_is_not_believed(server: Server) -> None:
    with pytest.raises(FetchFailed, match="not trusted"):
        server.fetcher(tls=None).get(server.url())


def test_a_host_inside_is_not_asked_unless_the_operator_named_its_network(server: Server) -> None:
    before = len(server.asked)
    with pytest.raises(FetchFailed, match="KEYSTEAD_AUTH_IDP_NETWORKS"):
        server.fetcher(networks=()).get(server.url())
    assert len(server.asked) == before


def test_nothing_leads_on_to_another_address(server: Server) -> None:
    before = len(server.asked)
    with pytest.raises(FetchFailed, match="leads on"):
        server.fetcher().get(server.url("/moved"))
    assert [path for path, _, _ in server.asked[before:]] == ["/moved"]


def test_a_huge_document_is_not_read(server: Server) -> None:
    with pytest.raises(FetchFailed, match="more than"):
        server.fetcher().get(server.url("/huge"))


def test_what_the_server_answers_is_told(server: Server) -> None:
    with pytest.raises(FetchFailed) as caught:
        server.fetcher().get(server.url("/nothing"))
    assert caught.value.status == 404


def test_a_host_that_nobody_knows_is_told(server: Server) -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise OSError

    with pytest.raises(FetchFailed, match="not known"):
        server.fetcher(resolver=nobody).get(server.url())
