"""Whether this computer's TPM vouches for a key, tried once: what a person looks at where no server asks yet."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization

from keystead_agent.attestation import Identities, Identity
from keystead_agent.errors import AgentError
from keystead_agent.findings import Finding, bad, good
from keystead_agent.machine import Machine
from keystead_contracts.attestation import NONCE_OCTETS
from keystead_contracts.base import KeyAlgorithm

PURPOSE = "trial"
_ADVICE = (
    "The log says why; keystead-agent doctor may say more. Without it keys are as good, and less is known of them."
)


def try_identity(machine: Machine) -> Iterator[Finding]:
    """Has the TPM make or show its identity, and certify one key of each kind that is removed again. Raises AgentBusy,
    StoreUnwritable."""
    shown = machine.attestation()
    identity = Identities(machine.keys, machine.settings.state_dir).known()
    if shown is None or identity is None:
        yield bad("TPM's identity", "this computer's TPM shows none", _ADVICE)
        return
    area = base64.b64decode(shown.public_area)
    yield good("TPM's identity", f"{len(area)} octets of public area, begins {area[:12].hex()}")
    count = len(shown.endorsement_certificates)
    yield good("certificates of the TPM", f"{count}" if count else "none; a server can know it by its list alone")
    for algorithm in (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048):
        with machine.working(), machine.keys.changing():
            tried = _tried(machine, identity, algorithm)
        yield tried


def _tried(machine: Machine, identity: Identity, algorithm: KeyAlgorithm) -> Finding:
    subject, store = f"a key of {algorithm}", machine.keys.hardware()
    try:
        blob = store.generate(algorithm).blob
        try:
            der = (
                store.load(blob)
                .public_key()
                .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            )
            nonce = base64.b64encode(secrets.token_bytes(NONCE_OCTETS)).decode()
            said = identity.certify(blob, der, nonce, PURPOSE)
        finally:
            store.discard(blob)
    except AgentError as error:
        return bad(subject, error.detail, error.advice)
    return good(
        subject, f"the TPM vouches for it, with the nonce; signature {base64.b64decode(said.signature)[:4].hex()}"
    )
