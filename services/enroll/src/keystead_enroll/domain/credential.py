"""TPM2_MakeCredential without a TPM: a secret that only the TPM with an endorsement key opens, and only if it also
holds the key with a given Name (TCG "TPM 2.0 Library" Part 1, section 24 and annexes B.10.3, C.6.3; revision 1.59).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers import modes
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from keystead_enroll.domain.errors import EvidenceMismatch
from keystead_enroll.domain.tpm_public import ALG_AES, ALG_CFB, TpmPublic

IDENTITY, STORAGE, INTEGRITY = b"IDENTITY\0", b"STORAGE\0", b"INTEGRITY\0"
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@dataclass(frozen=True)
class Credential:
    """What TPM2_ActivateCredential takes: a TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET."""

    blob: bytes
    encrypted_secret: bytes


def make_credential(endorsement_key: TpmPublic, name: bytes, secret: bytes) -> Credential:
    """`secret`, sealed to the TPM that holds both `endorsement_key` and the key of this Name.

    Raises ValueError for a secret longer than the endorsement key's digest, EvidenceMismatch for a key that is no
    storage key with AES in CFB mode.
    """
    digest_size = hashlib.new(endorsement_key.name_alg).digest_size
    if len(secret) > digest_size:
        raise ValueError("the secret is longer than the endorsement key's digest")
    parameters = endorsement_key.parameters
    if (parameters.cipher, parameters.cipher_mode) != (ALG_AES, ALG_CFB) or parameters.cipher_bits not in (
        128,
        192,
        256,
    ):
        raise EvidenceMismatch("the endorsement key does not protect what it stores with AES in CFB mode")
    seed, encrypted = _shared_seed(endorsement_key, digest_size)
    return Credential(_wrapped(endorsement_key, name, secret, seed), sized(encrypted))


def _shared_seed(key: TpmPublic, digest_size: int) -> tuple[bytes, bytes]:
    """The seed, and what tells it to the TPM."""
    public = key.public_key
    if isinstance(public, rsa.RSAPublicKey):
        seed = secrets.token_bytes(digest_size)
        algorithm = HASHES[key.name_alg]
        oaep = padding.OAEP(mgf=padding.MGF1(algorithm), algorithm=algorithm, label=IDENTITY)
        return seed, public.encrypt(seed, oaep)
    ephemeral = ec.generate_private_key(public.curve)
    octets = (public.curve.key_size + 7) // 8
    own, theirs = ephemeral.public_key().public_numbers(), public.public_numbers()
    shared = ephemeral.exchange(ec.ECDH(), public)
    seed = kdf_e(key.name_alg, shared, IDENTITY, own.x.to_bytes(octets), theirs.x.to_bytes(octets))
    return seed, sized(own.x.to_bytes(octets)) + sized(own.y.to_bytes(octets))


def _wrapped(key: TpmPublic, name: bytes, secret: bytes, seed: bytes) -> bytes:
    cipher_key = kdf_a(key.name_alg, seed, STORAGE, name, key.parameters.cipher_bits)
    encryptor = Cipher(algorithms.AES(cipher_key), modes.CFB(bytes(16))).encryptor()
    identity = encryptor.update(sized(secret)) + encryptor.finalize()
    mac_key = kdf_a(key.name_alg, seed, INTEGRITY, b"", hashlib.new(key.name_alg).digest_size * 8)
    return sized(sized(hmac.digest(mac_key, identity + name, key.name_alg)) + identity)


def sized(content: bytes) -> bytes:
    """A TPM2B: a 16-bit size and the octets."""
    return len(content).to_bytes(2) + content


def kdf_a(hash_name: str, key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """KDFa (Part 1, section 11.4.10.2) with one context. `label` ends with its NUL; `bits` is a multiple of 8."""
    made = b""
    counter = 0
    while len(made) * 8 < bits:
        counter += 1
        made += hmac.digest(key, counter.to_bytes(4) + label + context + bits.to_bytes(4), hash_name)
    return made[: bits // 8]


def kdf_e(hash_name: str, shared: bytes, label: bytes, party_u: bytes, party_v: bytes) -> bytes:
    """KDFe (Part 1, section 11.4.10.3), as many bits as the hash has. `label` ends with its NUL."""
    return hashlib.new(hash_name, (1).to_bytes(4) + shared + label + party_u + party_v).digest()
