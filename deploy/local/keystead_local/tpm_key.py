"""Asks a TPM directly about a key, by tpm2-pytss and not by the agent's code: what it is, and to sign with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

ATTRIBUTES = ("fixedtpm", "fixedparent", "sensitivedataorigin")


@dataclass(frozen=True)
class Told:
    """What the TPM says of the key (TPM2_ReadPublic, TCG TPM 2.0 Part 3, 12.4): the public key as SubjectPublicKeyInfo
    and as TPM2B_PUBLIC, and which of `ATTRIBUTES` are set: all of them mean made in this TPM and never to leave it."""

    public_der: bytes
    public_area: bytes
    attributes: list[str]

    @property
    def public_sha256(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo, hex."""
        return hashlib.sha256(self.public_der).hexdigest()


class TpmKey:
    """A P-256 key in the "TSS2 PRIVATE KEY" file `path`, of the TPM that `tcti` names."""

    def __init__(self, tcti: str, path: Path) -> None:
        self._tcti, self._path = tcti, path

    def ask(self) -> Told:
        """Loads the key and reads its public area from the TPM."""
        with self._loaded() as (esys, handle):
            public, _, _ = esys.read_public(handle)
            attributes = int(public.publicArea.objectAttributes)
            from tpm2_pytss.constants import TPMA_OBJECT

            present = [name for name in ATTRIBUTES if attributes & int(getattr(TPMA_OBJECT, name.upper()))]
            return Told(public.publicArea.to_der(), public.marshal(), present)

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature in DER over SHA-256 of `data`."""
        from tpm2_pytss.constants import TPM2_ALG, TPM2_RH, TPM2_ST
        from tpm2_pytss.types import TPM2B_DIGEST, TPMT_SIG_SCHEME, TPMT_TK_HASHCHECK

        with self._loaded() as (esys, handle):
            scheme = TPMT_SIG_SCHEME(scheme=TPM2_ALG.ECDSA)
            scheme.details.any.hashAlg = TPM2_ALG.SHA256
            ticket = TPMT_TK_HASHCHECK(tag=TPM2_ST.HASHCHECK, hierarchy=TPM2_RH.NULL)
            signature = esys.sign(handle, TPM2B_DIGEST(hashlib.sha256(data).digest()), scheme, ticket)
            ecdsa = signature.signature.ecdsa
            r, s = (int.from_bytes(bytes(part), "big") for part in (ecdsa.signatureR, ecdsa.signatureS))
            return encode_dss_signature(r, s)

    @contextmanager
    def _loaded(self) -> Iterator[tuple[Any, Any]]:
        from tpm2_pytss import ESAPI
        from tpm2_pytss.tsskey import TSSPrivKey

        with ESAPI(self._tcti) as esys:
            handle = TSSPrivKey.from_pem(self._path.read_bytes()).load(esys)
            try:
                yield esys, handle
            finally:
                esys.flush_context(handle)
