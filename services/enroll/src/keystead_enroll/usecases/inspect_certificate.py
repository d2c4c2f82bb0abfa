"""Inspect a certificate that is about to be signed: its values always, all of it by the linter if its shape is new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keystead_enroll.domain.errors import CertificateLintFailed
from keystead_enroll.domain.lint import refuse_findings
from keystead_enroll.domain.shapes import HowLinted, check_values, how_to_lint, shape_of
from keystead_enroll.domain.tbs import TbsMalformed, parse_tbs
from keystead_enroll.metrics import CERTIFICATES_LINTED
from keystead_enroll.ports import Linter, ShapeMemory


@dataclass(frozen=True)
class Inspection:
    """How certificates are inspected. `share` of those of a known shape are linted in full all the same; `chance`
    gives evenly spread numbers in [0, 1)."""

    linter: Linter
    memory: ShapeMemory
    share: float
    chance: Callable[[], float]

    def inspect(self, precertificate: bytes, profile: str) -> None:
        """Returns if the certificate (DER) that the profile with this digest gave may be signed. Raises
        CertificateLintFailed; then its shape is not, or no longer, taken for good."""
        try:
            tbs = parse_tbs(precertificate)
            shape = shape_of(tbs, profile)
        except TbsMalformed as error:
            raise CertificateLintFailed(f"the certificate cannot be read: {error}") from error
        how = how_to_lint(known=self.memory.knows(shape), share=self.share, chance=self.chance())
        CERTIFICATES_LINTED.labels(how=how.value).inc()
        check_values(tbs)
        if how is HowLinted.BY_SHAPE:
            return
        try:
            refuse_findings(self.linter.lint(precertificate))
        except CertificateLintFailed:
            self.memory.forget(shape)
            raise
        self.memory.remember(shape)
