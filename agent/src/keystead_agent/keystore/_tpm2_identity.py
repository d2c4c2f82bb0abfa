"""The TPM's identity: a key that signs only what the TPM says (an attestation key, TPM 2.0 Part 1 section 9.4.3), made
under the storage root key like any other and kept as a blob."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tpm2_pytss import types as tpm
from tpm2_pytss.constants import ESYS_TR, TPM2_ALG, TPM2_ECC, TPMA_OBJECT
from tpm2_pytss.TSS2_Exception import TSS2_Exception
from tpm2_pytss.tsskey import TSSPrivKey

from keystead_agent.errors import AlgorithmUnsupported, ChallengeForeign
from keystead_agent.keystore import _tpm2_errors as rc
from keystead_agent.keystore._tpm2_endorsement import endorsement_key
from keystead_agent.keystore._tpm2_objects import SIGNING, can_make, flushing, loaded, parent, parent_handle
from keystead_agent.keystore.attesting import NewIdentity, Statement

_RESTRICTED_SIGNING = SIGNING | TPMA_OBJECT.RESTRICTED
_NOT_FOR_US = {0x084, 0x087, 0x08B, 0x092, 0x095, 0x098, 0x09A, 0x09F, 0x0A7}
"""VALUE, ASYMMETRIC's KEY_SIZE, HANDLE, SCHEME, SIZE, TAG, INSUFFICIENT, INTEGRITY, ECC_POINT."""


def make_identity(esys: Any, templates: Iterable[Any] = ()) -> NewIdentity:
    """Makes an identity by the first of `templates` that the TPM knows, P-256 else RSA 2048 unless others are given,
    and has it certify its own creation. Raises AlgorithmUnsupported."""
    wishes = templates or (elliptic_template(), rsa_template())
    template = next((wish for wish in wishes if can_make(esys, wish)), None)
    if template is None:
        raise AlgorithmUnsupported("this computer's TPM can make no key for its identity")
    root = parent_handle(esys)
    with parent(esys, root) as above:
        private, public, creation_data, creation_hash, ticket = esys.create(
            above,
            tpm.TPM2B_SENSITIVE_CREATE(),
            tpm.TPM2B_PUBLIC(publicArea=template),
            tpm.TPM2B_DATA(),
            tpm.TPML_PCR_SELECTION(),
        )
        key = esys.load(above, private, public)
    with flushing(esys, key):
        attest, signature = esys.certify_creation(key, key, tpm.TPM2B_DATA(), creation_hash, _own_scheme(), ticket)
    return NewIdentity(
        blob=TSSPrivKey(private, public, True, root).to_pem(),
        public_area=public.marshal(),
        creation_data=creation_data.marshal(),
        creation=Statement(bytes(attest), signature.marshal()),
    )


def activate(esys: Any, identity: Any, endorsement: Any, credential: Any, secret: Any) -> bytes:
    """What the server hid for key `identity` in the TPM with endorsement key `endorsement` (TPM2_ActivateCredential,
    Part 3 section 12.5). Raises ChallengeForeign, EndorsementUnusable."""
    with loaded(esys, identity) as key, endorsement_key(esys, endorsement) as (above, session):
        try:
            return bytes(
                esys.activate_credential(key, above, credential, secret, session1=ESYS_TR.PASSWORD, session2=session)
            )
        except TSS2_Exception as error:
            if rc.error_code(int(error.rc)) in _NOT_FOR_US:
                raise ChallengeForeign(
                    "the server's challenge is not for this TPM and its identity", "Try again from the beginning."
                ) from error
            raise


def certify(esys: Any, key: Any, identity: Any, nonce: bytes) -> Statement:
    """What the TPM says of `key` (TPM2_Certify, Part 3 section 18.2), signed by `identity`. `key` waits saved while the
    identity is loaded: the two, and a parent beside them, need one slot more than a TPM may have left."""
    with loaded(esys, key) as handle:
        saved = esys.context_save(handle)
    with loaded(esys, identity) as signer:
        handle = esys.context_load(saved)
        with flushing(esys, handle):
            attest, signature = esys.certify(handle, signer, tpm.TPM2B_DATA(buffer=nonce), _own_scheme())
    return Statement(bytes(attest), signature.marshal())


def elliptic_template() -> Any:
    """P-256, ECDSA with SHA-256."""
    elliptic = tpm.TPMT_ECC_SCHEME(scheme=TPM2_ALG.ECDSA)
    elliptic.details.anySig.hashAlg = TPM2_ALG.SHA256
    return _template(
        TPM2_ALG.ECC,
        tpm.TPMU_PUBLIC_PARMS(
            eccDetail=tpm.TPMS_ECC_PARMS(
                symmetric=_no_symmetric(),
                scheme=elliptic,
                curveID=TPM2_ECC.NIST_P256,
                kdf=tpm.TPMT_KDF_SCHEME(scheme=TPM2_ALG.NULL),
            )
        ),
    )


def rsa_template() -> Any:
    """RSA 2048, PKCS#1 v1.5 with SHA-256."""
    rsa = tpm.TPMT_RSA_SCHEME(scheme=TPM2_ALG.RSASSA)
    rsa.details.anySig.hashAlg = TPM2_ALG.SHA256
    return _template(
        TPM2_ALG.RSA,
        tpm.TPMU_PUBLIC_PARMS(
            rsaDetail=tpm.TPMS_RSA_PARMS(symmetric=_no_symmetric(), scheme=rsa, keyBits=2048, exponent=0)
        ),
    )


def _template(kind: Any, parameters: Any) -> Any:
    return tpm.TPMT_PUBLIC(
        type=kind,
        nameAlg=TPM2_ALG.SHA256,
        objectAttributes=_RESTRICTED_SIGNING,
        authPolicy=b"",
        parameters=parameters,
    )


def _no_symmetric() -> Any:
    return tpm.TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL)


def _own_scheme() -> Any:
    """The scheme that the identity was made with."""
    return tpm.TPMT_SIG_SCHEME(scheme=TPM2_ALG.NULL)
