"""The promises of every key store, kept by the one on a (software) TPM."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.key_store_promises import KeyStorePromises
from tests.support.swtpm import Swtpm

from keystead_agent.keystore.base import KeyStore
from keystead_agent.keystore.tpm2 import Tpm2KeyStore
from keystead_agent.settings import silence_tss_log

pytestmark = pytest.mark.tpm
silence_tss_log()


class TestTpm(KeyStorePromises):
    @pytest.fixture
    def store(self, swtpm: Swtpm, tmp_path: Path) -> KeyStore:
        return Tpm2KeyStore(swtpm.tcti, tmp_path / "tpm.lock", patience=0.3)
