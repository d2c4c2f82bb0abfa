"""Keys in a TPM 2.0, through the TPM2 Software Stack (tpm2-pytss, ESAPI).

A key is a child of the storage root key: the persistent one at 0x81000001 (TCG TPM v2.0 Provisioning Guidance
section 7.8) where there is one, else the P-256 primary that the "TSS2 PRIVATE KEY" format means by the owner
hierarchy, made when needed and flushed. The TPM keeps nothing: the blob is the key, wrapped so that only this TPM
can use it, as PEM that OpenSSL's tpm2 provider loads too.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tpm2_pytss import types as tpm
from tpm2_pytss.constants import (
    TPM2_ALG,
    TPM2_CAP,
    TPM2_ECC,
    TPM2_PT,
    TPM2_PT_FIRMWARE,
    TPM2_PT_HR,
    TPM2_RH,
    TPM2_ST,
)
from tpm2_pytss.TSS2_Exception import TSS2_Exception
from tpm2_pytss.tsskey import TSSPrivKey

from keystead_agent.errors import AlgorithmUnsupported, ChallengeForeign
from keystead_agent.keystore import _tpm2_errors as rc
from keystead_agent.keystore._held_keys import held_key
from keystead_agent.keystore._tpm2_connection import TpmConnection, transient_handles
from keystead_agent.keystore._tpm2_endorsement import read_certificates, read_endorsement
from keystead_agent.keystore._tpm2_identity import activate, certify, make_identity
from keystead_agent.keystore._tpm2_objects import (
    SIGNING,
    can_make,
    has_storage_root_key,
    loaded,
    parent,
    parent_handle,
    read_blob,
)
from keystead_agent.keystore.attesting import Challenge, Endorsement, NewIdentity, Statement, StoredCertificate
from keystead_agent.keystore.base import PrivateKey, ProviderInfo, StoredKey
from keystead_contracts.agent import KeyProvider, TpmEvidence
from keystead_contracts.base import KeyAlgorithm

KEY_FILE = "key.tss.pem"

_RSA_BITS = {KeyAlgorithm.RSA_2048: 2048, KeyAlgorithm.RSA_3072: 3072, KeyAlgorithm.RSA_4096: 4096}
_CURVES = {KeyAlgorithm.EC_P256: TPM2_ECC.NIST_P256, KeyAlgorithm.EC_P384: TPM2_ECC.NIST_P384}
_HASHES = {"sha256": TPM2_ALG.SHA256, "sha384": TPM2_ALG.SHA384, "sha512": TPM2_ALG.SHA512}


@dataclass(frozen=True)
class TpmFacts:
    """What a TPM says of itself."""

    family: str
    manufacturer: str
    firmware: str
    free_transient_slots: int
    loaded_objects: int
    has_storage_root_key: bool
    algorithms: tuple[KeyAlgorithm, ...]


class Tpm2KeyStore:
    """The key store on the TPM that `tcti` names; `lock_file` keeps the agent's processes from each other's way."""

    key_file = identity_file = KEY_FILE
    shared = False

    def __init__(self, tcti: str, lock_file: Path, *, start_limit: float = 10.0, patience: float = 3.0) -> None:
        self._connection = TpmConnection(tcti, lock_file, start_limit=start_limit, patience=patience)

    def generate(self, algorithm: KeyAlgorithm) -> StoredKey:
        """Makes a signing key under the storage root key. Raises AlgorithmUnsupported that names what the TPM can."""
        return self._connection.run(rc.MAKING, lambda esys: _generate(esys, algorithm))

    def load(self, blob: bytes) -> PrivateKey:
        """The key of a "TSS2 PRIVATE KEY" PEM. The TPM is not asked before the first signature."""
        stored, public_key = read_blob(blob)

        def sign_digest(digest: bytes, hash_name: str) -> bytes:
            return self._connection.run(rc.LOADING, lambda esys: _sign(esys, stored, digest, hash_name))

        return held_key(public_key, sign_digest)

    def discard(self, blob: bytes) -> None:
        """Nothing: the TPM keeps nothing of a key."""

    def endorsement(self, kind: str = "") -> Endorsement:
        """See `AttestingKeyStore.endorsement`."""
        return self._connection.run(rc.ENDORSING, lambda esys: read_endorsement(esys, kind))

    def certificates(self) -> tuple[StoredCertificate, ...]:
        """The certificates of endorsement keys that the TPM keeps; quick."""
        return self._connection.run(rc.EXAMINING, read_certificates)

    def make_identity(self) -> NewIdentity:
        """See `AttestingKeyStore.make_identity`."""
        return self._connection.run(rc.MAKING, make_identity)

    def check(self, identity: bytes) -> None:
        """See `AttestingKeyStore.check`."""
        self.certify(identity, identity, b"")

    def activate(self, identity: bytes, challenge: Challenge) -> bytes:
        """See `AttestingKeyStore.activate`."""
        stored, _ = read_blob(identity)
        endorsement, credential, secret = _read_challenge(challenge)
        return self._connection.run(rc.LOADING, lambda esys: activate(esys, stored, endorsement, credential, secret))

    def certify(self, key: bytes, identity: bytes, nonce: bytes) -> Statement:
        """See `AttestingKeyStore.certify`."""
        (certified, _), (signer, _) = read_blob(key), read_blob(identity)
        return self._connection.run(rc.LOADING, lambda esys: certify(esys, certified, signer, nonce))

    def describe(self) -> ProviderInfo:
        """The TPM's manufacturer and firmware."""
        return self._description

    @cached_property
    def _description(self) -> ProviderInfo:
        properties = self._connection.run(rc.EXAMINING, _properties)
        manufacturer = _manufacturer(properties)
        return ProviderInfo(
            name=f"TPM 2.0 ({manufacturer})",
            provider=KeyProvider.TPM2,
            exportable=False,
            manufacturer=manufacturer,
            firmware=_firmware(properties),
        )

    def capabilities(self) -> tuple[KeyAlgorithm, ...]:
        """What TPM2_TestParms accepts."""
        return self._connection.run(rc.EXAMINING, _capabilities)

    def examine(self) -> TpmFacts:
        """What `doctor` shows of the TPM."""
        return self._connection.run(rc.EXAMINING, _examine)


def _signing_template(algorithm: KeyAlgorithm) -> Any:
    no_symmetric = tpm.TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL)
    if algorithm in _RSA_BITS:
        kind = TPM2_ALG.RSA
        parameters = tpm.TPMU_PUBLIC_PARMS(
            rsaDetail=tpm.TPMS_RSA_PARMS(
                symmetric=no_symmetric,
                scheme=tpm.TPMT_RSA_SCHEME(scheme=TPM2_ALG.NULL),
                keyBits=_RSA_BITS[algorithm],
                exponent=0,
            )
        )
    else:
        kind = TPM2_ALG.ECC
        parameters = tpm.TPMU_PUBLIC_PARMS(
            eccDetail=tpm.TPMS_ECC_PARMS(
                symmetric=no_symmetric,
                scheme=tpm.TPMT_ECC_SCHEME(scheme=TPM2_ALG.NULL),
                curveID=_CURVES[algorithm],
                kdf=tpm.TPMT_KDF_SCHEME(scheme=TPM2_ALG.NULL),
            )
        )
    return tpm.TPMT_PUBLIC(
        type=kind, nameAlg=TPM2_ALG.SHA256, objectAttributes=SIGNING, authPolicy=b"", parameters=parameters
    )


def _generate(esys: Any, algorithm: KeyAlgorithm) -> StoredKey:
    if not can_make(esys, _signing_template(algorithm)):
        able = ", ".join(_capabilities(esys))
        raise AlgorithmUnsupported(
            f"this computer's TPM cannot make {algorithm} keys", f"It can make: {able}. Ask for one of these."
        )
    root = parent_handle(esys)
    with parent(esys, root) as above:
        private, public, creation_data, creation_hash, _ = esys.create(
            above,
            tpm.TPM2B_SENSITIVE_CREATE(),
            tpm.TPM2B_PUBLIC(publicArea=_signing_template(algorithm)),
            tpm.TPM2B_DATA(),
            tpm.TPML_PCR_SELECTION(),
        )
    evidence = TpmEvidence(
        public_area=_base64(public), creation_data=_base64(creation_data), creation_hash=_base64(creation_hash)
    )
    return StoredKey(blob=TSSPrivKey(private, public, True, root).to_pem(), evidence=evidence)


def _sign(esys: Any, stored: Any, digest: bytes, hash_name: str) -> bytes:
    is_rsa = stored.public.publicArea.type == TPM2_ALG.RSA
    scheme = tpm.TPMT_SIG_SCHEME(scheme=TPM2_ALG.RSASSA if is_rsa else TPM2_ALG.ECDSA)
    scheme.details.any.hashAlg = _HASHES[hash_name]
    no_ticket = tpm.TPMT_TK_HASHCHECK(tag=TPM2_ST.HASHCHECK, hierarchy=TPM2_RH.NULL)
    with loaded(esys, stored) as key:
        return bytes(esys.sign(key, tpm.TPM2B_DIGEST(buffer=digest), scheme, no_ticket))


def _capabilities(esys: Any) -> tuple[KeyAlgorithm, ...]:
    return tuple(algorithm for algorithm in KeyAlgorithm if can_make(esys, _signing_template(algorithm)))


def _read_challenge(challenge: Challenge) -> tuple[Any, Any, Any]:
    """The TPM2B_PUBLIC, the TPM2B_ID_OBJECT and the TPM2B_ENCRYPTED_SECRET of `challenge`. Raises ChallengeForeign."""
    try:
        return (
            _whole(tpm.TPM2B_PUBLIC, challenge.endorsement),
            _whole(tpm.TPM2B_ID_OBJECT, challenge.credential),
            _whole(tpm.TPM2B_ENCRYPTED_SECRET, challenge.secret),
        )
    except (ValueError, TSS2_Exception) as error:
        raise ChallengeForeign("the server's challenge is damaged", "Try again from the beginning.") from error


def _whole(kind: Any, content: bytes) -> Any:
    structure, length = kind.unmarshal(content)
    if length != len(content):
        raise ValueError("bytes are left over")
    return structure


def _properties(esys: Any) -> dict[int, int]:
    _, data = esys.get_capability(TPM2_CAP.TPM_PROPERTIES, TPM2_PT.FIXED, 127)
    listed = data.data.tpmProperties
    found = {int(listed.tpmProperty[i].property): int(listed.tpmProperty[i].value) for i in range(listed.count)}
    _, data = esys.get_capability(TPM2_CAP.TPM_PROPERTIES, TPM2_PT.VAR, 127)
    listed = data.data.tpmProperties
    return found | {int(listed.tpmProperty[i].property): int(listed.tpmProperty[i].value) for i in range(listed.count)}


def _text(value: int) -> str:
    return value.to_bytes(4, "big").decode("ascii", "replace").strip("\0 ")


def _manufacturer(properties: dict[int, int]) -> str:
    return _text(properties.get(int(TPM2_PT.MANUFACTURER), 0)) or "unknown"


def _firmware(properties: dict[int, int]) -> str:
    high = properties.get(int(TPM2_PT_FIRMWARE.VERSION_1), 0)
    low = properties.get(int(TPM2_PT_FIRMWARE.VERSION_2), 0)
    return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"


def _examine(esys: Any) -> TpmFacts:
    properties = _properties(esys)
    return TpmFacts(
        family=_text(properties.get(int(TPM2_PT.FAMILY_INDICATOR), 0)),
        manufacturer=_manufacturer(properties),
        firmware=_firmware(properties),
        free_transient_slots=properties.get(int(TPM2_PT_HR.TRANSIENT_AVAIL), 0),
        loaded_objects=len(transient_handles(esys)),
        has_storage_root_key=has_storage_root_key(esys),
        algorithms=_capabilities(esys),
    )


def _base64(structure: Any) -> str:
    return base64.b64encode(structure.marshal()).decode()
