"""The forge and the service that is to be fooled."""

from __future__ import annotations

import pytest
from tests.attacks.saml.forge import (
    Forge,
)
from tests.attacks.saml.service import Service


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def service(forge: Forge) -> Service:
    return Service(forge)
