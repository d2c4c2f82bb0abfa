"""Files, locks and folders by Windows' own calls."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import win32security as security

from keystead_agent.errors import StoreUnwritable
from keystead_agent.files import held, locked, private_directory, remove_directory, write_directory, write_file
from keystead_agent.system import windows

HOLD = "import sys; from pathlib import Path; from keystead_agent.files import held\n"
HOLD += "with held(Path(sys.argv[1]), 4711): print('held', flush=True); sys.stdin.read()"


def test_a_lock_keeps_other_processes_out_and_names_its_holder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with held(tmp_path / "lock", 42) as owner:
            assert owner == 4711
        other.kill()
    with held(tmp_path / "lock", 42, patience=5) as owner:
        assert owner is None


def test_a_lock_that_need_not_be_there_is_not_made(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", patience=0, create=False) as lock:
        assert lock is not None
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    for content in (b"one\r\n\x1a", b"two\n"):
        write_file(tmp_path / "file", content)
        write_directory(tmp_path / "folder", {"a": content})
        assert (tmp_path / "file").read_bytes() == content
        assert (tmp_path / "folder/a").read_bytes() == content
    remove_directory(tmp_path / "folder")
    remove_directory(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_somebody_reads_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    reader = "import sys, time; f = open(sys.argv[1], 'rb'); print('open', flush=True); time.sleep(0.5)"
    with subprocess.Popen([sys.executable, "-c", reader, str(tmp_path / "file")], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_an_accounts_folder_is_for_it_alone(tmp_path: Path) -> None:
    folder = private_directory(tmp_path / "state")
    access = security.GetNamedSecurityInfo(
        str(folder), security.SE_FILE_OBJECT, security.DACL_SECURITY_INFORMATION
    ).GetSecurityDescriptorDacl()
    allowed = {security.ConvertSidToStringSid(access.GetAce(index)[2]) for index in range(access.GetAceCount())}
    assert allowed <= {"S-1-5-18", "S-1-5-32-544", windows._account_sid()}


def test_a_folder_where_another_account_can_write_is_known(tmp_path: Path) -> None:
    everybody = security.ACL()
    everybody.AddAccessAllowedAceEx(security.ACL_REVISION, 3, 0x1F01FF, security.CreateWellKnownSid(1, None))
    (tmp_path / "open").mkdir()
    security.SetNamedSecurityInfo(
        str(tmp_path / "open"), security.SE_FILE_OBJECT, security.DACL_SECURITY_INFORMATION, None, None, everybody, None
    )
    assert windows.foreign_hand(tmp_path / "open") != ""


def test_a_link_is_of_whoever_made_it_wherever_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wine makes none (ERROR_NOT_SUPPORTED), so Windows' word for one has to do."""
    link = SimpleNamespace(st_file_attributes=stat.FILE_ATTRIBUTE_DIRECTORY | stat.FILE_ATTRIBUTE_REPARSE_POINT)
    monkeypatch.setattr(os, "lstat", lambda _path: link)
    assert windows.foreign_hand(tmp_path) == "whoever made the link that is there"


def test_the_computers_folder_is_not_used_if_another_account_can_write_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_computer_folder", lambda: tmp_path / "Keystead")
    monkeypatch.setattr(windows, "foreign_hand", lambda path: "PC\\mallory" if path.name == "Keystead" else "")
    with pytest.raises(StoreUnwritable, match="mallory, who is no administrator"):
        private_directory(windows.computer_state())
