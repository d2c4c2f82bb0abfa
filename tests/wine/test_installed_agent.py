"""From the MSI to the certificate in the store of Windows, and back to a computer without a trace."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.load.watch import resident_mib
from tests.support.person import Person

from keystead_agent import __version__
from keystead_agent.errors import ExitCode
from keystead_agent.windows._comctl32 import IDNO, IDYES
from keystead_agent.windows.dialog import TITLE
from keystead_contracts.base import serial_hex
from keystead_local.stack import Stack
from keystead_local.up import REGISTRATION_TOKEN
from keystead_windows.places import PYTHON
from keystead_windows.wine import Wine

pytestmark = [pytest.mark.e2e]

UNINSTALL = r"HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall"
PRODUCTS = r"HKLM\Software\Classes\Installer\Products"
SCHEME = r"HKLM\Software\Classes\keystead"
SERVICE = r"HKLM\System\CurrentControlSet\Services\KeysteadAgent"
CODE = "HEART2026"
SERVICE_STATUS = """
import json, win32api, win32process, win32service as service
manager = service.OpenSCManager(None, None, service.SC_MANAGER_CONNECT)
found = service.QueryServiceStatusEx(service.OpenService(manager, "KeysteadAgent", service.SERVICE_QUERY_STATUS))
process = win32api.OpenProcess(0x410, False, found["ProcessId"])
memory = win32process.GetProcessMemoryInfo(process)
print(json.dumps({"state": found["CurrentState"], "own": memory["PagefileUsage"]}))
"""
COMPUTERS_OWN = r"HKLM\Software\Microsoft\SystemCertificates\MY\Certificates"
RUNNING = 4
DESK = Path(__file__).with_name("desk.py")
STORED = "import ssl, hashlib; print([hashlib.sha256(c).hexdigest() for c, *_ in ssl.enum_certificates('{}')])"


class Computer:
    """Windows with the MSI installed."""

    def __init__(self, wine: Wine) -> None:
        self.wine = wine
        self.folder = wine.drive_c / "Program Files/Keystead Agent"
        self.state = wine.drive_c / "ProgramData/Keystead"

    def msiexec(self, *arguments: str | Path) -> None:
        self.wine.run(["msiexec.exe", *arguments, "/qn", "/l*v", r"C:\msi.log"])

    def agent(self, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return self.wine.attempt([self.folder / "keystead-agent.exe", *arguments], variables)

    def click(self, link: str, button: int = IDYES, times: int = 1) -> list[int]:
        """What the programs end with that the scheme's command starts for `link`, when a person presses `button` in
        each of their windows."""
        done = self.wine.run([PYTHON / "python.exe", DESK, str(button), TITLE, str(times), link], limit=300)
        codes: list[int] = json.loads(done)
        return codes

    def listed(self) -> list[str]:
        """The serial number of each certificate that the agent shows."""
        shown = json.loads(self.agent("list", "--no-test", "--json").stdout)
        return sorted(each["serial_number"].lower() for each in shown)

    def registry(self, key: str) -> str:
        """What is below a key; empty if it is not there."""
        done = self.wine.attempt(["reg.exe", "query", key, "/s"])
        return done.stdout if done.returncode == 0 else ""

    def stored(self, store: str) -> str:
        """The SHA-256 of each certificate of a store, as Python's own reader of Windows' stores sees them."""
        return self.wine.run([PYTHON / "python.exe", "-c", STORED.format(store)])

    def service(self) -> dict[str, int]:
        """The service as the service control manager sees it, and the octets of memory that are its `own`, without what
        it shares; empty if there is none, or it does not run."""
        done = self.wine.attempt([PYTHON / "python.exe", "-c", SERVICE_STATUS])
        found: dict[str, int] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found

    def programs(self) -> dict[int, float]:
        """The agent's processes, all of which are the service's now, by their id on this machine; each with the MiB of
        memory that it has."""
        here = f"WINEPREFIX={self.wine.prefix.resolve()}\0".encode()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                ours = b"keystead-agent.exe" in (process / "cmdline").read_bytes()
                if ours and here in (process / "environ").read_bytes():
                    found[int(process.name)] = resident_mib(int(process.name))
        return found


@pytest.fixture(scope="module")
def computer(wine: Wine, installer: Path, stack: Stack) -> Iterator[Computer]:
    windows = Computer(wine)
    windows.msiexec("/i", installer, f"SERVER={stack.origin}", f"REGISTRATION_TOKEN={REGISTRATION_TOKEN}")
    yield windows
    if windows.folder.exists():
        windows.msiexec("/x", installer)


class Applicant:
    """A person with a browser, signed in to the staff's form."""

    def __init__(self, person: Person, form: str) -> None:
        self.person, self.form = person, form
        person.sign_in(form)
        person.give_access_code(form, CODE)

    def first_link(self) -> str:
        self.person.submit(self.form, key_algorithm="rsa-2048")
        return self.person.link()

    def renewal_link(self) -> str:
        """The link of a new request, made by *Renew* on the page of the newest certificate."""
        browser = self.person.browser
        listed = browser.get(f"/e/{self.form}/certificates")
        own = next(link for link in listed.links if re.search(r"/certificates/\w+$", link))
        renew = next(link for link in browser.get(own).links if "/request?renew=" in link)
        done = browser.submit(browser.get(renew).form_with("key_algorithm"), target="link", licence="on")
        assert "/orders/" in done.url, done.text[:300]
        self.person.order_path = httpx.URL(done.url).path
        return self.person.link()

    def certificate(self) -> dict[str, bytes]:
        """The files that the order's page offers once the link's work is done."""
        assert self.person.wait_until_over()["state"] == "installed"
        return self.person.certificate_files()


@pytest.fixture(scope="module")
def applicant(stack: Stack) -> Iterator[Applicant]:
    form = next(url for name, url in stack.forms.items() if "Staff" in name).rsplit("/", 1)[1]
    with Person(stack.origin, stack.mailbox_url, "ada@example.org", timeout=120) as person:
        yield Applicant(person, form)


@pytest.fixture(scope="module")
def used_link(computer: Computer, applicant: Applicant) -> str:
    """The link with which the first certificate was enrolled."""
    link = applicant.first_link()
    done = computer.agent("enroll", "--yes", link)
    assert done.returncode == 0, done.stdout + done.stderr
    return link


@pytest.fixture(scope="module")
def enrolled(applicant: Applicant, used_link: str) -> dict[str, bytes]:
    """The first certificate's files."""
    return applicant.certificate()


def wait_for(true: Callable[[], object], what: str, seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"not in time: {what}"
        time.sleep(0.2)


def best_of_five(start: Callable[[], subprocess.CompletedProcess[str]]) -> float:
    """Seconds from start to end."""
    taken = []
    for _ in range(5):
        began = time.monotonic()
        assert start().returncode == 0
        taken.append(time.monotonic() - began)
    return min(taken)


def fingerprints(pem: bytes) -> list[str]:
    return [
        hashlib.sha256(each.public_bytes(Encoding.DER)).hexdigest() for each in x509.load_pem_x509_certificates(pem)
    ]


def test_apps_and_features_shows_the_program_with_version_and_icon(computer: Computer) -> None:
    entry = computer.registry(UNINSTALL)
    assert re.search(r"DisplayName\s+REG_SZ\s+Keystead Agent\s", entry)
    assert re.search(rf"DisplayVersion\s+REG_SZ\s+{re.escape(__version__)}\s", entry)
    # Wine keeps the icon here alone; Windows makes the entry's DisplayIcon of it
    assert re.search(r"ProductIcon\s+REG_\w+\s+\S", computer.registry(PRODUCTS))


def test_the_terms_of_those_whose_work_is_in_it_are_beside_the_program(computer: Computer) -> None:
    notices = (computer.folder / "notices.txt").read_text(encoding="utf-8")
    for said in (
        "Python Software Foundation License",
        "Apache License",
        "Copyright (c) Individual contributors",
        "\nhttpx ",
    ):
        assert said in notices, said


def test_links_open_the_program_without_a_console(computer: Computer) -> None:
    command = computer.registry(rf"{SCHEME}\shell\open\command")
    assert r'"C:\Program Files\Keystead Agent\keystead-agentw.exe" open "%1"' in command
    assert "URL Protocol" in computer.registry(SCHEME)


def test_the_service_starts_with_the_computer_as_localsystem_and_runs(computer: Computer) -> None:
    service = computer.registry(SERVICE)
    assert re.search(r"Start\s+REG_DWORD\s+0x2\s", service)
    assert "LocalSystem" in service
    assert r'keystead-agent.exe" service' in service or "keystead-agent.exe service" in service
    wait_for(lambda: computer.service().get("state") == RUNNING, "the service runs")


def test_the_service_registers_the_computer_and_the_token_is_gone(computer: Computer) -> None:
    identity = computer.state / "state/device/identity/device.json"
    wait_for(lambda: identity.exists() and json.loads(identity.read_text())["device_id"], "the registration")
    wait_for(lambda: not (computer.state / "state/register.json").exists(), "the token's removal")
    for file in computer.state.rglob("*"):
        assert file.is_dir() or REGISTRATION_TOKEN not in file.read_text(errors="replace"), file
    for part in ("system.reg", "user.reg"):
        assert REGISTRATION_TOKEN not in (computer.wine.prefix / part).read_text(errors="replace")


def test_figures(computer: Computer, installer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Measured and shown; start takes as long as the machine lets it."""
    ours = best_of_five(lambda: computer.agent("--version"))
    wines = best_of_five(lambda: computer.wine.attempt([PYTHON / "python.exe", "-c", ""]))
    wait_for(lambda: len(computer.programs()) == 1, "the service has nothing to do")
    (idle,), own = computer.programs().values(), computer.service()["own"] / (1 << 20)
    computer.agent("doctor")  # which asks the service
    at_work = [f"{each:.0f}" for each in computer.programs().values()]
    size = installer.stat().st_size / (1 << 20)
    with capsys.disabled():
        print(f"\n  MSI {size:.1f} MB; start {ours:.2f} s at best of 5, of a bare python.exe {wines:.2f} s")
        print(f"  idle service {idle:.0f} MiB, {own:.0f} MiB of them its own; at work {' + '.join(at_work)} MiB")
    assert size < 30
    assert idle < 60


def test_the_server_that_the_administrator_named_is_the_only_one(computer: Computer, stack: Stack) -> None:
    refused = computer.agent("enroll", "--yes", "keystead://enroll?server=https%3A%2F%2Fevil.example&claim=" + "A" * 43)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert stack.origin in refused.stderr


def test_certificate_and_chain_are_in_the_accounts_stores(computer: Computer, enrolled: dict[str, bytes]) -> None:
    (leaf,) = fingerprints(enrolled["certificate.pem"])
    assert leaf in computer.stored("MY")
    intermediates = fingerprints(enrolled["chain.pem"])
    assert intermediates
    for each in intermediates:
        assert each in computer.stored("CA")
    (root,) = fingerprints(enrolled["root.pem"])
    assert root not in computer.stored("ROOT")


def test_the_list_names_store_provider_and_container(computer: Computer, enrolled: dict[str, bytes]) -> None:
    listed = computer.agent("list", "--no-test", "--json").stdout
    (certificate,) = x509.load_pem_x509_certificates(enrolled["certificate.pem"])
    assert f"{certificate.serial_number:x}" in listed.lower()
    assert "Microsoft Software Key Storage Provider" in listed
    assert re.search(r"tp-[0-9a-f]{8}-", listed)


def test_a_link_that_was_used_does_nothing_more(computer: Computer, enrolled: dict[str, bytes], used_link: str) -> None:
    listed, stored = computer.listed(), computer.stored("MY")
    computer.agent("enroll", "--yes", used_link)
    assert (computer.listed(), computer.stored("MY")) == (listed, stored)


def test_a_link_that_was_used_is_refused_to_another(
    computer: Computer, enrolled: dict[str, bytes], used_link: str
) -> None:
    stored = computer.stored("MY")
    elsewhere = {"KEYSTEAD_AGENT_STATE_DIR": r"C:\elsewhere"}
    refused = computer.agent("enroll", "--yes", used_link, variables=elsewhere)
    assert refused.returncode == ExitCode.FAILED, refused.stdout + refused.stderr
    assert computer.stored("MY") == stored


@pytest.mark.parametrize(
    "link",
    [
        'keystead://enroll?server=x" --yes "claim=y',
        'keystead://enroll" enroll --yes "keystead://enroll',
        "keystead://enroll?server=https%3A%2F%2Fevil.example&claim=" + "A" * 43,
        "--help",
    ],
)
def test_a_link_that_plays_tricks_with_the_command_line_or_names_another_server_is_refused(
    computer: Computer, enrolled: dict[str, bytes], link: str
) -> None:
    before = computer.listed()
    (code,) = computer.click(link)
    assert code in (ExitCode.USAGE, ExitCode.REFUSED)
    assert computer.listed() == before


def test_a_person_who_says_no_renews_nothing_and_whose_yes_renews_and_the_old_one_goes(
    computer: Computer, applicant: Applicant, enrolled: dict[str, bytes]
) -> None:
    before, link = computer.listed(), applicant.renewal_link()
    assert computer.click(link, IDNO) == [ExitCode.REFUSED]
    assert computer.listed() == before
    assert computer.click(link) == [ExitCode.DONE]
    (renewed,) = fingerprints(applicant.certificate()["certificate.pem"])
    (first,) = fingerprints(enrolled["certificate.pem"])
    stored = computer.stored("MY")
    assert renewed in stored and first not in stored
    assert computer.listed() != before and len(computer.listed()) == len(before)


def test_two_clicks_at_once_make_one_certificate(
    computer: Computer, applicant: Applicant, enrolled: dict[str, bytes]
) -> None:
    before = computer.listed()
    assert ExitCode.DONE in computer.click(applicant.renewal_link(), times=2)
    (made,) = fingerprints(applicant.certificate()["certificate.pem"])
    assert made in computer.stored("MY")
    assert computer.listed() != before and len(computer.listed()) == len(before)


def test_the_service_makes_the_computers_certificate_in_the_computers_store(computer: Computer, stack: Stack) -> None:
    form = next(url for name, url in stack.forms.items() if "Device" in name).rsplit("/", 1)[1]
    with Person(stack.origin, stack.mailbox_url, "grace@example.org", timeout=120) as person:
        person.sign_in(form)
        person.give_access_code(form, "DEVICE2026")
        person.submit(form, key_algorithm="rsa-2048", device_name="ward-7.example.org")
        link = person.link()
        assert "scope=machine" in link
        assert computer.click(link) == [ExitCode.DONE]
        assert person.wait_until_over()["state"] == "installed"
        (made,) = x509.load_pem_x509_certificates(person.certificate_files()["certificate.pem"])
    assert made.fingerprint(hashes.SHA1()).hex() in computer.registry(COMPUTERS_OWN).lower()  # noqa: S303 as Windows
    shown = json.loads(computer.agent("list", "--no-test", "--json").stdout)
    (store,) = [each["store"] for each in shown if each["serial_number"].lower() == serial_hex(made.serial_number)]
    assert store.startswith("LocalMachine")


def test_removing_it_leaves_no_file_scheme_or_service(computer: Computer, installer: Path) -> None:
    computer.msiexec("/x", installer, "REMOVEKEYS=1")
    assert not computer.folder.exists()
    assert not computer.state.exists()
    assert computer.registry(SCHEME) == ""
    assert computer.registry(SERVICE) == ""
    assert "Keystead" not in computer.registry(UNINSTALL)
    assert computer.service() == {}
