"""What the agent says of its machine."""

from __future__ import annotations

import platform
import socket

from keystead_agent import __version__
from keystead_agent.errors import AgentBusy, KeyStoreError
from keystead_agent.keystore import KeyStores
from keystead_contracts.agent import KeyProvider, MachineInfo


def machine_info(keys: KeyStores) -> MachineInfo:
    """Name, platform and key store. A TPM that cannot be asked now is left blank: a job that needs it will say why."""
    manufacturer = firmware = ""
    provider = KeyProvider.TPM2
    try:
        info = keys.usable(allow_software=True).describe()
        provider, manufacturer, firmware = info.provider, info.manufacturer, info.firmware
    except (KeyStoreError, AgentBusy):
        pass
    return MachineInfo(
        hostname=(socket.gethostname() or "unknown")[:253],
        platform=f"{platform.system()} {platform.release()} {platform.machine()}"[:64],
        agent_version=__version__,
        key_provider=provider,
        tpm_manufacturer=manufacturer[:16],
        tpm_firmware=firmware[:32],
    )
