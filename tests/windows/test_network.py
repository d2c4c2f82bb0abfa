"""The server is reached as Windows says: through the proxy of the Internet settings, trusting what Windows trusts."""

from __future__ import annotations

import ctypes
import datetime
import http.server
import ipaddress
import ssl
import threading
import winreg
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from keystead_agent.client import ServerClient
from keystead_agent.doorbell import StreamRequest, await_ring
from keystead_agent.errors import ServerUnreachable

UNDER_WINE = hasattr(ctypes.CDLL("ntdll.dll"), "wine_get_version")
SETTINGS = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"


class Proxy(http.server.ThreadingHTTPServer):
    """Refuses every CONNECT and remembers for whom it was."""

    def __init__(self) -> None:
        asked = self.asked = []  # type: list[str]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                asked.append(self.path)
                self.send_error(503)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    running = Proxy()
    values = {
        "ProxyEnable": (1, winreg.REG_DWORD),
        "ProxyServer": (f"127.0.0.1:{running.server_port}", winreg.REG_SZ),
        "ProxyOverride": ("*.inside.example;<local>", winreg.REG_SZ),
    }
    with winreg.CreateKey(winreg.HKEY_CURRENT_USER, SETTINGS) as key:
        for name, (value, kind) in values.items():
            winreg.SetValueEx(key, name, 0, kind, value)  # type: ignore[call-overload]
        yield running
        for name in values:
            winreg.DeleteValue(key, name)
    running.shutdown()


def fails(origin: str) -> str:
    with ServerClient(origin) as client, pytest.raises(ServerUnreachable) as caught:
        client.check()
    return caught.value.detail


def listens(origin: str) -> None:
    """As the process of the service that waits."""
    await_ring(StreamRequest(origin, "/jobs", "job", {}), frozenset(), threading.Event(), deaf_limit=0.01)


@pytest.mark.parametrize("tries", [fails, listens])
def test_the_proxy_of_the_internet_settings_is_used(proxy: Proxy, tries: Callable[[str], object]) -> None:
    tries("https://enroll.example")
    assert proxy.asked == ["enroll.example:443"]


@pytest.mark.parametrize("tries", [fails, listens])
def test_the_proxys_exceptions_are_reached_directly(proxy: Proxy, tries: Callable[[str], object]) -> None:
    tries("https://enroll.inside.example")
    assert proxy.asked == []


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of this computer whose certificate nobody has issued, and that certificate."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    encoded = certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(
        encoded
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "ca.pem").write_bytes(encoded)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", tmp_path / "ca.pem"
    server.shutdown()


def test_a_certificate_that_windows_does_not_trust_is_refused_with_its_reason(stranger: tuple[str, Path]) -> None:
    origin, _ = stranger
    assert "does not trust" in fails(origin)


@pytest.mark.xfail(UNDER_WINE, reason="Wine does not know chain engines with roots of their own", strict=True)
def test_further_roots_come_by_setting(stranger: tuple[str, Path]) -> None:
    origin, roots = stranger
    with ServerClient(origin, roots) as client:
        assert client.check() is not None
