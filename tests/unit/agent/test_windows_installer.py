"""The MSI's own tables, the icon, the signature: what can be looked at without Windows."""

from __future__ import annotations

import csv
import shutil
import struct
import subprocess
from io import StringIO
from pathlib import Path

import pytest

from keystead_windows import build, msi
from keystead_windows.dialogs import tables
from keystead_windows.icon import SIZES, write_icon

LICENCE = (Path(__file__).parents[3] / "deploy/windows/licence.txt").read_text(encoding="utf-8")


def rows(name: str) -> list[dict[str, str]]:
    text = tables(LICENCE)[name]
    names, _, _, *found = csv.reader(StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    return [dict(zip(names, row, strict=True)) for row in found]


def test_every_dialog_and_control_that_is_named_is_there() -> None:
    dialogs = {row["Dialog"] for row in rows("Dialog")}
    controls = {(row["Dialog_"], row["Control"]) for row in rows("Control")}
    for row in rows("ControlEvent"):
        assert (row["Dialog_"], row["Control_"]) in controls
        if row["Event"] in ("NewDialog", "SpawnDialog"):
            assert row["Argument"] in dialogs
    for row in rows("Dialog"):
        for column in ("Control_First", "Control_Default", "Control_Cancel"):
            assert (row["Dialog"], row[column]) in controls
    for row in rows("Control"):
        assert not row["Control_Next"] or (row["Dialog_"], row["Control_Next"]) in controls
    assert {name for name, _, _ in msi.UI_SEQUENCE} <= dialogs


def test_nobody_gets_past_the_licence_without_accepting_it() -> None:
    (forward,) = [row for row in rows("ControlEvent") if row["Argument"] == "FolderDlg"]
    assert (forward["Dialog_"], forward["Condition"]) == ("LicenceDlg", "ACCEPTED")
    (disabled,) = [row for row in rows("ControlCondition") if row["Action"] == "Disable"]
    assert (disabled["Dialog_"], disabled["Control_"]) == ("LicenceDlg", forward["Control_"])


def test_the_token_stands_in_no_log() -> None:
    (prepare,) = [action for action in msi.ACTIONS if "REGISTRATION_TOKEN" in action[2]]
    assert prepare[1] & msi.HIDDEN
    queries = list(msi._queries())
    assert any("'MsiHiddenProperties', 'REGISTRATION_TOKEN;" in query for query in queries)


def test_an_upgrade_forgets_nothing() -> None:
    (forget,) = [action for action in msi.ACTIONS if action[2] == "setup forget"]
    assert 'REMOVEKEYS="1"' in forget[3]
    assert "NOT UPGRADINGPRODUCTCODE" in forget[3]


def test_the_icon_has_a_picture_of_each_size(tmp_path: Path) -> None:
    write_icon(tmp_path / "icon.ico")
    content = (tmp_path / "icon.ico").read_bytes()
    assert struct.unpack("<3H", content[:6]) == (0, 1, len(SIZES))
    for index, size in enumerate(SIZES):
        length, offset = struct.unpack("<2I", content[6 + 16 * index + 8 : 6 + 16 * index + 16])
        image = content[offset : offset + length]
        assert image.startswith(b"\x89PNG")
        assert struct.unpack(">2I", image[16:24]) == (size, size)


@pytest.mark.skipif(shutil.which("osslsigncode") is None, reason="needs osslsigncode: deploy/local/setup.sh windows")
def test_a_program_is_signed_where_a_certificate_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate, program = (tmp_path / name for name in ("key.pem", "certificate.pem", "program.exe"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Keystead", "-days", "1",
         "-addext", "extendedKeyUsage=codeSigning", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    program.write_bytes(smallest_program())
    build.sign(program)
    assert program.read_bytes() == smallest_program()
    monkeypatch.setenv("KEYSTEAD_SIGNING_KEY", str(key))
    monkeypatch.setenv("KEYSTEAD_SIGNING_CERTIFICATE", str(certificate))
    build.sign(program)
    said = subprocess.run(["osslsigncode", "verify", "-CAfile", certificate, program], capture_output=True, text=True)
    assert "Signature verification: ok" in said.stdout, said.stdout


def smallest_program() -> bytes:
    """A PE file with headers and one empty section (PE format, section 2 to 4)."""
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = struct.pack("<2sxx2HIIIHH", b"PE", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<HBB5IQ2I6H4I2H4Q2I", 0x20B, 0, 0, 512, 0, 0, 4096, 4096, 0x140000000, 4096, 512,
                           6, 0, 0, 0, 6, 0, 0, 8192, 512, 0, 3, 0, 1 << 20, 4096, 1 << 20, 4096, 0, 16)  # fmt: skip
    section = struct.pack("<8s4I12xI", b".text", 512, 4096, 512, 512, 0x60000020)
    return (dos + coff + optional + bytes(128) + section).ljust(512, b"\0") + bytes(512)
