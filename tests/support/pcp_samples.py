"""What a Windows with a TPM would write of it, made from what a real TPM's software says (swtpm, by tpm2-pytss): the
TPM's structures are its own, only what Windows puts around them is laid out here.

`python -m tests.support.pcp_samples FOLDER` writes a set of them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from tests.support.fake_ncrypt import claim, opaque_blob, rsa_public_blob
from tests.support.swtpm import Swtpm
from tpm2_pytss import types as tpm
from tpm2_pytss.tsskey import TSSPrivKey

from keystead_agent.keystore._tpm2_connection import TpmConnection
from keystead_agent.keystore._tpm2_errors import MAKING
from keystead_agent.keystore._tpm2_identity import make_identity, rsa_template
from keystead_agent.keystore.attesting import NewIdentity
from keystead_agent.keystore.tpm2 import Tpm2KeyStore
from keystead_contracts.base import KeyAlgorithm


@dataclass(frozen=True)
class PcpSamples:
    """`endorsement` is PCP_EKPUB, `id_binding` PCP_TPM12_IDBINDING, `claim` what NCryptCreateClaim writes of a key with
    TPM2B_PUBLIC `key_area`; the TPM itself says `endorsement_area`, and knows `identity`."""

    endorsement: bytes
    endorsement_area: bytes
    id_binding: bytes
    claim: bytes
    key_area: bytes
    identity: NewIdentity


def pcp_samples(tcti: str, folder: Path, algorithm: KeyAlgorithm, nonce: bytes, *, bare: bool = True) -> PcpSamples:
    """From the TPM behind `tcti`; `bare` signatures are those without their head. Locks are kept in `folder`."""
    store = Tpm2KeyStore(tcti, folder / "tpm.lock")
    connection = TpmConnection(tcti, folder / "tpm.lock", start_limit=10.0, patience=3.0)
    endorsement = store.endorsement("rsa-2048")
    identity = connection.run(MAKING, lambda esys: make_identity(esys, (rsa_template(),)))
    key = store.generate(algorithm).blob
    said = store.certify(key, identity.blob, nonce)
    key_area = _area_of(key)
    public = store.load(key).public_key()
    attest = identity.creation.attest
    return PcpSamples(
        endorsement=rsa_public_blob(_rsa_key(endorsement.public_area)),
        endorsement_area=endorsement.public_area,
        id_binding=identity.public_area
        + identity.creation_data
        + len(attest).to_bytes(2)
        + attest
        + identity.creation.signature,
        claim=claim(said.attest, said.signature[6 if bare else 0 :], opaque_blob(public, area=key_area)),
        key_area=key_area,
        identity=identity,
    )


def _area_of(blob: bytes) -> bytes:
    return bytes(TSSPrivKey.from_pem(blob).public.marshal())


def _rsa_key(area: bytes) -> rsa.RSAPublicKey:
    public, _ = tpm.TPM2B_PUBLIC.unmarshal(area)
    key = load_der_public_key(public.to_der())
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def main(folder: Path) -> None:
    """Writes the octets of each kind into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with Swtpm(folder / "tpm") as chip:
        for algorithm in (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048):
            made = pcp_samples(chip.tcti, folder, algorithm, b"n" * 32)
            for name in ("endorsement", "id_binding", "claim"):
                (folder / f"{algorithm}.{name}.bin").write_bytes(getattr(made, name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
