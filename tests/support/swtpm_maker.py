"""A maker of software TPMs: each gets endorsement certificates from the maker's own CA (swtpm_setup, swtpm_localca).

As a script's helper: `with SwtpmMaker(directory).make(directory / "tpm") as tpm: use(tpm.tcti)`. As pytest fixtures:
import `swtpm_maker`, `made_tpm` and `_first_tpm`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.swtpm import Swtpm

EC_P256_CERTIFICATE = 0x01C0000A
CERTIFICATES = {"ec-p256": EC_P256_CERTIFICATE, "ec-p384": 0x01C00016, "rsa-2048": 0x01C00002}
"""The endorsement keys that are certified, by the NV index of their certificate."""
_NV_ATTRIBUTES = "ppwrite|ppread|ownerread|authread|no_da|platformcreate"


class SwtpmMaker:
    """A maker, with its CA below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._ca = self.directory / "ca"
        self._config, self._options = self.directory / "localca.conf", self.directory / "localca.options"
        self._ca.mkdir(parents=True)
        self._options.write_text("--platform-manufacturer Keystead\n--platform-version 1\n--platform-model test\n")
        self._config.write_text(
            f"statedir = {self._ca}\nsigningkey = {self._ca}/signkey.pem\n"
            f"issuercert = {self._ca}/issuercert.pem\ncertserial = {self._ca}/certserial\n"
        )
        (self.directory / "setup.conf").write_text(
            f"create_certs_tool = {shutil.which('swtpm_localca')}\ncreate_certs_tool_config = {self._config}\n"
            f"create_certs_tool_options = {self._options}\nactive_pcr_banks = sha256\n"
        )

    @property
    def root_pem(self) -> str:
        """The CA that a server is to trust; there once a TPM was made."""
        return (self._ca / "swtpm-localca-rootca-cert.pem").read_text()

    @property
    def issuer_pem(self) -> str:
        """The CA below the root, which signs the endorsement certificates."""
        return (self._ca / "issuercert.pem").read_text()

    def make(self, directory: Path) -> Swtpm:
        """A new TPM, not started, with certificates for its RSA 2048, ECC P-256 and ECC P-384 endorsement keys.
        Raises CalledProcessError."""
        directory = directory.resolve()
        directory.mkdir(parents=True)
        _run(
            "swtpm_setup", "--tpm2", "--tpm-state", f"dir://{directory}", "--create-ek-cert",
            "--config", str(self.directory / "setup.conf"), "--logfile", str(directory / "setup.log"),
        )  # fmt: skip
        with Swtpm(directory) as tpm:
            tpm.tool("tpm2_createek", "-G", "ecc", "-c", "ek.ctx", "-u", "ek.pub")
            tpm.tool("tpm2_readpublic", "-c", "ek.ctx", "-f", "pem", "-o", "ek.pem")
            tpm.empty()
            key = serialization.load_pem_public_key((directory / "ek.pem").read_bytes())
            assert isinstance(key, ec.EllipticCurvePublicKey)
            keep(tpm, EC_P256_CERTIFICATE, self._certify(key))
        return Swtpm(directory)

    def _certify(self, key: ec.EllipticCurvePublicKey) -> bytes:
        """An endorsement certificate for `key`, as swtpm_setup has them made. DER."""
        numbers = key.public_numbers()
        with tempfile.TemporaryDirectory(dir=self.directory) as folder:
            _run(
                "swtpm_localca", "--type", "ek", "--ek", f"x={numbers.x:064x},y={numbers.y:064x},id=secp256r1",
                "--dir", folder, "--tpm-spec-family", "2.0", "--tpm-spec-level", "0", "--tpm-spec-revision", "164",
                "--tpm-manufacturer", "id:00001014", "--tpm-model", "swtpm", "--tpm-version", "id:20191023", "--tpm2",
                "--configfile", str(self._config), "--optsfile", str(self._options),
            )  # fmt: skip
            certificate = x509.load_der_x509_certificate((Path(folder) / "ek.cert").read_bytes())
        return certificate.public_bytes(serialization.Encoding.DER)


def keep(tpm: Swtpm, index: int, content: bytes, attributes: str = _NV_ATTRIBUTES) -> None:
    """Has the running `tpm` keep `content` at NV index `index`, as a maker does. Raises CalledProcessError."""
    file = tpm.directory / "content"
    file.write_bytes(content)
    tpm.tool("tpm2_nvdefine", hex(index), "-C", "p", "-s", str(len(content)), "-a", attributes)
    tpm.tool("tpm2_nvwrite", hex(index), "-C", "p", "-i", str(file))


def forget(tpm: Swtpm, index: int) -> None:
    """Undoes `keep`."""
    tpm.tool("tpm2_nvundefine", hex(index), "-C", "p")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


@pytest.fixture(scope="session")
def swtpm_maker() -> Iterator[SwtpmMaker]:
    """A maker; its CA takes seconds to make."""
    with tempfile.TemporaryDirectory(prefix="tpm-maker-") as directory:
        yield SwtpmMaker(Path(directory))


@pytest.fixture(scope="session")
def _first_tpm(swtpm_maker: SwtpmMaker) -> Path:
    swtpm_maker.make(swtpm_maker.directory / "first")
    return swtpm_maker.directory / "first"


@pytest.fixture
def made_tpm(_first_tpm: Path) -> Iterator[Swtpm]:
    """A running TPM with endorsement certificates, the same one for each test and as it was when it was new."""
    with tempfile.TemporaryDirectory(prefix="swtpm-") as directory:
        state = Path(directory) / "state"
        shutil.copytree(_first_tpm, state)
        with Swtpm(state) as tpm:
            yield tpm
