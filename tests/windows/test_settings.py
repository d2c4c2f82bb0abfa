"""Where Windows says what an administrator allows."""

from __future__ import annotations

import winreg
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystead_agent.errors import SettingsInvalid
from keystead_agent.settings import load_settings
from keystead_agent.system import windows


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[winreg.HKEYType]:
    """A key for policy that is the tests' own."""
    name = r"Software\KeysteadTests"
    monkeypatch.setattr(windows, "POLICY_KEY", name)
    with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, name, access=winreg.KEY_ALL_ACCESS) as key:
        yield key
    winreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, name)


def test_group_policy_holds(tmp_path: Path, policy: winreg.HKEYType) -> None:
    winreg.SetValueEx(policy, "Servers", 0, winreg.REG_MULTI_SZ, ["https://a.example", "https://b.example"])
    winreg.SetValueEx(policy, "Allow_Software_Key", 0, winreg.REG_DWORD, 0)
    nothing = tmp_path / "agent.toml"
    assert load_settings({}, default_file=nothing).servers == ("https://a.example", "https://b.example")
    with pytest.raises(SettingsInvalid, match="looser than the policy in HKLM"):
        load_settings({"KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY": "1"}, default_file=nothing)


def test_a_word_that_policy_does_not_know_is_named(tmp_path: Path, policy: winreg.HKEYType) -> None:
    winreg.SetValueEx(policy, "Serverz", 0, winreg.REG_SZ, "https://a.example")
    with pytest.raises(SettingsInvalid, match="serverz"):
        load_settings({}, default_file=tmp_path / "agent.toml")


def test_settings_that_another_account_could_have_written_stop_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('servers = ["https://evil.example"]')
    for place in (file, tmp_path):
        monkeypatch.setattr(windows, "foreign_hand", lambda path, place=place: "PC\\mallory" if path == place else "")
        with pytest.raises(SettingsInvalid, match="mallory, who is no administrator, can write there"):
            load_settings({}, default_file=file, distributed={})


def test_the_folders_are_where_windows_says_whatever_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    windows._known_folder.cache_clear()
    monkeypatch.setenv("ProgramData", "D:\\elsewhere")
    monkeypatch.setenv("LOCALAPPDATA", "D:\\elsewhere")
    assert "elsewhere" not in str(windows.computer_state())
    assert "elsewhere" not in str(windows.account_state({}))
    assert windows.computer_state() != windows.account_state({})
