"""SECURITY_STATUS codes of CNG, of the TPM Base Services and of the TPM behind them (winerror.h) in plain words."""

from __future__ import annotations

from keystead_agent.errors import (
    AlgorithmUnsupported,
    KeyLost,
    KeyStoreError,
    TpmBusy,
    TpmFailed,
    TpmFull,
    TpmLockedOut,
    TpmMissing,
)
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore import _tpm2_errors as tpm2

OPENING = "opening the key provider"
EXAMINING = "examining the key provider"
MAKING = "making a key"
LOADING = "opening a key"
SIGNING = "signing"
REMOVING = "removing a key"
ENDORSING = "reading the endorsement key"
SOLVING = "answering the server's challenge"
CERTIFYING = "certifying a key"

_ACCESS_DENIED = {5, n.E_ACCESSDENIED, n.PERM, 0x80284012}
"""ERROR_ACCESS_DENIED, E_ACCESSDENIED, NTE_PERM, TBS_E_ACCESS_DENIED."""
_NO_TPM = {0x8028400F, 0x80280006, 0x80280007}
"""TBS_E_TPM_NOT_FOUND, TPM_E_DEACTIVATED, TPM_E_DISABLED."""
_NOT_READY = {n.DEVICE_NOT_READY, 0x80290401, 0x80284016}
"""NTE_DEVICE_NOT_READY, TPM_E_PCP_DEVICE_NOT_READY, TBS_E_PROVISIONING_INCOMPLETE."""
_NO_PROVIDER = {n.BAD_PROVIDER, n.PROV_TYPE_NOT_DEF, n.KEYSET_NOT_DEF, n.PROV_DLL_NOT_FOUND, n.PROVIDER_DLL_FAIL}
_NO_SERVICE = {0x80284008, 0x80284010}
"""TBS_E_SERVICE_NOT_RUNNING, TBS_E_SERVICE_DISABLED."""
_BLOCKED = {0x80280400, 0x80280403}
"""TPM_E_COMMAND_BLOCKED, TPM_E_EMBEDDED_COMMAND_BLOCKED."""
_BUSY = {0x80280800, 0x80280801, 0x80280802, 0x8028400B, 0x8028400D}
"""TPM_E_RETRY, TPM_E_NEEDS_SELFTEST, TPM_E_DOING_SELFTEST, TBS_E_SERVICE_START_PENDING, TBS_E_COMMAND_CANCELED."""
_FULL = {0x80280015, 0x80284009, 0x8028400A}
"""TPM_E_RESOURCES, TBS_E_TOO_MANY_TBS_CONTEXTS, TBS_E_TOO_MANY_RESOURCES."""
_LOCKED_OUT = {0x80280803}
"""TPM_E_DEFEND_LOCK_RUNNING."""
_GONE = {n.BAD_KEYSET, n.NOT_FOUND, n.NO_KEY, n.BAD_KEY, n.NOT_SUPPORTED}
"""The last is what a provider that opens no keys at all answers: it kept none."""
_UNSUPPORTED = {
    n.NOT_SUPPORTED,
    n.BAD_ALGID,
    n.BAD_LEN,
    n.INVALID_PARAMETER,
    0x80290403,
    0x80290405,
    0x8028003A,
}
"""Also TPM_E_PCP_INVALID_PARAMETER, TPM_E_PCP_NOT_SUPPORTED, TPM_E_KEY_NOTSUPPORTED."""

READY_ADVICE = (
    "Turn the TPM on in the computer's firmware set-up (TPM, PTT or fTPM), and see in Windows Security, Device "
    "security, Security processor (or tpm.msc) that it is ready. If it is, try as an administrator."
)
FAILED_ADVICE = "Restart the computer; if it stays so, update the TPM's firmware."
ACCOUNT_ADVICE = (
    "A key belongs to the account that made it; keys of the machine need an administrator or the Keystead service."
)


def tpm_code(status: int) -> int | None:
    """The response code of a TPM 2.0 in `status`, or None: TPM_20_E_… are 0x80280000 and the code."""
    code = status & 0xFFFF
    is_tpm2 = status >> 16 == 0x8028 and (code < 0x400 or code & 0xF00 == 0x900)
    return tpm2.error_code(code) if is_tpm2 and code >= tpm2.FORMAT_ONE else None


def is_unsupported(status: int) -> bool:
    """Whether `status` says that there is no such algorithm or size, when a key is asked for."""
    return status in _UNSUPPORTED or tpm_code(status) in tpm2.UNSUPPORTED


def is_gone(status: int) -> bool:
    """Whether `status` says, when a key is opened, that it is not there."""
    return status in _GONE or tpm_code(status) in tpm2.NOT_THIS_TPM


def explain(status: int, doing: str) -> KeyStoreError:
    """The error for SECURITY_STATUS `status`, met while `doing`, one of the gerunds above."""
    shown = f"0x{status:08X}"
    code = tpm_code(status)
    if status in _NO_TPM:
        return TpmMissing(f"Windows finds no TPM, or it is turned off ({shown})", READY_ADVICE)
    if status in _NOT_READY:
        kind = TpmFailed if doing in (SIGNING, LOADING, REMOVING) else TpmMissing
        return kind(f"the TPM is not ready while {doing} ({shown})", READY_ADVICE)
    if status in _NO_PROVIDER and doing == OPENING:
        return TpmMissing(
            f"this Windows does not have the key provider ({shown})", "Windows 10 version 1809 or newer is needed."
        )
    if status in _NO_SERVICE:
        return TpmFailed(
            f"the service TPM Base Services does not run ({shown})", "Start the service (TBS) in services.msc."
        )
    if status in _BLOCKED:
        return TpmFailed(
            f"Windows blocks a TPM command while {doing} ({shown})",
            "A group policy lists blocked TPM commands: Computer Configuration, Administrative Templates, System, "
            "Trusted Platform Module Services. Without one, try as an administrator.",
        )
    if status in _LOCKED_OUT or code == tpm2.LOCKOUT:
        return TpmLockedOut(
            "the TPM is locked out after too many wrong passwords",
            "Wait until the lockout ends (often some hours; Windows lets one guess be forgotten every ten minutes).",
        )
    if status in _BUSY or code in tpm2.TRY_AGAIN:
        return TpmBusy(f"the TPM is busy while {doing} ({shown})", "Try again in a moment.")
    if status in _FULL or code in tpm2.NO_ROOM:
        return TpmFull(
            f"the TPM is full: it has no room for another key while {doing} ({shown})",
            "Close other programs that use the TPM, or restart the computer.",
        )
    if is_gone(status) and (doing == LOADING or (doing == SIGNING and status != n.NOT_SUPPORTED)):
        return KeyLost(
            f"the key is not there for this account, or the TPM was cleared since it was made ({shown})",
            "Enroll again for a new certificate. " + ACCOUNT_ADVICE,
        )
    if status in _ACCESS_DENIED:
        return TpmFailed(f"Windows denies access while {doing} ({shown})", ACCOUNT_ADVICE)
    if doing == MAKING and status == n.EXISTS:
        return TpmFailed(f"a key of the same name is there already ({shown})", "Try again: another name is chosen.")
    if doing == MAKING and is_unsupported(status):
        return AlgorithmUnsupported(f"the key provider cannot make such a key ({shown})")
    if status == n.SILENT_CONTEXT:
        return TpmFailed(
            f"the key provider wants to ask a person while {doing} ({shown})",
            "Turn off what makes Windows ask before a key is used (strong private key protection), or ask for support.",
        )
    return TpmFailed(f"the key provider failed while {doing} ({shown})", FAILED_ADVICE)
