"""A certificate profile's templates for names, and the names that they give for a person, device or server.

A template is taken apart when the profile is loaded. Facts are put into the parts, never into text that is parsed
afterwards, so no value can end its RDN or begin another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.domain.errors import NameNotAllowed, TemplateInvalid
from keystead_enroll.domain.names import ATTRIBUTES, CertificateNames, check_attribute, check_dns_name, shown

_ORGANIZATION = frozenset({"organization", "department", "country", "state", "locality"})
VARIABLES: Mapping[CertificateType, frozenset[str]] = {
    CertificateType.CLIENT: _ORGANIZATION | {"name", "given_name", "surname", "email", "upn", "uid"},
    CertificateType.DEVICE: _ORGANIZATION | {"device_name", "fqdn", "serial_number"},
    CertificateType.SSL: _ORGANIZATION | {"fqdn"},
}
"""The facts that a template of each certificate type may use."""

_VARIABLE = re.compile(r"\{([a-z_]+(?:\|[a-z_]+)*)\}")
_ESCAPABLE = frozenset(' ,+"\\<>;=#{}')


class SanKind(StrEnum):
    """The alternative names that a template may make."""

    EMAIL = "email"
    UPN = "upn"
    DNS = "dns"
    URI = "uri"


@dataclass(frozen=True)
class _Choice:
    """`{a|b}`: the first of these facts that is not empty."""

    variables: tuple[str, ...]


@dataclass(frozen=True)
class _Pattern:
    """Fixed text and choices, in order."""

    parts: tuple[str | _Choice, ...]

    def fill(self, facts: Mapping[str, str]) -> str:
        """The text, or "" if a choice has no fact: then the whole name is left out."""
        filled = ""
        for part in self.parts:
            if isinstance(part, str):
                filled += part
                continue
            value = next((fact for name in part.variables if (fact := facts.get(name, "").strip())), "")
            if not value:
                return ""
            filled += value
        return filled

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(name for part in self.parts if isinstance(part, _Choice) for name in part.variables)


@dataclass(frozen=True)
class NameTemplate:
    """The names of a certificate profile, ready to be filled. Made by `parse`.

    `subject` holds (short name, pattern) in the order of the certificate's RDNSequence.
    """

    certificate_type: CertificateType
    subject: tuple[tuple[str, _Pattern], ...]
    sans: tuple[tuple[SanKind, _Pattern], ...]
    allow_wildcard: bool = False

    @classmethod
    def parse(
        cls, certificate_type: CertificateType, subject: str, sans: Sequence[str], *, allow_wildcard: bool = False
    ) -> NameTemplate:
        """The template written as RFC 4514 text (most specific RDN first), such as `CN={name|email}, O={organization}`,
        and SANs such as `email:{email}`.

        `{a|b}` stands for the first fact that is not empty; a backslash takes the next character literally.
        Raises TemplateInvalid, also for a variable that `VARIABLES` does not have for this type and for fixed text
        that no certificate could hold.
        """
        known = VARIABLES[certificate_type]
        rdns = [_parse_rdn(text, known) for text in _split_rdns(subject)]
        alternatives = [_parse_san(text, known) for text in sans]
        if not rdns and not alternatives:
            raise TemplateInvalid(Words("the profile has neither a subject nor an alternative name"))
        if sum(kind is SanKind.UPN for kind, _ in alternatives) > 1:
            raise TemplateInvalid(Words("the profile has more than one user principal name"))
        return cls(certificate_type, tuple(reversed(rdns)), tuple(alternatives), allow_wildcard)

    @property
    def wants_host_name(self) -> bool:
        """Whether the profile declares a DNS name among the alternative names."""
        return any(kind is SanKind.DNS for kind, _ in self.sans)

    @property
    def variables(self) -> frozenset[str]:
        """Every fact that the template can use."""
        patterns = [pattern for _, pattern in self.subject] + [pattern for _, pattern in self.sans]
        return frozenset().union(*(pattern.variables for pattern in patterns))


def build_names(
    template: NameTemplate, facts: Mapping[str, str], extra_dns_names: Sequence[str] = ()
) -> CertificateNames:
    """The names that `template` gives for `facts` (variable → value; a missing one counts as empty).

    An RDN or SAN that needs an empty fact is left out. `extra_dns_names` are further host names of a server. Whether
    domains are delegated is for the caller to ask (`names.domain_is_delegated`). Raises NameNotAllowed.
    """
    filled = [(short_name, pattern.fill(facts)) for short_name, pattern in template.subject]
    sans: dict[SanKind, list[str]] = {kind: [] for kind in SanKind}
    for kind, pattern in template.sans:
        if value := pattern.fill(facts):
            sans[kind].append(value)
    upns = sans[SanKind.UPN]
    names = CertificateNames(
        subject=tuple((short_name, value) for short_name, value in filled if value),
        dns_names=(*sans[SanKind.DNS], *extra_dns_names),
        emails=tuple(sans[SanKind.EMAIL]),
        upn=upns[0] if upns else None,
        uris=tuple(sans[SanKind.URI]),
    )
    if template.certificate_type is not CertificateType.CLIENT:
        for host in (*names.dns_names, names.common_name or ""):
            _check_wildcard(host, template.allow_wildcard)
    return names


def _check_wildcard(host: str, allowed: bool) -> None:
    """Raises NameNotAllowed if `host` has a wildcard, unless one is allowed: then as its left-most label alone
    (RFC 9525 section 6.3)."""
    if "*" not in host:
        return
    if not allowed:
        raise NameNotAllowed(
            Words("the certificate profile allows no wildcard such as {host}", host=host),
            Words("Name each host by itself."),
        )
    if not host.startswith("*."):
        raise NameNotAllowed(
            Words("{host} has a wildcard where none may stand", host=shown(host)), Words("Write *. before a domain.")
        )
    check_dns_name(host)


def _split_rdns(text: str) -> list[str]:
    """The parts between unescaped commas; none for blank text."""
    if not text.strip():
        return []
    parts = [""]
    escaped = False
    for character in text:
        if character == "," and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def _parse_rdn(text: str, known: frozenset[str]) -> tuple[str, _Pattern]:
    short_name, equals, value = text.partition("=")
    short_name = short_name.strip().upper()
    if not equals:
        raise TemplateInvalid(
            Words("“{text}” in the subject template is not of the form TYPE=value", text=text.strip())
        )
    if short_name not in ATTRIBUTES:
        raise TemplateInvalid(
            Words("the subject template has no attribute {name}", name=short_name),
            Words("There are {attributes}.", attributes=", ".join(ATTRIBUTES)),
        )
    pattern = _parse_pattern(value, known)
    if not pattern.variables:
        try:
            check_attribute(short_name, pattern.fill({}))
        except NameNotAllowed as refusal:
            raise TemplateInvalid(
                Words("the subject template cannot be used: {detail}", detail=refusal.detail)
            ) from refusal
    return short_name, pattern


def _parse_san(text: str, known: frozenset[str]) -> tuple[SanKind, _Pattern]:
    kind, colon, value = text.partition(":")
    if not colon or kind.strip() not in list(SanKind):
        raise TemplateInvalid(
            Words("“{text}” is no SAN template", text=text),
            Words("Begin it with one of {names}.", names=", ".join(k + ":" for k in SanKind)),
        )
    return SanKind(kind.strip()), _parse_pattern(value, known)


def _parse_pattern(text: str, known: frozenset[str]) -> _Pattern:
    """Raises TemplateInvalid for unknown variables, unbalanced braces, stray escapes and characters that RFC 4514
    wants escaped (a plus would begin a second attribute in the RDN, which no template here has)."""
    parts: list[str | _Choice] = []
    literal = ""
    text = text.strip()
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            following = text[position + 1 : position + 2]
            if not following or following not in _ESCAPABLE:
                raise TemplateInvalid(Words("“{text}” has a backslash before a character that needs none", text=text))
            literal += following
            position += 2
        elif character == "{":
            match = _VARIABLE.match(text, position)
            if match is None:
                raise TemplateInvalid(
                    Words("“{text}” has a brace that begins no variable", text=text), Words("Write {variable} or \\{.")
                )
            variables = tuple(match[1].split("|"))
            unknown = [name for name in variables if name not in known]
            if unknown:
                raise TemplateInvalid(
                    Words("there is no variable {{name}} for this certificate type", name=unknown[0]),
                    Words("There are {names}.", names=", ".join(sorted(known))),
                )
            if literal:
                parts.append(literal)
                literal = ""
            parts.append(_Choice(variables))
            position = match.end()
        elif character in '+"<>;}':
            raise TemplateInvalid(
                Words("“{text}” has a {character} without a backslash before it", text=text, character=character)
            )
        else:
            literal += character
            position += 1
    if literal:
        parts.append(literal)
    if not parts:
        raise TemplateInvalid(Words("a name in the template is empty"))
    return _Pattern(tuple(parts))
