"""What `keystead ek-roots update --fetch` asks whom for, and what it takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.support import tpm_maker
from tests.support.software_tpm import SoftwareTpm, rsa_key
from tests.support.tpm_maker import NOW, Authority, authority_extensions, ek_extensions, names_of_places

from keystead_enroll.adapters import ek_fetch
from keystead_enroll.adapters.ek_fetch import HOSTS, Fetcher, NotFetched, fetch_into
from keystead_enroll.adapters.ek_roots import load_roots
from keystead_enroll.adapters.ek_sources import Source
from keystead_enroll.adapters.ek_update import update_bundle
from keystead_enroll.domain.endorsement_certificate import Certificate, read_certificate
from keystead_enroll.domain.keys import spki_sha256

HOST = "pki.chips.example"
ROOT = Authority.root()
CA = ROOT.authority()
FAKE = Authority.root("Self-made", which=92)
OTHER_ROOT = Authority.root("Other Root", which=94)
EK = SoftwareTpm().endorsement


class Server:
    """A manufacturer's web server: what it has, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.headers["host"], self.path))
                content = server.files.get(self.path)
                self.send_response(302 if self.path in server.moved else 404 if content is None else 200)
                if self.path in server.moved:
                    self.send_header("location", server.moved[self.path])
                self.send_header("content-length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def at(self, path: str) -> str:
        """The address of a file, by the manufacturer's name."""
        return f"http://{HOST}:{self.http.server_port}{path}"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def fetcher(*addresses: str, own_machine: bool = True) -> Fetcher:
    return Fetcher({HOST}, lambda _host, _port: addresses or ("127.0.0.1",), own_machine)


def source(*certificates: bytes) -> Source:
    made = Source()
    for der in certificates:
        assert made.add(read_certificate(der), "Chips")
    return made


def ek(*places: tpm_maker.Extension, by: Authority = CA) -> Certificate:
    return read_certificate(by.certify(EK.key, [*ek_extensions(), *places]))


def test_a_missing_authority_is_fetched_from_where_a_certificate_says(server: Server) -> None:
    server.files["/ca.crt"] = CA.der
    found = source(ROOT.der)
    assert fetch_into(found, [ek(*names_of_places(server.at("/ca.crt")))], fetcher()) == {}
    assert set(found.certificates) == {ROOT.der, CA.der}
    assert server.asked == [(server.at("").removeprefix("http://"), "/ca.crt")]


def test_authorities_are_fetched_until_a_root_is_reached(server: Server) -> None:
    key = rsa_key(2048, 93)
    places = names_of_places(server.at("/ca.crt"))
    second = replace(CA, name="Chips CA 2", key=key, der=tpm_maker.subordinate(CA, "Chips CA 2", key, *places))
    server.files |= {"/ca.crt": CA.der, "/ca2.crt": second.der}
    found = source(ROOT.der)
    assert fetch_into(found, [ek(*names_of_places(server.at("/ca2.crt")), by=second)], fetcher()) == {}
    assert set(found.certificates) == {ROOT.der, CA.der, second.der}


@pytest.mark.parametrize(
    "answer",
    [b"", b"noise", FAKE.der, ROOT.der, CA.certify(EK.key), tpm_maker.subordinate(ROOT, CA.name, FAKE.key)],
    ids=["nothing", "noise", "a root", "another's root", "no authority", "an authority with the name"],
)
def test_what_is_not_the_missing_authority_is_not_taken(server: Server, answer: bytes) -> None:
    server.files["/ca.crt"] = answer
    found = source(OTHER_ROOT.der)
    failed = fetch_into(found, [ek(*names_of_places(server.at("/ca.crt")))], fetcher())
    assert list(failed) == [server.at("/ca.crt")]
    assert set(found.certificates) == {OTHER_ROOT.der}


def test_a_root_comes_from_the_source_alone(server: Server) -> None:
    """Else whoever answers for a host decides whom we trust."""
    server.files["/root.crt"] = ROOT.der
    below = ROOT.authority([*authority_extensions(0), *names_of_places(server.at("/root.crt"))])
    found = source(below.der)
    assert "only the source may bring" in fetch_into(found, [], fetcher())[server.at("/root.crt")]
    assert set(found.certificates) == {below.der}


def test_revocation_lists_are_fetched_and_taken_from_who_signed_them(server: Server) -> None:
    server.files |= {"/ca.crl": CA.revoked(7), "/root.crl": FAKE.revoked(1)}
    below = ROOT.authority([*authority_extensions(0), *names_of_places(revocations=server.at("/root.crl"))])
    found = source(ROOT.der, below.der)
    sample = ek(*names_of_places(revocations=server.at("/ca.crl")), by=below)
    assert list(fetch_into(found, [sample], fetcher())) == [server.at("/root.crl")]
    assert [each.serials for each in found.lists.values()] == [{7}]


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere.example/ca.crt",
        f"http://{HOST}.evil.example/ca.crt",
        f"http://{HOST}@evil.example/ca.crt",
        f"http://user@{HOST}/ca.crt",
        f"ftp://{HOST}/ca.crt",
        f"file://{HOST}/etc/passwd",
        f"ldap://{HOST}/cn=ca",
        "http://127.0.0.1/ca.crt",
        "http://[::1]/ca.crt",
        f"http://{HOST}:99999/ca.crt",
        f"http://{HOST}\n/ca.crt",
        "",
        "\\\\host\\share",
    ],
)
def test_other_addresses_are_not_asked(server: Server, url: str) -> None:
    with pytest.raises(NotFetched):
        fetcher().get(url, 1000)
    assert server.asked == []


def test_other_ports_are_not_asked(server: Server) -> None:
    with pytest.raises(NotFetched, match="port"):
        fetcher("93.184.215.14", own_machine=False).get(server.at("/ca.crt"), 1000)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1%eth0", "fd00::1",
     "::ffff:127.0.0.1", "0.0.0.0", "224.0.0.1"],  # noqa: S104 addresses that are not asked
)  # fmt: skip
def test_no_name_leads_inside(address: str) -> None:
    for addresses in ((address,), ("93.184.215.14", address)):
        with pytest.raises(NotFetched, match="private network"):
            fetcher(*addresses, own_machine=False).get(f"https://{HOST}/ca.crt", 1000)


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.moved["/ca.crt"] = server.at("/other.crt")
    server.files["/other.crt"] = CA.der
    with pytest.raises(NotFetched, match="302"):
        fetcher().get(server.at("/ca.crt"), 1000)
    assert len(server.asked) == 1


def test_an_answer_is_bounded_in_size_and_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/ca.crt"] = bytes(1001)
    with pytest.raises(NotFetched, match="more than"):
        fetcher().get(server.at("/ca.crt"), 1000)
    monkeypatch.setattr(ek_fetch, "MOST_SECONDS", -1)
    with pytest.raises(NotFetched, match="in time"):
        fetcher().get(server.at("/ca.crt"), 2000)


def test_an_address_is_asked_once_and_not_too_many_are(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [ek(*names_of_places(server.at("/gone.crt"))) for _ in range(3)]
    fetch_into(source(ROOT.der), samples, fetcher())
    assert len(server.asked) == 1
    monkeypatch.setattr(ek_fetch, "MOST_ADDRESSES", 2)
    more = [ek(*names_of_places(server.at(f"/{number}.crt"))) for number in range(5)]
    fetch_into(source(ROOT.der), more, fetcher())
    assert len(server.asked) == 3


def test_the_manufacturers_hosts_are_names_and_nothing_else() -> None:
    assert all(host == host.lower() and not host[-1].isdigit() and "/" not in host for host in HOSTS)


def test_an_update_fetches_into_the_bundle(server: Server, tmp_path: Path) -> None:
    sample = ek(*names_of_places(server.at("/ca.crt"), server.at("/ca.crl")))
    server.files |= {"/ca.crt": CA.der, "/ca.crl": CA.revoked(sample.serial)}
    (tmp_path / "vendors").mkdir()
    (tmp_path / "vendors" / "root.der").write_bytes(ROOT.der)
    (tmp_path / "ek.der").write_bytes(sample.raw)
    updated = update_bundle(
        tmp_path / "bundle", tmp_path / "vendors", NOW, fetcher=fetcher(), samples=[tmp_path / "ek.der"]
    )
    assert updated.left_out == {}
    loaded = load_roots(tmp_path / "bundle")
    assert [each.raw for each in loaded.intermediates] == [CA.der]
    assert loaded.revoked == {spki_sha256(CA.key.public_key()): {sample.serial}}
