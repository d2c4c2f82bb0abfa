"""The software TPM's manufacturer: a CA of its own, which certifies the TPM's endorsement keys as a real one does."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from keystead_local.processes import StartFailed

SECONDS = 120
_ISSUER, _ROOT = "issuercert.pem", "swtpm-localca-rootca-cert.pem"


def roots_folder(maker: Path) -> Path:
    """Where the certificates are that a server is to trust."""
    return maker / "roots"


def make_tpm(maker: Path, state: Path, environment: Mapping[str, str]) -> None:
    """Makes a TPM in `state` with endorsement certificates of the manufacturer in `maker`, unless there is a TPM: what
    is in it stays. Raises StartFailed."""
    roots_folder(maker).mkdir(parents=True, exist_ok=True)
    if any(state.glob("tpm2-*.permall")):
        return
    ca = maker / "ca"
    ca.mkdir(exist_ok=True)
    (maker / "localca.options").write_text(
        "--platform-manufacturer Keystead\n--platform-version 1\n--platform-model demo\n"
    )
    (maker / "localca.conf").write_text(
        f"statedir = {ca}\nsigningkey = {ca}/signkey.pem\nissuercert = {ca}/{_ISSUER}\ncertserial = {ca}/certserial\n"
    )
    (maker / "setup.conf").write_text(
        f"create_certs_tool = {shutil.which('swtpm_localca', path=environment.get('PATH'))}\n"
        f"create_certs_tool_config = {maker}/localca.conf\ncreate_certs_tool_options = {maker}/localca.options\n"
        "active_pcr_banks = sha256\n"
    )
    command = [
        "swtpm_setup", "--tpm2", "--tpm-state", f"dir://{state}", "--create-ek-cert",
        "--config", str(maker / "setup.conf"), "--logfile", str(maker / "setup.log"),
    ]  # fmt: skip
    try:
        subprocess.run(
            command, env=environment, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        log = maker / "setup.log"
        raise StartFailed("tpm", log.read_text(errors="replace") if log.exists() else str(error)) from error
    for name in (_ROOT, _ISSUER):
        shutil.copy(ca / name, roots_folder(maker) / name)
