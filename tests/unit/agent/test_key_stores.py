"""The promises of the key stores that need no hardware; the TPM's turn is in tests/integration, Windows' own in
tests/windows."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.fake_ncrypt import FakeNcrypt
from tests.support.key_store_promises import KeyStorePromises

from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore.base import KeyStore
from keystead_agent.keystore.cng import CngKeyStore
from keystead_agent.keystore.software import SoftwareKeyStore


class TestSoftware(KeyStorePromises):
    @pytest.fixture
    def store(self) -> KeyStore:
        return SoftwareKeyStore()


class TestCng(KeyStorePromises):
    @pytest.fixture(params=[n.PLATFORM_PROVIDER, n.SOFTWARE_PROVIDER])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> KeyStore:
        return CngKeyStore(FakeNcrypt(tmp_path), request.param)


class TestCngThatOpensNoKeys(KeyStorePromises):
    """As Wine's."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> KeyStore:
        fake = FakeNcrypt(tmp_path)
        fake.reopens = False
        fake.algorithms = {n.RSA}
        return CngKeyStore(fake, n.SOFTWARE_PROVIDER)
