"""What the lists say of an endorsement key, for one organization."""

from __future__ import annotations

from tests.support.administrators import master
from tests.support.enroll_app import EnrollApp

from keystead_enroll.domain.endorsement import EkRoots, EndorsementPolicy
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.usecases.endorsement_policy import endorsement_policy
from keystead_kit.secrets import new_id

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)


def add(app: EnrollApp, organization: str | None, sha256: str, ruling: Ruling) -> bool:
    with app.enroll.transactions.write() as tx:
        return tx.add_first(EndorsementKey(new_id(), organization, sha256, ruling, created_at=app.clock.now()))


def test_the_lists_of_the_organization_and_of_all_count_and_no_others(app: EnrollApp) -> None:
    api = master(app)
    ours, theirs = (api.create("/organizations", {"name": name}) for name in ("Ours", "Theirs"))
    add(app, ours, A, Ruling.ALLOW)
    add(app, theirs, B, Ruling.ALLOW)
    add(app, theirs, A, Ruling.DENY)
    add(app, None, C, Ruling.ALLOW)
    add(app, None, D, Ruling.DENY)
    with app.enroll.transactions.read() as tx:
        assert endorsement_policy(tx, EkRoots(), ours) == EndorsementPolicy(
            (), frozenset({A, C}), frozenset({D}), intermediates=()
        )
        assert endorsement_policy(tx, EkRoots(), ours, [C]).listed == {C}
        assert endorsement_policy(tx, EkRoots(), ours, [C]).denied == set()


def test_a_key_has_one_entry_for_an_organization_and_one_for_all(app: EnrollApp) -> None:
    ours = master(app).create("/organizations", {"name": "Ours"})
    assert [add(app, place, A, ruling) for place in (ours, None) for ruling in Ruling] == [True, False, True, False]
