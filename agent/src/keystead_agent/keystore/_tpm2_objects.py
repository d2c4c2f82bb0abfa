"""Objects of a TPM while one operation lasts: parents and keys are loaded, used and flushed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives import serialization
from tpm2_pytss import types as tpm
from tpm2_pytss.constants import ESYS_TR, TPM2_ALG, TPM2_CAP, TPM2_ECC, TPM2_RH, TPMA_OBJECT
from tpm2_pytss.TSS2_Exception import TSS2_Exception
from tpm2_pytss.tsskey import TSSPrivKey

from keystead_agent.errors import KeyLost
from keystead_agent.keystore import _tpm2_errors as rc
from keystead_agent.keystore.base import PublicKey

STORAGE_ROOT_KEY = 0x81000001

OWNED = TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.SENSITIVEDATAORIGIN | TPMA_OBJECT.USERWITHAUTH
SIGNING = OWNED | TPMA_OBJECT.NODA | TPMA_OBJECT.SIGN_ENCRYPT
"""Made here, bound here, signs anything. NODA: its password is empty, so somebody's wrong guesses elsewhere must not
lock it (TPM 2.0 Part 1 section 19.8)."""
_STORAGE = OWNED | TPMA_OBJECT.NODA | TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.DECRYPT


def read_blob(blob: bytes) -> tuple[Any, PublicKey]:
    """The key in the "TSS2 PRIVATE KEY" PEM `blob`, and its public key. Raises KeyLost if it is damaged."""
    try:
        stored = TSSPrivKey.from_pem(blob)
        public_key = serialization.load_der_public_key(stored.public.to_der())
    except (ValueError, TypeError, TSS2_Exception) as error:
        raise KeyLost("the key file is damaged") from error
    if not isinstance(public_key, PublicKey):
        raise KeyLost("the key file holds another kind of key")
    return stored, public_key


def can_make(esys: Any, template: Any) -> bool:
    """Whether TPM2_TestParms accepts the TPMT_PUBLIC `template`."""
    try:
        esys.test_parms(tpm.TPMT_PUBLIC_PARMS(type=template.type, parameters=template.parameters))
    except TSS2_Exception as error:
        if rc.error_code(int(error.rc)) in rc.UNSUPPORTED:
            return False
        raise
    return True


def has_storage_root_key(esys: Any) -> bool:
    """Whether the persistent handle is taken by something that can be a parent here."""
    if STORAGE_ROOT_KEY not in handles(esys, STORAGE_ROOT_KEY, 1):
        return False
    public, _, _ = esys.read_public(esys.tr_from_tpmpublic(STORAGE_ROOT_KEY))
    return int(public.publicArea.objectAttributes) & int(_STORAGE) & ~int(TPMA_OBJECT.NODA) == int(_STORAGE) & ~int(
        TPMA_OBJECT.NODA
    )


def parent_handle(esys: Any) -> int:
    """Under which handle new keys are made: the persistent storage root key's, else the owner hierarchy's."""
    return STORAGE_ROOT_KEY if has_storage_root_key(esys) else int(TPM2_RH.OWNER)


@contextmanager
def parent(esys: Any, handle: int) -> Iterator[Any]:
    """The loaded storage root key: persistent `handle`, or the primary for the owner hierarchy, flushed afterwards."""
    if handle != int(TPM2_RH.OWNER):
        yield esys.tr_from_tpmpublic(handle)
        return
    with primary(esys, ESYS_TR.RH_OWNER, tpm.TPM2B_PUBLIC(publicArea=_storage_template())) as made:
        yield made


@contextmanager
def primary(esys: Any, hierarchy: Any, template: Any) -> Iterator[Any]:
    """The primary key of `hierarchy` for `template`, with an empty password, flushed afterwards."""
    made, *_ = esys.create_primary(
        tpm.TPM2B_SENSITIVE_CREATE(), template, hierarchy, tpm.TPM2B_DATA(), tpm.TPML_PCR_SELECTION()
    )
    with flushing(esys, made):
        yield made


@contextmanager
def loaded(esys: Any, stored: Any) -> Iterator[Any]:
    """The key of `stored`, loaded without its parent, flushed afterwards."""
    with parent(esys, int(stored.parent)) as above:
        key = esys.load(above, stored.private, stored.public)
    with flushing(esys, key):
        yield key


@contextmanager
def flushing(esys: Any, handle: Any) -> Iterator[None]:
    """Flushes the object or session `handle` at the end."""
    try:
        yield
    finally:
        esys.flush_context(handle)


def handles(esys: Any, first: int, most: int) -> list[int]:
    """At most `most` handles that the TPM has, from `first` on; of the same kind (TPM 2.0 Part 3 section 30.2)."""
    _, data = esys.get_capability(TPM2_CAP.HANDLES, first, most)
    listed = data.data.handles
    return [int(listed.handle[i]) for i in range(listed.count)]


def _storage_template() -> Any:
    return tpm.TPMT_PUBLIC(
        type=TPM2_ALG.ECC,
        nameAlg=TPM2_ALG.SHA256,
        objectAttributes=_STORAGE,
        authPolicy=b"",
        parameters=tpm.TPMU_PUBLIC_PARMS(
            eccDetail=tpm.TPMS_ECC_PARMS(
                symmetric=tpm.TPMT_SYM_DEF_OBJECT(
                    algorithm=TPM2_ALG.AES,
                    keyBits=tpm.TPMU_SYM_KEY_BITS(aes=128),
                    mode=tpm.TPMU_SYM_MODE(aes=TPM2_ALG.CFB),
                ),
                scheme=tpm.TPMT_ECC_SCHEME(scheme=TPM2_ALG.NULL),
                curveID=TPM2_ECC.NIST_P256,
                kdf=tpm.TPMT_KDF_SCHEME(scheme=TPM2_ALG.NULL),
            )
        ),
    )
