"""The public linter pkilint (RFC 5280 profile) behind one small class."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from keystead_enroll.domain.lint import Finding, Severity

if TYPE_CHECKING:
    from pkilint.validation import ValidatorContainer


class PkilintLinter:
    """Lints end-entity and CA certificates. May be shared by threads: one lint runs at a time (about 3 ms of pure
    Python, so nothing is lost). pkilint takes half a second to import, which happens in `warm_up`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._validator: ValidatorContainer | None = None

    def warm_up(self) -> None:
        """Imports the linter and builds its rules now, so that the first certificate need not wait."""
        with self._lock:
            self._prepared()

    def lint(self, der: bytes) -> tuple[Finding, ...]:
        """All findings from notice up, worst first. What cannot be parsed is itself a fatal finding."""
        with self._lock:
            validator = self._prepared()
            from pkilint.loader import load_der_certificate
            from pkilint.validation import ValidationFindingSeverity

            severities = {
                ValidationFindingSeverity.FATAL: Severity.FATAL,
                ValidationFindingSeverity.ERROR: Severity.ERROR,
                ValidationFindingSeverity.WARNING: Severity.WARNING,
                ValidationFindingSeverity.NOTICE: Severity.NOTICE,
            }
            try:
                document = load_der_certificate(der, "certificate")
            except ValueError as error:
                return (Finding(Severity.FATAL, "keystead.unparsable", "certificate", str(error)),)
            findings = [
                Finding(
                    severities[described.finding.severity],
                    described.finding.code,
                    result.node.path,
                    described.message or "",
                )
                for result in validator.validate(document.root)
                for described in result.finding_descriptions
                if described.finding.severity in severities
            ]
        order = list(Severity)
        return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))

    def _prepared(self) -> ValidatorContainer:
        if self._validator is None:
            from pkilint.pkix import certificate, extension, name

            self._validator = certificate.create_pkix_certificate_validator_container(
                certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
                [
                    certificate.create_issuer_validator_container([]),
                    certificate.create_validity_validator_container(),
                    certificate.create_subject_validator_container([]),
                    certificate.create_extensions_validator_container([]),
                    certificate.create_spki_validator_container([]),
                ],
            )
        return self._validator
