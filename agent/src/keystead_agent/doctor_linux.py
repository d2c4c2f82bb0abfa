"""What `doctor` looks at on Linux alone: who manages the TPM, the service, the desktop's links."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keystead_agent import __version__
from keystead_agent.findings import Finding, good, warning
from keystead_agent.settings import Settings
from keystead_contracts.agent import URL_SCHEME

DESKTOP_FILE = "keystead-agent.desktop"
UNIT = Path("/usr/lib/systemd/system/keystead-agent.service"), Path("/etc/systemd/system/keystead-agent.service")
_ASK_LIMIT = 5.0


@dataclass(frozen=True)
class LinuxFacts:
    """`tpm_device` is the device that the settings name, empty for a TPM that is reached otherwise; `service_version`
    is None where no service answers; `link_handler` is None where there is no desktop."""

    tpm_device: str
    unit_installed: bool
    service_version: str | None
    link_handler: str | None


def look(settings: Settings) -> LinuxFacts:
    """Asks this computer. Changes nothing."""
    kind, _, place = settings.tcti.partition(":")
    return LinuxFacts(
        tpm_device=place if kind == "device" else "",
        unit_installed=any(unit.exists() for unit in UNIT),
        service_version=_service_version(settings.socket),
        link_handler=_link_handler(),
    )


def findings(facts: LinuxFacts) -> Iterator[Finding]:
    """What the facts mean."""
    if facts.tpm_device and not Path(facts.tpm_device).name.startswith("tpmrm"):
        yield warning(
            "resource manager",
            f"{facts.tpm_device} is the TPM without the kernel's resource manager",
            "Use device:/dev/tpmrm0 (setting tcti): without it one program at a time can use the TPM.",
        )
    yield service_finding(facts.service_version, _service_advice(facts.unit_installed))
    if facts.link_handler is None:
        yield good("links", "no desktop here; keystead-agent enroll takes them")
    elif facts.link_handler == DESKTOP_FILE:
        yield good("links", f"{URL_SCHEME}: opens this agent")
    else:
        yield warning(
            "links",
            f"{URL_SCHEME}: opens {facts.link_handler or 'nothing'}",
            f"xdg-mime default {DESKTOP_FILE} x-scheme-handler/{URL_SCHEME}, once {DESKTOP_FILE} is in "
            "/usr/share/applications.",
        )


def service_finding(version: str | None, advice: str) -> Finding:
    """Whether the service answers, and is of this build."""
    if version is None:
        return warning("service", "does not answer; certificates of the whole computer need it", advice)
    if version != __version__:
        return warning("service", f"runs version {version}, this is {__version__}", "Restart it.")
    return good("service", f"runs, version {version}")


def _service_advice(unit_installed: bool) -> str:
    if unit_installed:
        return "systemctl enable --now keystead-agent; systemctl status keystead-agent says why it does not run."
    return "Nothing to do where people enroll for themselves alone; else install keystead-agent.service."


def _service_version(socket: Path) -> str | None:
    from keystead_agent.local.client import running_version
    from keystead_agent.local.unix import connect

    return running_version(lambda: connect(socket))


def _link_handler() -> str | None:
    program = shutil.which("xdg-mime")
    if program is None:
        return None
    try:
        asked = [program, "query", "default", f"x-scheme-handler/{URL_SCHEME}"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_ASK_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip()
