"""The terms of the others whose work is in the MSI, as their licences want them passed on: each package's own files."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

from keystead_windows import runtime
from keystead_windows.sbom import licence_of, packages

_RULE = "=" * 100
_FILES = ("licen", "copying", "notice", "authors")
"""How the names of files begin in which a package says its terms, or that are in its folder "licenses"."""


def write_notices(path: Path) -> None:
    """Writes the terms of all that is in the MSI to `path`, for Windows."""
    text = "\n\n".join([_python(), *(_notice(package) for package in packages("pyinstaller"))])
    path.write_text(text + "\n", encoding="utf-8", newline="\r\n")


def _python() -> str:
    return (
        "The Keystead Agent contains what follows. Each part is under the terms of its own authors.\n\n"
        f"{_RULE}\nPython {runtime.VERSION} and what is built into it\n{_RULE}\n\n"
        "Python is under the Python Software Foundation License, whose text stands below with typing_extensions,\n"
        "which has the same. Built into it are OpenSSL (Apache License 2.0, whose text stands below with\n"
        "cryptography), libffi, zlib, bzip2, XZ Utils, expat, libmpdec and others, and the Visual C++ runtime of\n"
        f"Microsoft. Their terms and authors are listed at https://docs.python.org/{runtime.VERSION}/license.html."
    )


def _notice(package: Distribution) -> str:
    head = f"{_RULE}\n{package.name} {package.version}: {licence_of(package)}\n{_RULE}"
    return "\n\n".join([head, *_texts(package)])


def _texts(package: Distribution) -> Iterator[str]:
    for file in sorted(package.files or (), key=str):
        inside = file.parts[0].endswith(".dist-info")
        if inside and ("licenses" in file.parts or file.name.lower().startswith(_FILES)):
            yield Path(str(file.locate())).read_text(encoding="utf-8", errors="replace").strip()
