"""The two DLLs that are missing between CPython's build, its wheels and Wine, made with MinGW."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

TOOLS = "x86_64-w64-mingw32-"
EXPORT = re.compile(r"^\s*\[ *\d+\] (\w+)$", re.MULTILINE)
"""A name in objdump's list of a DLL's names."""


def make_bcryptprimitives(folder: Path) -> None:
    """Wine's lack of bcryptprimitives.dll, filled in `folder`."""
    source = Path(__file__).with_name("bcryptprimitives.c")
    target = folder / "bcryptprimitives.dll"
    subprocess.run([f"{TOOLS}gcc", "-shared", "-Os", "-s", "-o", target, source, "-ladvapi32"], check=True)


def make_python3(python_dll: Path, import_library: Path, target: Path) -> None:
    """`python3.dll`, through which extension modules of the stable ABI reach any Python 3: it only forwards to
    `python_dll` (PEP 384, CPython's PC/python3dll.c). Its names are those of CPython's own `import_library`."""
    listed = _output(f"{TOOLS}nm", import_library)
    exported = set(EXPORT.findall(_output(f"{TOOLS}objdump", "-p", python_dll)))
    names = sorted(set(re.findall(r"__imp_(\w+)", listed)) & exported)
    with tempfile.TemporaryDirectory() as folder:
        definition = Path(folder, "python3.def")
        forwards = "".join(f"  {name} = {python_dll.stem}.{name}\n" for name in names)
        definition.write_text(f"LIBRARY python3\nEXPORTS\n{forwards}")
        nothing = Path(folder, "nothing.c")
        nothing.touch()
        subprocess.run(
            [f"{TOOLS}gcc", "-shared", "-nostdlib", "-Wl,-e,0", "-s", "-o", target, definition, nothing], check=True
        )


def _output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
