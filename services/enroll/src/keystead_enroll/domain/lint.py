"""What a certificate linter says, and when that refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from keystead_enroll.domain.errors import CertificateLintFailed


class Severity(StrEnum):
    """How bad a finding is, worst first."""

    FATAL = "fatal"
    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True)
class Finding:
    """One finding: `code` names the rule, `where` the field in the certificate."""

    severity: Severity
    code: str
    where: str
    message: str = ""

    @property
    def refuses(self) -> bool:
        """Whether a certificate with this finding must not be signed."""
        return self.severity in (Severity.FATAL, Severity.ERROR)

    def __str__(self) -> str:
        text = f"{self.severity}: {self.code} at {self.where}"
        return f"{text}: {self.message}" if self.message else text


def refuse_findings(findings: Sequence[Finding]) -> None:
    """Raises CertificateLintFailed with every finding that refuses; returns if there is none."""
    refusing = [str(finding) for finding in findings if finding.refuses]
    if refusing:
        raise CertificateLintFailed("the certificate would violate RFC 5280: " + "; ".join(refusing))
