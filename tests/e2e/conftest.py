"""The whole product, once for all tests that only use it; a test that breaks it starts its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser
from tests.support.browser import Desktop, chromium
from tests.support.person import UNHURRIED

from keystead_local.stack import Stack

SEED = Path(__file__).parents[2] / "deploy/local/seed.yaml"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with the demo's set-up and a software TPM."""
    with Stack(tmp_path_factory.mktemp("stack"), seed=SEED, tpm=True, environment=UNHURRIED) as running:
        _wait_for_forms(running)
        yield running


def _wait_for_forms(stack: Stack) -> None:
    """auth hears of new forms by a fact."""
    ends = time.monotonic() + 20
    for address in stack.forms.values():
        while httpx.get(address, follow_redirects=True).status_code != httpx.codes.OK:
            assert time.monotonic() < ends, f"auth does not know {address}"
            time.sleep(0.05)


@pytest.fixture(scope="session")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Desktop:
    """Takes what the browser opens outside of itself."""
    return Desktop(tmp_path_factory.mktemp("desktop"))


@pytest.fixture(scope="module")
def browser(stack: Stack, desktop: Desktop) -> Iterator[Browser]:
    """Chromium, for one file of tests: while it runs, no test in the same process may run an event loop."""
    with chromium(stack.origin, desktop) as running:
        yield running
