"""Why an agent could not do a job. Imports no pydantic: what waits in an agent for days knows these too."""

from __future__ import annotations

from enum import StrEnum


class FailureCode(StrEnum):
    """Why an agent could not do a job. A receiver treats a code that it does not know like `internal`."""

    TPM_MISSING = "tpm_missing"
    TPM_FULL = "tpm_full"
    TPM_FAILED = "tpm_failed"
    TPM_LOCKED_OUT = "tpm_locked_out"
    ALGORITHM_UNSUPPORTED = "algorithm_unsupported"
    KEY_LOST = "key_lost"
    KEY_MISMATCH = "key_mismatch"
    STORE_UNWRITABLE = "store_unwritable"
    CONSENT_REFUSED = "consent_refused"
    INTERNAL = "internal"
