"""Is this computer ready to enroll? Each finding says what was found and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from keystead_agent.client import ServerClient
from keystead_agent.device import DeviceStore
from keystead_agent.doctor_tpm import endorsement_finding
from keystead_agent.errors import AgentError, EndorsementUnusable, PolicyRefused, ServerUnreachable
from keystead_agent.files import require_folder
from keystead_agent.findings import Finding, Mark, warning
from keystead_agent.journal import Clock
from keystead_agent.keystore import KeyStores
from keystead_agent.keystore.attesting import AttestingKeyStore
from keystead_agent.keystore.base import KeyStore
from keystead_agent.settings import Settings
from keystead_contracts.base import KeyAlgorithm

NEEDED = (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048)
CLOCK_TOLERANCE = 60.0
"""Seconds; a device's assertion lives as long."""

_SET_CLOCK = "w32tm /resync, as an administrator" if sys.platform == "win32" else "timedatectl set-ntp true"
_CLOCK_ADVICE = f"Set this computer's clock ({_SET_CLOCK})."


def examine(settings: Settings, now: Clock, servers: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Looks at the TPM, the state directory, what the system has of the agent, and the servers: those given, else those
    of policy and registration."""
    yield from _system(settings)
    yield from _tpm(settings)
    yield _state(settings)
    for server in servers or _known_servers(settings):
        yield from _server(settings, server, now)


def _system(settings: Settings) -> Iterator[Finding]:
    if sys.platform == "win32":
        from keystead_agent import doctor_windows
        from keystead_agent.windows import facts

        yield from doctor_windows.findings(facts.look())
    elif sys.platform == "linux":
        from keystead_agent import doctor_linux

        yield from doctor_linux.findings(doctor_linux.look(settings))


def _tpm(settings: Settings) -> Iterator[Finding]:
    try:
        store = KeyStores(settings).hardware()
        yield from _tpm_facts(store)
    except AgentError as error:
        yield Finding(subject="TPM", mark=Mark.BAD, found=error.detail, advice=error.advice)
    if settings.allow_software_key:
        yield Finding(
            subject="policy",
            mark=Mark.WARNING,
            found="keys outside the TPM are allowed",
            advice="Unset allow_software_key unless a server needs it: such keys can be copied.",
        )


def _tpm_facts(store: KeyStore) -> Iterator[Finding]:
    if sys.platform == "win32":
        from keystead_agent.doctor_windows import provider_findings
        from keystead_agent.keystore.cng import CngKeyStore
        from keystead_agent.keystore.pcp import PcpKeyStore

        if isinstance(store, CngKeyStore):
            yield from provider_findings(store.examine(), NEEDED)
            if isinstance(store, PcpKeyStore):
                yield _endorsement(store)
            return
    from keystead_agent.keystore.tpm2 import Tpm2KeyStore

    if not isinstance(store, Tpm2KeyStore):
        yield Finding(subject="key store", mark=Mark.GOOD, found=store.describe().name)
        return
    facts = store.examine()
    is_2 = facts.family == "2.0"
    yield Finding(
        subject="TPM",
        mark=Mark.GOOD if is_2 else Mark.BAD,
        found=f"TPM {facts.family} by {facts.manufacturer}, firmware {facts.firmware}, self-test passed",
        advice="" if is_2 else "A TPM 2.0 is needed; look for it in the computer's firmware set-up.",
    )
    missing = [algorithm for algorithm in NEEDED if algorithm not in facts.algorithms]
    yield Finding(
        subject="key algorithms",
        mark=Mark.BAD if len(missing) == len(NEEDED) else Mark.WARNING if missing else Mark.GOOD,
        found=", ".join(facts.algorithms) or "none",
        advice=f"Certificate profiles must not ask for {', '.join(missing)} here." if missing else "",
    )
    crowded = facts.free_transient_slots < 2
    yield Finding(
        subject="room in the TPM",
        mark=Mark.BAD if crowded else Mark.GOOD,
        found=f"{facts.free_transient_slots} free slots, {facts.loaded_objects} loaded objects",
        advice="Two free slots are needed: flush what other programs left (tpm2_flushcontext -t), or restart."
        if crowded
        else "",
    )
    yield Finding(
        subject="storage root key",
        mark=Mark.GOOD,
        found="persistent at 0x81000001" if facts.has_storage_root_key else "made when needed",
    )
    yield endorsement_finding(store.certificates())


def _endorsement(store: AttestingKeyStore) -> Finding:
    try:
        return endorsement_finding(store.endorsement().certificates)
    except EndorsementUnusable as error:
        return warning("TPM certificates", error.detail, error.advice)


def _state(settings: Settings) -> Finding:
    """Looks only: the folder is made when something is to be kept."""
    subject = "state directory"
    try:
        nearest = require_folder(settings.state_dir)
    except AgentError as error:
        return Finding(subject=subject, mark=Mark.BAD, found=error.detail, advice=error.advice)
    if not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            subject=subject,
            mark=Mark.BAD,
            found=f"This account may not write in {nearest}",
            advice="Check its owner and permissions, or change the setting state_dir (KEYSTEAD_AGENT_STATE_DIR).",
        )
    found = "is writable" if nearest == settings.state_dir else "will be made when needed"
    return Finding(subject=subject, mark=Mark.GOOD, found=f"{settings.state_dir} {found}")


def _known_servers(settings: Settings) -> tuple[str, ...]:
    try:
        device = DeviceStore(settings.state_dir).current()
    except AgentError:
        device = None
    registered = (device[0].server,) if device else ()
    return tuple(dict.fromkeys(settings.servers + registered))


def _server(settings: Settings, server: str, now: Clock) -> Iterator[Finding]:
    subject = "server"
    try:
        settings.require_allowed(server)
        with ServerClient(server, settings.ca_file) as client:
            server_time = client.check()
    except (ServerUnreachable, PolicyRefused) as error:
        yield Finding(subject=subject, mark=Mark.BAD, found=error.detail, advice=error.advice)
        return
    kind = "reachable, certificate trusted" if server.startswith("https:") else "reachable, on this computer"
    yield Finding(subject=subject, mark=Mark.GOOD, found=f"{server} {kind}")
    if server_time is None:
        return
    off = (now() - server_time).total_seconds()
    wrong = abs(off) > CLOCK_TOLERANCE
    yield Finding(
        subject="clock",
        mark=Mark.BAD if wrong else Mark.GOOD,
        found=f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the server"
        if wrong
        else "agrees with the server",
        advice=_CLOCK_ADVICE if wrong else "",
    )
