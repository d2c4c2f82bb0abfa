"""TPM and TSS response codes (TPM 2.0 Library Part 2 section 6.6.3; TSS 2.0 Overview section 3) in plain words."""

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

LAYER_MASK = 0xFFFF0000
TPM_LAYERS = (0, 0x000B0000, 0x000C0000)
"""The TPM itself, and a resource manager that passes on or imitates a TPM's code."""
TCTI_LAYER = 0x000A0000

FORMAT_ONE = 0x080
FORMAT_ONE_ERROR = 0x0BF
"""Bits of a format-one code that are the error; the others say which parameter, handle or session."""

INITIALIZE = 0x100
FAILURE = 0x101
UPGRADE = 0x12D
NEEDS_TEST = 0x153
TESTING = 0x90A
NO_ROOM = {0x901, 0x902, 0x903, 0x904, 0x905, 0x906}
"""CONTEXT_GAP, OBJECT_MEMORY, SESSION_MEMORY, MEMORY, SESSION_HANDLES, OBJECT_HANDLES."""
TRY_AGAIN = {0x908, 0x909, TESTING, 0x920, 0x922, 0x923}
"""YIELDED, CANCELED, TESTING, NV_RATE, RETRY, NV_UNAVAILABLE."""
LOCKOUT = 0x921
AUTH = {0x08E, 0x0A2, 0x124, 0x12F}
"""AUTH_FAIL, BAD_AUTH, AUTH_TYPE, AUTH_UNAVAILABLE."""
SWITCHED_OFF = {0x085, 0x120}
"""HIERARCHY, DISABLED."""
NOT_THIS_TPM = {0x09F, 0x08B, 0x0A5}
"""INTEGRITY, HANDLE, BINDING: the blob was made under a storage root key that is gone."""
UNSUPPORTED = {0x081, 0x082, 0x083, 0x084, 0x087, 0x092, 0x0A6}
"""ASYMMETRIC, ATTRIBUTES, HASH, VALUE, KEY_SIZE, SCHEME, CURVE."""

OWN_TPM = "device:/dev/tpmrm0"
FAILED_ADVICE = "Restart the computer; if it stays so, update the TPM's firmware."
FULL_ADVICE = (
    "Close other programs that use the TPM, use the kernel's resource manager (device:/dev/tpmrm0), or restart the "
    "computer."
)


OPENING = "being opened"
LOADING = "loading a key"
MAKING = "making a key"
EXAMINING = "being examined"
ENDORSING = "showing whose it is"


def error_code(rc: int) -> int:
    """The error in `rc` without layer and, for format one, without the parameter, handle or session number."""
    code = rc & 0xFFFF
    return code & FORMAT_ONE_ERROR if code & FORMAT_ONE else code


def missing(detail: str, tcti: str) -> TpmMissing:
    """No TPM was found where `tcti` says that it is."""
    if tcti == OWN_TPM:
        return TpmMissing(detail, "Turn the TPM on in the computer's firmware set-up (TPM, PTT or fTPM).")
    return TpmMissing(
        detail,
        f"The setting tcti (KEYSTEAD_AGENT_TCTI) says {tcti}: start what should answer there, correct it (such as "
        f"swtpm:host=127.0.0.1,port=2321), or leave it out for the computer's own TPM ({OWN_TPM}).",
    )


def explain(rc: int, doing: str, words: str = "", tcti: str = OWN_TPM) -> KeyStoreError:
    """The error for response code `rc`, met while `doing` (a gerund: "making a key") with the TPM at `tcti`; `words`
    is the stack's text."""
    layer, code = rc & LAYER_MASK, error_code(rc)
    shown = f"{words or 'no text'} (0x{rc:x})"
    if layer == TCTI_LAYER:
        return missing(f"no TPM 2.0 answers at {tcti}: {shown}", tcti)
    if layer not in TPM_LAYERS:
        return TpmFailed(f"the TPM software failed while {doing}: {shown}", FAILED_ADVICE)
    if code in NO_ROOM:
        return TpmFull(f"the TPM is full: it has no room for another key while {doing}", FULL_ADVICE)
    if code in TRY_AGAIN:
        return TpmBusy(f"the TPM is busy while {doing}: {shown}", "Try again in a moment.")
    if code == LOCKOUT:
        return TpmLockedOut(
            "the TPM is locked out after too many wrong passwords",
            "Wait until the lockout ends (often some hours), or clear it with the lockout password.",
        )
    if code in AUTH:
        return TpmFailed(
            f"the TPM wants a password for its storage hierarchy while {doing}",
            "Keep a storage root key at handle 0x81000001 (tpm2_createprimary, tpm2_evictcontrol).",
        )
    if code in (FAILURE, INITIALIZE, UPGRADE):
        return TpmFailed(f"the TPM is in failure mode or not started: {shown}", FAILED_ADVICE)
    if doing == LOADING and code in NOT_THIS_TPM:
        return KeyLost(
            "the TPM does not know this key: it was cleared or replaced since the key was made",
            "Enroll again for a new certificate.",
        )
    if doing == MAKING and code in UNSUPPORTED:
        return AlgorithmUnsupported(f"the TPM cannot make such a key: {shown}")
    return TpmFailed(f"the TPM refused while {doing}: {shown}", FAILED_ADVICE)
