"""The MSI on a Windows that Wine plays, against the real services of this machine: `make test-windows`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.person import UNHURRIED

from keystead_local.stack import Stack
from keystead_windows import runtime
from keystead_windows.build import INSTALLER
from keystead_windows.wine import WINE, Wine, opened

SEED = Path(__file__).parents[2] / "deploy/local/seed.yaml"
LONGEST_RUN = 7200
"""Seconds; all that runs is ended with the prefix."""
MUST_RUN = "KEYSTEAD_WINDOWS_TESTS"
"""Set by `make test-windows`: what it needs is there, or the tests fail."""


@pytest.fixture(scope="session")
def installer() -> Path:
    """The MSI that `make windows` built."""
    if not (WINE.exists() and INSTALLER.exists()) and MUST_RUN not in os.environ:
        pytest.skip("needs Wine and the MSI: `make test-windows` makes both")
    return INSTALLER


@pytest.fixture(scope="session")
def wine(installer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    """A new Windows, whose administrators allow keys outside a TPM: Wine has none. A program stays: when the last one
    that is no service ends, Wine ends the services too, and starts all again for the next."""
    python = runtime.prepare()
    with opened(tmp_path_factory.mktemp("wine") / "prefix") as windows:
        policy = r"HKLM\Software\Policies\Keystead"
        windows.run(["reg.exe", "add", policy, "/v", "allow_software_key", "/t", "REG_DWORD", "/d", "1"])
        windows.start([python, "-c", f"import time; time.sleep({LONGEST_RUN})"])
        yield windows


@pytest.fixture(scope="session")
def stack(installer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services, where every certificate may have its key in software."""
    folder = tmp_path_factory.mktemp("stack")
    seed = folder / "seed.yaml"
    text = SEED.read_text(encoding="utf-8").replace("minimum_assurance: claimed", "minimum_assurance: software")
    seed.write_text(text, encoding="utf-8")
    (folder / "persons.csv").write_bytes((SEED.parent / "persons.csv").read_bytes())
    with Stack(folder / "data", seed=seed, tpm=False, environment=UNHURRIED) as running:
        yield running
