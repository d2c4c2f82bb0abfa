"""What is held of endorsement keys when one of an organization's machines shows its own."""

from __future__ import annotations

from collections.abc import Collection

from keystead_enroll.domain.endorsement import EkRoots, EndorsementPolicy
from keystead_enroll.domain.endorsement_keys import Ruling
from keystead_enroll.ports import Transaction


def endorsement_policy(
    tx: Transaction, roots: EkRoots, organization_id: str, only: Collection[str] | None = None
) -> EndorsementPolicy:
    """The manufacturers' `roots`, and the entries of the organization's lists and of those for all organizations; with
    `only` no others than those of these fingerprints."""
    rulings = tx.endorsement_rulings(organization_id, only)
    return EndorsementPolicy(
        roots=roots.roots,
        listed=frozenset(sha256 for sha256, ruling in rulings if ruling is Ruling.ALLOW),
        denied=frozenset(sha256 for sha256, ruling in rulings if ruling is Ruling.DENY),
        intermediates=roots.intermediates,
        revoked=roots.revoked,
        named=roots.named,
    )
