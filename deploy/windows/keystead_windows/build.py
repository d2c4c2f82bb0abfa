"""Builds the agent for Windows: the programs with PyInstaller, the MSI with wixl, a bill of materials beside it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from keystead_agent import __version__
from keystead_windows import msi, runtime
from keystead_windows.icon import write_icon
from keystead_windows.notices import write_notices
from keystead_windows.places import PYTHON, REQUIREMENTS, ROOT, SOURCES, VAR
from keystead_windows.sbom import write_sbom
from keystead_windows.wine import Wine, windows_path

MB = 1 << 20
LARGEST_MSI = 30 * MB
PROGRAMS = ("keystead-agent.exe", "keystead-agentw.exe")
INSTALLER = VAR / f"Keystead-Agent-{__version__}-x64.msi"


class InstallerTooLarge(Exception):
    """The MSI is larger than LARGEST_MSI."""


def build(wine: Wine) -> Path:
    """The MSI, made anew, signed if KEYSTEAD_SIGNING_KEY and KEYSTEAD_SIGNING_CERTIFICATE name files."""
    made = VAR / "made"
    made.mkdir(parents=True, exist_ok=True)
    stamp, wanted = made / "made-of", _digest()
    if INSTALLER.exists() and stamp.exists() and stamp.read_text() == wanted:
        print(f"windows: {INSTALLER.relative_to(ROOT)} is up to date")
        return INSTALLER
    stamp.unlink(missing_ok=True)
    write_icon(made / "icon.ico")
    (made / "version.txt").write_text(_version_resource(), encoding="utf-8")
    program = make_program(wine, made)
    for name in PROGRAMS:
        sign(program / name)
    write_notices(made / "notices.txt")
    msi.make(program, made, INSTALLER, __version__)
    sign(INSTALLER)
    write_sbom(INSTALLER.with_suffix(".cdx.json"), __version__)
    size = INSTALLER.stat().st_size
    print(f"{INSTALLER.relative_to(ROOT)}: {size / MB:.1f} MB; {_folder_size(program) / MB:.0f} MB installed")
    if size > LARGEST_MSI:
        raise InstallerTooLarge(f"{INSTALLER} has {size} bytes; {LARGEST_MSI} are allowed")
    stamp.write_text(wanted)
    return INSTALLER


def _digest() -> str:
    """Of all that the MSI is made of."""
    whole = hashlib.sha256(repr(sorted(_signing().items())).encode())
    folders = (*SOURCES, ROOT / "deploy/windows", REQUIREMENTS)
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            whole.update(str(path.relative_to(ROOT)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def make_program(wine: Wine, made: Path) -> Path:
    """The folder with the programs."""
    started = time.monotonic()
    print("windows: PyInstaller, for minutes", file=sys.stderr)
    variables = {"PYTHONPATH": runtime.python_path(), "KEYSTEAD_BUILD": windows_path(made)}
    folders: list[str | Path] = ["--distpath", made / "dist", "--workpath", made / "work"]
    spec = ROOT / "deploy/windows/keystead-agent.spec"
    shutil.rmtree(made / "dist", ignore_errors=True)
    command: list[str | Path] = [PYTHON / "python.exe", "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
    wine.run([*command, *folders, spec], variables, limit=3600)
    print(f"windows: programs made in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return made / "dist/keystead-agent"


def sign(path: Path) -> None:
    """Signs a program or installer (Authenticode) and has it stamped with the time where a stamp server is named; does
    nothing where no certificate is configured."""
    given = _signing()
    if not given["KEY"] or not given["CERTIFICATE"]:
        return
    signed = path.with_suffix(".signed")
    subprocess.run(
        [
            *("osslsigncode", "sign", "-h", "sha256", "-n", "Keystead Agent"),
            *("-certs", given["CERTIFICATE"], "-key", given["KEY"]),
            *(("-readpass", given["PASSWORD_FILE"]) if given["PASSWORD_FILE"] else ()),
            *(("-ts", given["TIMESTAMP"]) if given["TIMESTAMP"] else ()),
            *("-in", path, "-out", signed),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    signed.replace(path)


def _signing() -> dict[str, str]:
    names = ("KEY", "CERTIFICATE", "PASSWORD_FILE", "TIMESTAMP")
    return {name: os.environ.get(f"KEYSTEAD_SIGNING_{name}", "") for name in names}


def _folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _version_resource() -> str:
    numbers = (*(int(part) for part in __version__.split(".")), 0)
    strings = {
        "CompanyName": "Keystead",
        "FileDescription": "Keystead Agent",
        "FileVersion": __version__,
        "ProductName": "Keystead Agent",
        "ProductVersion": __version__,
    }
    table = ", ".join(f"StringStruct({name!r}, {value!r})" for name, value in strings.items())
    return (
        f"VSVersionInfo(ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3F, flags=0, OS=0x40004, "
        f"fileType=1, subtype=0, date=(0, 0)), kids=[StringFileInfo([StringTable('040904B0', [{table}])]), "
        "VarFileInfo([VarStruct('Translation', [1033, 1200])])])\n"
    )
