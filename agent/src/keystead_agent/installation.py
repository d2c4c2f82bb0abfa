"""What the installer has the agent do on a computer: before the service starts first, and when all is to go."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from keystead_agent.errors import AgentError, ServerRefused, SettingsInvalid
from keystead_agent.files import private_directory, remove_directory, unwritable, write_file
from keystead_agent.settings import origin_of
from keystead_agent.system import system

if TYPE_CHECKING:
    from keystead_agent.device import Registered
    from keystead_agent.machine import Machine
    from keystead_agent.telling import Tell

ORDER = "register.json"
OWN = (
    "certificates",
    "claims",
    "device",
    "jobs",
    "pending",
    "*.lock",
    "*.damaged",
    ".tmp-*",
    "entries.json",
    "keys.json",
)
"""What the agent makes in a state directory, besides the order."""


class RegistrationOrder(BaseModel):
    """The order to register this computer with a server, left in the computer's own folder by an administrator."""

    model_config = ConfigDict(frozen=True)

    server: str
    token: str


def prepare(server: str, token: str, *, settings_file: Path = system.SETTINGS_FILE) -> None:
    """Makes the computer's folders. `server`, if given, becomes the only one that may use this computer, unless an
    administrator wrote other settings before; `token` is kept, for whoever works for the computer alone, until the
    service has registered with it. Raises SettingsInvalid, StoreUnwritable."""
    with unwritable(settings_file):
        system.claim_computer_folder()
    state = private_directory(system.computer_state())
    if token and not server:
        raise SettingsInvalid("a registration token needs a server", "Give SERVER=https://… too.")
    if not server:
        return
    try:
        origin = origin_of(server)
    except ValueError as error:
        raise SettingsInvalid(str(error), "Give SERVER=https://… without a path.") from error
    if not settings_file.exists():
        write_file(settings_file, f"servers = [{json.dumps(origin)}]\n".encode())
    if token:
        write_file(state / ORDER, RegistrationOrder(server=origin, token=token).model_dump_json().encode())


class Registrar(Protocol):
    """Who has the key that is registered."""

    def register(self, server: str, token: str) -> Registered:
        """See `Machine.register`."""


def follow_order(state_dir: Path, registrar: Registrar, tell: Tell) -> bool:
    """Has this computer registered if it was ordered, and forgets the token once the server has said yes or no.
    Whether an order waits for another try."""
    file = state_dir / ORDER
    try:
        order = RegistrationOrder.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValidationError) as error:
        tell("registration_failed", reason=f"{file}: {error}", hint="Install again, or use keystead-agent register.")
        return False
    try:
        reply = registrar.register(order.server, order.token)
    except AgentError as error:
        tell("registration_failed", server=order.server, reason=error.detail, hint=error.advice)
        if not isinstance(error, ServerRefused):
            return True
    else:
        tell("registered", server=order.server, device=reply.device_id)
    with suppress(OSError):
        file.unlink()
    return False


def forget(machine: Machine) -> None:
    """Takes this computer's certificates out of its stores, removes their keys, the device's and the settings. What
    else is in the folders that the settings name is somebody else's, and stays. Raises StoreUnwritable, AgentBusy."""
    state = machine.settings.state_dir
    if state.exists():
        with machine.working(), machine.keys.changing():
            for folder in (
                path for parent in ("certificates", "pending", "device") for path in (state / parent).glob("*")
            ):
                remove_directory(folder)
            machine.store.recover()
    settings = system.SETTINGS_FILE
    for thing in (settings, *(found for name in (*OWN, ORDER) for found in state.glob(name))):
        if thing.is_dir() and not thing.is_symlink():
            shutil.rmtree(thing, ignore_errors=True)
        else:
            with suppress(OSError):
                thing.unlink()
    for folder in (state, settings.parent):
        with suppress(OSError):
            folder.rmdir()
