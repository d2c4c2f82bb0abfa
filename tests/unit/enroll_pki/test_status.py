"""Partitions, numbers and reason codes of revocation lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.domain.status import (
    ALL,
    ListHead,
    next_head,
    partition_of,
    partition_span,
    partitions,
    reason_flag,
)

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_partitions_are_the_months_in_which_a_certificate_of_the_ca_may_end() -> None:
    assert partitions(NOW, DAY, NOW + 70 * DAY) == [ALL, "2026-11", "2026-12", "2027-01", "2027-02"]


def test_a_month_is_kept_for_the_life_of_a_list() -> None:
    december = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert "2026-11" in partitions(december, DAY, NOW + 70 * DAY)
    assert "2026-11" not in partitions(december + DAY, DAY, NOW + 70 * DAY)


@pytest.mark.parametrize("end", ["2026-12-01T00:00:00+00:00", "2026-12-31T23:59:59+00:00", "2027-01-01T00:30:00+01:00"])
def test_a_certificate_s_end_lies_in_the_span_of_its_partition(end: str) -> None:
    moment = datetime.fromisoformat(end)
    begins, ends = partition_span(partition_of(moment))
    assert begins <= moment < ends and partition_of(moment) == "2026-12"


def test_numbers_grow_and_are_never_below_the_time() -> None:
    first = next_head(ALL, None, NOW, DAY)
    assert first.number == int(NOW.timestamp())
    assert next_head(ALL, first, NOW, DAY).number == first.number + 1
    ahead = ListHead(ALL, first.number + 1000, NOW, NOW + DAY)
    assert next_head(ALL, ahead, NOW, DAY).number == ahead.number + 1


@pytest.mark.parametrize("reason", RevocationReason)
def test_every_reason_but_none_in_particular_has_its_code(reason: RevocationReason) -> None:
    flag = reason_flag(reason.value)
    assert flag is (None if reason is RevocationReason.UNSPECIFIED else x509.ReasonFlags[reason.value])
