"""What the installer orders, and that it leaves no token."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.agent_server import AgentServer

from keystead_agent.device import DeviceStore
from keystead_agent.errors import SettingsInvalid
from keystead_agent.installation import ORDER, RegistrationOrder, follow_order, forget, prepare
from keystead_agent.machine import Machine
from keystead_agent.settings import Settings
from keystead_agent.system import system


class Told(list[str]):
    """The names of the events."""

    def __call__(self, event: str, /, **fields: object) -> None:
        self.append(event)


@pytest.fixture
def server() -> Iterator[AgentServer]:
    running = AgentServer()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    settings = Settings(state_dir=tmp_path / "state", tcti="device:/nowhere", allow_software_key=True)
    made = Machine.of(settings, lambda: datetime.now(UTC))
    made.recover(lambda _pid: None)
    return made


def order(machine: Machine, server: str, token: str) -> Path:
    file = machine.settings.state_dir / ORDER
    file.write_text(RegistrationOrder(server=server, token=token).model_dump_json())
    return file


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The computer's own folders, elsewhere."""
    monkeypatch.setattr(system, "computer_state", lambda: tmp_path / "computer/state")
    monkeypatch.setattr(system, "claim_computer_folder", lambda: (tmp_path / "computer").mkdir(exist_ok=True))
    return tmp_path / "computer"


def test_the_order_is_followed_once(machine: Machine, server: AgentServer) -> None:
    file, told = order(machine, server.origin, server.registration_token), Told()
    assert not follow_order(machine.settings.state_dir, machine, told)
    assert told == ["registered"]
    assert not file.exists()
    assert DeviceStore(machine.settings.state_dir).registered()[0].device_id
    assert not follow_order(machine.settings.state_dir, machine, told)
    assert told == ["registered"]


def test_a_token_that_the_server_refuses_is_forgotten(machine: Machine, server: AgentServer) -> None:
    file, told = order(machine, server.origin, "something wrong"), Told()
    assert not follow_order(machine.settings.state_dir, machine, told)
    assert told == ["registration_failed"]
    assert not file.exists()


def test_a_server_that_is_away_is_tried_again(machine: Machine, server: AgentServer) -> None:
    file, told = order(machine, server.origin, server.registration_token), Told()
    server.stop()
    assert follow_order(machine.settings.state_dir, machine, told)
    assert told == ["registration_failed"]
    assert file.exists()


def test_the_named_server_becomes_policy_and_the_token_is_private(folders: Path) -> None:
    prepare("https://enroll.example.org/", "secret", settings_file=folders / "agent.toml")
    assert (folders / "agent.toml").read_text() == 'servers = ["https://enroll.example.org"]\n'
    file = folders / "state" / ORDER
    assert RegistrationOrder.model_validate_json(file.read_text()).token == "secret"
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_settings_that_are_there_stay(folders: Path) -> None:
    folders.mkdir()
    (folders / "agent.toml").write_text("allow_software_key = false\n")
    prepare("https://enroll.example.org", "", settings_file=folders / "agent.toml")
    assert (folders / "agent.toml").read_text() == "allow_software_key = false\n"


@pytest.mark.parametrize(("server", "token"), [("", "secret"), ("enroll.example.org", ""), ('https://a"\nx=1', "t")])
def test_an_order_that_cannot_be_followed_is_refused_and_kept_nowhere(folders: Path, server: str, token: str) -> None:
    with pytest.raises(SettingsInvalid):
        prepare(server, token, settings_file=folders / "agent.toml")
    assert [path.name for path in folders.rglob("*")] == ["state"]


def test_forgetting_leaves_nothing(machine: Machine, server: AgentServer, monkeypatch: pytest.MonkeyPatch) -> None:
    order(machine, server.origin, server.registration_token)
    follow_order(machine.settings.state_dir, machine, Told())
    monkeypatch.setattr(system, "SETTINGS_FILE", machine.settings.state_dir.parent / "etc/agent.toml")
    forget(machine)
    assert not machine.settings.state_dir.exists()
    forget(machine)


def test_forgetting_leaves_what_is_somebody_else_s(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    state = machine.settings.state_dir
    machine.recover(lambda _: None)
    monkeypatch.setattr(system, "SETTINGS_FILE", state.parent / "etc/agent.toml")
    system.SETTINGS_FILE.parent.mkdir()
    for path in (system.SETTINGS_FILE, system.SETTINGS_FILE.with_name("seed.yaml"), state / "diary.txt"):
        path.write_text("")
    forget(machine)
    assert sorted(path.name for path in state.parent.rglob("*.*")) == ["diary.txt", "seed.yaml"]
    assert [path.name for path in state.iterdir()] == ["diary.txt"]
