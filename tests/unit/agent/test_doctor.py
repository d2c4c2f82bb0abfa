"""What doctor makes of the facts, one fact at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keystead_agent import __version__, doctor_linux, doctor_windows
from keystead_agent.doctor_linux import LinuxFacts
from keystead_agent.doctor_windows import OLDEST_BUILD, TPM_NOT_FOUND, TbsFacts, WindowsFacts, provider_findings
from keystead_agent.findings import Finding, Mark
from keystead_agent.keystore._cng_provider import ProviderFacts
from keystead_contracts.base import KeyAlgorithm

COMMAND = r'"C:\Program Files\Keystead Agent\keystead-agent.exe" open "%1"'
READY = WindowsFacts(
    build=22631,
    tbs=TbsFacts(status=0, version=2),
    service_state=4,
    service_version=__version__,
    computers_command=COMMAND,
    accounts_command="",
    program_there=True,
)
READY_LINUX = LinuxFacts(
    tpm_device="/dev/tpmrm0", unit_installed=True, service_version=__version__, link_handler="keystead-agent.desktop"
)
PROVIDER = ProviderFacts(
    name="Microsoft Platform Crypto Provider",
    hardware=True,
    tpm_version="2.0",
    manufacturer="INTC",
    firmware="600.18",
    weak_rsa=False,
    algorithms=(KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256),
)
NEEDED = (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048)


def on_windows(**changes: object) -> dict[str, Finding]:
    return {finding.subject: finding for finding in doctor_windows.findings(replace(READY, **changes))}  # type: ignore[arg-type]


def on_linux(**changes: object) -> dict[str, Finding]:
    return {finding.subject: finding for finding in doctor_linux.findings(replace(READY_LINUX, **changes))}  # type: ignore[arg-type]


def of_provider(**changes: object) -> dict[str, Finding]:
    facts = replace(PROVIDER, **changes)  # type: ignore[arg-type]
    return {finding.subject: finding for finding in provider_findings(facts, NEEDED)}


def test_a_computer_that_is_ready_has_nothing_to_do() -> None:
    for found in (on_windows(), on_linux(), of_provider()):
        assert {finding.mark for finding in found.values()} == {Mark.GOOD}
    assert set(on_windows()) == {"Windows", "TPM", "service", "links"}


def test_windows_is_named_and_its_oldest_build_is_a_limit() -> None:
    assert on_windows()["Windows"].found == "11, build 22631"
    assert on_windows(build=OLDEST_BUILD)["Windows"].found == "10, build 17763"
    assert on_windows(build=OLDEST_BUILD - 1)["Windows"].mark is Mark.BAD


@pytest.mark.parametrize(
    ("tbs", "advice"),
    [
        (TbsFacts(status=TPM_NOT_FOUND), "firmware set-up"),
        (TbsFacts(status=0x80284008), "tpm.msc"),
        (TbsFacts(status=0, version=1), "TPM 2.0 is needed"),
    ],
)
def test_a_tpm_that_is_missing_silent_or_old_says_what_to_do(tbs: TbsFacts, advice: str) -> None:
    finding = on_windows(tbs=tbs)["TPM"]
    assert finding.mark is Mark.BAD
    assert advice in finding.advice


def test_a_service_that_is_not_installed_or_does_not_answer_is_told_apart() -> None:
    assert "MSI" in on_windows(service_state=None, service_version=None)["service"].advice
    assert "sc start KeysteadAgent" in on_windows(service_state=1, service_version=None)["service"].advice
    assert "0.0.1" in on_windows(service_version="0.0.1")["service"].found


def test_links_that_open_nothing_or_something_else_are_seen() -> None:
    assert on_windows(computers_command="")["links"].mark is Mark.WARNING
    assert on_windows(program_there=False)["links"].mark is Mark.BAD
    other = on_windows(accounts_command=r"C:\evil.exe %1")["links"]
    assert other.mark is Mark.WARNING
    assert r"C:\evil.exe" in other.found
    assert on_windows(accounts_command=COMMAND)["links"].mark is Mark.GOOD


def test_a_provider_that_is_not_hardware_is_not_good_enough() -> None:
    assert of_provider(hardware=False)["key provider"].mark is Mark.BAD


def test_what_a_provider_cannot_make_is_named() -> None:
    some = of_provider(algorithms=(KeyAlgorithm.RSA_2048,))["key algorithms"]
    assert (some.mark, "ec-p256" in some.advice) == (Mark.WARNING, True)
    assert of_provider(algorithms=())["key algorithms"].mark is Mark.BAD


def test_rsa_keys_that_can_be_broken_are_warned_of() -> None:
    assert "CVE-2017-15361" in of_provider(weak_rsa=True)["RSA keys"].found


def test_a_tpm_without_its_resource_manager_is_warned_of() -> None:
    assert "tpmrm0" in on_linux(tpm_device="/dev/tpm0")["resource manager"].advice
    assert "resource manager" not in on_linux(tpm_device="")


def test_linuxs_service_is_missed_where_it_is_installed_and_optional_where_not() -> None:
    assert "systemctl enable" in on_linux(service_version=None)["service"].advice
    assert "Nothing to do" in on_linux(service_version=None, unit_installed=False)["service"].advice


def test_linuxs_links_are_looked_at_where_there_is_a_desktop() -> None:
    assert on_linux(link_handler=None)["links"].mark is Mark.GOOD
    assert "opens nothing" in on_linux(link_handler="")["links"].found
    assert "other.desktop" in on_linux(link_handler="other.desktop")["links"].found
