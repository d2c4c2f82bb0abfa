"""Challenge a TPM: a secret that it opens only if both of the keys that were shown are in it."""

from __future__ import annotations

import base64
import secrets as randomness
from datetime import datetime

from keystead_contracts.attestation import NONCE_OCTETS, SECRET_OCTETS, AttestationKey, CredentialChallenge
from keystead_contracts.words import Words
from keystead_enroll.domain.attestation import AttestationPolicy, judge_attestation_key
from keystead_enroll.domain.attestation_checks import failures
from keystead_enroll.domain.attestation_evidence import TpmIdentity, endorsement_fingerprint, read_identity
from keystead_enroll.domain.attestation_state import AttestationChallenge
from keystead_enroll.domain.credential import make_credential
from keystead_enroll.domain.endorsement import EkRoots, judge_endorsement
from keystead_enroll.domain.errors import ChallengeRefused, EvidenceFailed
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.endorsement_policy import endorsement_policy
from keystead_kit.secrets import new_id

MOST_OPEN = 20
"""Challenges of one device; with more, the oldest are void. A link has one for each attestation key that is shown."""
_TOLD = 3


def challenge_device(
    tx: Transaction,
    roots: EkRoots,
    organization_id: str,
    recipient: str,
    sent: AttestationKey,
    public_area: str,
    now: datetime,
    until: datetime,
) -> CredentialChallenge:
    """A challenge to the TPM of a device whose key has this public area. Raises EvidenceRefused's kinds for keys that
    are not what they should be."""
    identity = _identity(tx, roots, organization_id, sent, now)
    open_ones = tx.open_challenges(recipient, now)
    for oldest in open_ones[: max(0, len(open_ones) - MOST_OPEN + 1)]:
        tx.remove(oldest)
    return _add(tx, identity, recipient, sent, public_area, now, until)


def challenge_claim(
    tx: Transaction,
    roots: EkRoots,
    organization_id: str,
    recipient: str,
    sent: AttestationKey,
    now: datetime,
    until: datetime,
) -> CredentialChallenge:
    """A challenge to the TPM of whoever came by a link; asked again it is the same secret, sealed anew. Raises as
    `challenge_device`."""
    identity = _identity(tx, roots, organization_id, sent, now)
    name = identity.attestation_key.key.name.hex()
    shown = sent.model_dump(mode="json")
    open_ones = tx.open_challenges(recipient, now)
    for earlier in open_ones:
        if earlier.attestation_name == name and earlier.sent == shown:
            return _sealed(earlier, identity)
    if len(open_ones) >= MOST_OPEN:
        raise ChallengeRefused(
            Words("Too many attestation keys were shown for this link."),
            Words("Get a new link on the request's page in the portal."),
        )
    return _add(tx, identity, recipient, sent, "", now, until)


def _identity(
    tx: Transaction, roots: EkRoots, organization_id: str, sent: AttestationKey, now: datetime
) -> TpmIdentity:
    identity = read_identity(sent)
    policy = endorsement_policy(tx, roots, organization_id, [endorsement_fingerprint(sent)])
    endorsement = judge_endorsement(identity.endorsement_key, identity.certificates, policy, now)
    failed = failures(judge_attestation_key(identity.attestation_key, AttestationPolicy()) + endorsement.findings)
    if failed:
        raise EvidenceFailed([finding.sentence for finding in failed[:_TOLD]], failed[0].code)
    return identity


def _add(
    tx: Transaction,
    identity: TpmIdentity,
    recipient: str,
    sent: AttestationKey,
    public_area: str,
    now: datetime,
    until: datetime,
) -> CredentialChallenge:
    challenge = AttestationChallenge(
        id=new_id(),
        recipient=recipient,
        attestation_name=identity.attestation_key.key.name.hex(),
        sent=sent.model_dump(mode="json"),
        public_area=public_area,
        secret=randomness.token_bytes(SECRET_OCTETS),
        nonce=new_nonce(),
        created_at=now,
        expires_at=until,
    )
    tx.add(challenge)
    return _sealed(challenge, identity)


def _sealed(challenge: AttestationChallenge, identity: TpmIdentity) -> CredentialChallenge:
    if challenge.secret is None:
        raise LookupError(f"challenge {challenge.id} was answered")
    sealed = make_credential(identity.endorsement_key, identity.attestation_key.key.name, challenge.secret)
    return CredentialChallenge(
        challenge_id=challenge.id,
        credential_blob=base64.b64encode(sealed.blob).decode(),
        encrypted_secret=base64.b64encode(sealed.encrypted_secret).decode(),
        nonce=challenge.nonce,
        expires_at=challenge.expires_at,
    )


def new_nonce() -> str:
    """What a certification has to be fresh by, in base64."""
    return base64.b64encode(randomness.token_bytes(NONCE_OCTETS)).decode()
