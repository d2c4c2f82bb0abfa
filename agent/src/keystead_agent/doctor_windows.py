"""What `doctor` makes of a Windows computer. Facts in, findings out: `windows.facts` does the looking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from keystead_agent.doctor_linux import service_finding
from keystead_agent.findings import Finding, bad, good, warning
from keystead_agent.keystore._cng_provider import ProviderFacts
from keystead_contracts.agent import URL_SCHEME
from keystead_contracts.base import KeyAlgorithm

OLDEST_BUILD = 17763
"""Windows 10 version 1809, and Windows Server 2019."""
NEWEST_10 = 22000
"""Windows 11 begins here."""
TPM_NOT_FOUND = 0x8028_400F
"""TBS_E_TPM_NOT_FOUND (winerror.h)."""
_READY = "tpm.msc shows the TPM's state; Get-Tpm in an administrator's PowerShell says more."


@dataclass(frozen=True)
class TbsFacts:
    """What the TPM Base Services say (Tbsi_GetDeviceInfo): `status` is 0, or why they say nothing; `version` is 1 for
    TPM 1.2 and 2 for TPM 2.0."""

    status: int
    version: int = 0


@dataclass(frozen=True)
class WindowsFacts:
    """`service_state` is None where the service is not installed, else the SERVICE_… number; `service_version` is
    None where it does not answer; the commands are what opens links, empty where nothing does: the computer's, and
    this account's own, which wins."""

    build: int
    tbs: TbsFacts
    service_state: int | None
    service_version: str | None
    computers_command: str
    accounts_command: str
    program_there: bool


def findings(facts: WindowsFacts) -> Iterator[Finding]:
    """What the facts mean, but for the key provider."""
    yield _build(facts.build)
    yield _tbs(facts.tbs)
    yield _service(facts)
    yield _links(facts)


def _build(build: int) -> Finding:
    if build < OLDEST_BUILD:
        return bad(
            "Windows", f"build {build}", f"Update Windows: 10 version 1809 (build {OLDEST_BUILD}) is the oldest."
        )
    return good("Windows", f"{'11' if build >= NEWEST_10 else '10'}, build {build}")


def _tbs(tbs: TbsFacts) -> Finding:
    if tbs.status == TPM_NOT_FOUND:
        return bad(
            "TPM",
            "Windows finds none",
            "Switch it on in the computer's firmware set-up (also named PTT or fTPM); virtual machines need a vTPM.",
        )
    if tbs.status != 0:
        return bad("TPM", f"Windows does not say what it has (0x{tbs.status:08X})", _READY)
    if tbs.version != 2:
        return bad("TPM", "TPM 1.2", "A TPM 2.0 is needed; some computers can switch in their firmware set-up.")
    return good("TPM", "TPM 2.0")


def _service(facts: WindowsFacts) -> Finding:
    if facts.service_state is None:
        return warning(
            "service",
            "KeysteadAgent is not installed; certificates of the whole computer need it",
            "Install the agent with its MSI.",
        )
    advice = "As an administrator: sc start KeysteadAgent. Event Viewer, Application, Keystead Agent says why it stops."
    return service_finding(facts.service_version, advice)


def _links(facts: WindowsFacts) -> Finding:
    again = "Install the agent again with its MSI."
    if facts.accounts_command and facts.accounts_command != facts.computers_command:
        return warning(
            "links",
            f"this account opens {URL_SCHEME}: with {facts.accounts_command}",
            f"Unless you chose that, remove HKEY_CURRENT_USER\\Software\\Classes\\{URL_SCHEME}.",
        )
    if not facts.computers_command:
        return warning("links", f"nothing opens {URL_SCHEME}:", again)
    if not facts.program_there:
        return bad("links", f"{URL_SCHEME}: opens {facts.computers_command}, which is not there", again)
    return good("links", f"{URL_SCHEME}: opens this agent")


def provider_findings(facts: ProviderFacts, needed: tuple[KeyAlgorithm, ...]) -> Iterator[Finding]:
    """What the key provider's own words mean."""
    told = ", ".join(
        part
        for part in (
            f"TPM {facts.tpm_version}" if facts.tpm_version else "",
            f"by {facts.manufacturer}" if facts.manufacturer else "",
            f"firmware {facts.firmware}" if facts.firmware else "",
        )
        if part
    )
    name = f"{facts.name}: {told}" if told else facts.name
    if facts.hardware:
        yield good("key provider", name)
    else:
        yield bad("key provider", f"{name} does not say that it keeps keys in hardware", _READY)
    missing = [algorithm for algorithm in needed if algorithm not in facts.algorithms]
    found = ", ".join(facts.algorithms) or "none"
    if not missing:
        yield good("key algorithms", found)
    elif len(missing) == len(needed):
        yield bad("key algorithms", found, _READY)
    else:
        yield warning("key algorithms", found, f"Certificate profiles must not ask for {', '.join(missing)} here.")
    if facts.weak_rsa:
        yield warning(
            "RSA keys",
            "this TPM's firmware makes RSA keys that can be broken (CVE-2017-15361)",
            "Update the TPM's firmware; until then use profiles with elliptic curves.",
        )
