"""The MSI: wixl makes it of keystead-agent.wxs, msibuild adds the tables that wixl does not know."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

from keystead_windows.dialogs import tables
from keystead_windows.places import ROOT

FOLDER = ROOT / "deploy/windows"

RUN_FILE, DEFERRED, AS_SYSTEM, HIDDEN = 18, 0x400, 0x800, 0x2000
"""CustomAction types: the installed program, in the transaction, as LocalSystem, its command line not in any log."""
SECURE = ("INSTALLDIR", "SERVER", "REGISTRATION_TOKEN", "REMOVEKEYS", "WIX_UPGRADE_DETECTED", "WIX_DOWNGRADE_DETECTED")

ACTIONS = (
    # before the service starts: the folders, and what the administrator said; the token is in no log and no registry
    (
        "PrepareComputer",
        RUN_FILE | DEFERRED | AS_SYSTEM | HIDDEN,
        'setup prepare --server "[SERVER]" --token "[REGISTRATION_TOKEN]"',
        'NOT (REMOVE="ALL")',
        5750,
    ),
    # while the program is still there; an upgrade keeps all
    (
        "ForgetComputer",
        RUN_FILE | DEFERRED | AS_SYSTEM,
        "setup forget",
        'REMOVE="ALL" AND REMOVEKEYS="1" AND NOT UPGRADINGPRODUCTCODE',
        3490,
    ),
)
CONFIGURE = ("MsiConfigureServices", 'VersionMsi >= "5.00"', 5850)
"""Windows Installer's own action for MsiServiceConfigFailureActions."""
UI_SEQUENCE = (
    ("LicenceDlg", "NOT Installed", 1250),
    ("MaintenanceDlg", "Installed AND NOT RESUME", 1260),
    ("ProgressDlg", "", 1280),
    ("ExitDlg", "", -1),
    ("UserExitDlg", "", -2),
    ("FatalErrorDlg", "", -3),
)
FAILURE_ACTIONS = (
    "MsiServiceConfigFailureActions\tName\tEvent\tResetPeriod\tRebootMessage\tCommand\tActions\tDelayActions\tComponent_\r\n"
    "s72\ts255\ti4\tI4\tL255\tL255\tS255\tS255\ts72\r\n"
    "MsiServiceConfigFailureActions\tMsiServiceConfigFailureActions\r\n"
    "RestartService\tKeysteadAgent\t3\t86400\t\t\t1[~]1[~]1\t5000[~]30000[~]300000\tService\r\n"
)
"""Restart after 5 s, 30 s, 5 minutes (1 is SC_ACTION_RESTART); at install and reinstall."""


def make(program: Path, made: Path, installer: Path, version: str) -> None:
    """Makes `installer` of the folder `program`."""
    # wixl finds files beside their source only
    (made / "files.wxs").write_text(_fragment(program, made), encoding="utf-8")
    shutil.copy(FOLDER / "keystead-agent.wxs", made)
    installer.unlink(missing_ok=True)
    names = {"Version": version, "Folder": str(program.relative_to(made)), "Icon": "icon.ico"}
    definitions = [word for name, value in names.items() for word in ("-D", f"{name}={value}")]
    sources = ["keystead-agent.wxs", "files.wxs"]
    subprocess.run(["wixl", "--arch", "x64", *definitions, "-o", installer, *sources], check=True, cwd=made)
    licence = (FOLDER / "licence.txt").read_text(encoding="utf-8")
    for name, content in (tables(licence) | {"MsiServiceConfigFailureActions": FAILURE_ACTIONS}).items():
        archive = made / f"{name}.idt"
        archive.write_bytes(content.encode("ascii"))
        subprocess.run(["msibuild", installer, "-i", archive], check=True)
    for query in _queries():
        subprocess.run(["msibuild", installer, "-q", query], check=True)


def _queries() -> Iterator[str]:
    for name, kind, command, condition, sequence in ACTIONS:
        values = f"('{name}', {kind}, 'Agent', '{command}')"
        yield f"INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES {values}"
        yield _step("InstallExecuteSequence", name, condition, sequence)
    yield _step("InstallExecuteSequence", *CONFIGURE)
    for name, condition, sequence in UI_SEQUENCE:
        yield _step("InstallUISequence", name, condition, sequence)
    for name, value in (
        ("MsiHiddenProperties", "REGISTRATION_TOKEN;PrepareComputer"),
        ("ErrorDialog", "ErrorDlg"),
        ("DefaultUIFont", "Plain"),
    ):
        yield f"INSERT INTO `Property` (`Property`, `Value`) VALUES ('{name}', '{value}')"
    yield "DELETE FROM `Property` WHERE `Property` = 'SecureCustomProperties'"
    yield f"INSERT INTO `Property` (`Property`, `Value`) VALUES ('SecureCustomProperties', '{';'.join(SECURE)}')"


def _step(table: str, action: str, condition: str, sequence: int) -> str:
    return f"INSERT INTO `{table}` (`Action`, `Condition`, `Sequence`) VALUES ('{action}', '{condition}', {sequence})"


def _fragment(program: Path, made: Path) -> str:
    """Every file of the program but the two that keystead-agent.wxs names, each a component of its own."""
    tree, components = {}, []
    for number, path in enumerate(_others(program)):
        components.append(f'<ComponentRef Id="c{number}"/>')
        file = f'<File Id="f{number}" Source={quoteattr(str(path.relative_to(made)))} KeyPath="yes"/>'
        tree[path] = f'<Component Id="c{number}" Guid="*" Win64="yes">{file}</Component>'
    content = _folder(program, tree, [0])
    return (
        '<?xml version="1.0" encoding="utf-8"?><Wix xmlns="http://schemas.microsoft.com/wix/2006/wi"><Fragment>'
        f'<DirectoryRef Id="INSTALLDIR">{content}</DirectoryRef>'
        f'<ComponentGroup Id="Program">{"".join(components)}</ComponentGroup></Fragment></Wix>\n'
    )


def _others(program: Path) -> list[Path]:
    return sorted(path for path in program.rglob("*") if path.is_file() and path.parent != program)


def _folder(folder: Path, components: dict[Path, str], counter: list[int]) -> str:
    parts = [components[path] for path in sorted(folder.iterdir()) if path in components]
    for path in sorted(each for each in folder.iterdir() if each.is_dir()):
        counter[0] += 1
        name = quoteattr(path.name)
        parts.append(f'<Directory Id="d{counter[0]}" Name={name}>{_folder(path, components, counter)}</Directory>')
    return "".join(parts)
