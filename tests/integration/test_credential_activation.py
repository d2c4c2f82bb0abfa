"""MakeCredential and the structures' parsers against a TPM and tpm2-tools, in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support import software_tpm as soft
from tests.support.software_tpm import SigningKey
from tests.support.swtpm import Swtpm
from tests.support.swtpm import swtpm as swtpm

from keystead_enroll.domain.credential import make_credential
from keystead_enroll.domain.tpm_public import ObjectAttributes, parse_tpm2b_public

pytestmark = pytest.mark.tpm
SECRET = bytes(range(32))
HEADER = bytes.fromhex("badcc0de00000001")
"""How a credential's file of tpm2-tools begins."""


@pytest.mark.parametrize("kind", ["rsa", "ecc", "ecc384"])
def test_a_tpm_opens_what_is_sealed_to_it(swtpm: Swtpm, kind: str) -> None:
    files = swtpm.directory
    swtpm.tool("tpm2_createek", "-G", kind, "-c", "ek.ctx", "-u", "ek.pub", "-Q")
    swtpm.empty()
    swtpm.tool("tpm2_createak", "-C", "ek.ctx", "-c", "ak.ctx", "-G", "ecc", "-s", "ecdsa", "-u", "ak.pub", "-Q")
    swtpm.empty()
    endorsement = parse_tpm2b_public((files / "ek.pub").read_bytes())
    attestation = parse_tpm2b_public((files / "ak.pub").read_bytes())
    made = make_credential(endorsement, attestation.name, SECRET)
    (files / "sealed").write_bytes(HEADER + made.blob + made.encrypted_secret)
    session: tuple[str, ...] = ()
    if not endorsement.attributes & ObjectAttributes.USER_WITH_AUTH:  # as the templates of the high range have it
        swtpm.tool("tpm2_startauthsession", "--policy-session", "-S", "session.ctx")
        swtpm.tool("tpm2_policysecret", "-S", "session.ctx", "-c", "e", "-Q")
        session = ("-P", "session:session.ctx")
    keys = ("-c", "ak.ctx", "-C", "ek.ctx")
    swtpm.tool("tpm2_activatecredential", *keys, "-i", "sealed", "-o", "opened", *session, "-Q")
    assert (files / "opened").read_bytes() == SECRET


@pytest.mark.parametrize("kind", ["rsa", "P-256", "P-384"])
def test_what_tpm2_tools_seal_is_opened_here(swtpm: Swtpm, kind: str) -> None:
    curve: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
    key: SigningKey = soft.rsa_key() if kind == "rsa" else ec.generate_private_key(curve[kind])
    tpm = soft.SoftwareTpm(soft.ek(key))
    (swtpm.directory / "ek.pub").write_bytes(tpm.endorsement.public)
    (swtpm.directory / "secret").write_bytes(SECRET)
    named = ("-u", "ek.pub", "-n", tpm.attestation.name.hex(), "-s", "secret", "-o", "sealed", "-Q")
    swtpm.tool("tpm2_makecredential", *named)
    blob, encrypted = _parts(swtpm.directory / "sealed")
    assert tpm.activate(blob, encrypted) == SECRET


def _parts(path: Path) -> tuple[bytes, bytes]:
    """TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET of a credential's file."""
    octets = path.read_bytes()
    assert octets.startswith(HEADER)
    body = octets[len(HEADER) :]
    size = 2 + int.from_bytes(body[:2])
    return body[:size], body[size:]
