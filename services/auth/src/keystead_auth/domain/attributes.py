"""What identity providers say of a person, under the names of the field whatever they call them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from keystead_auth.domain.email import normalize
from keystead_auth.domain.errors import EmailMalformed
from keystead_auth.domain.idp_errors import MailMissing
from keystead_contracts.identity import ATTRIBUTES

MOST_OCTETS = 2000
"""Of all values that travel on together, as JSON: they do so in a cookie, and browsers keep 4 KiB."""
LONGEST_NAME = 256

_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT = "http://schemas.microsoft.com/"
_USUAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cn": ("urn:oid:2.5.4.3", "urn:mace:dir:attribute-def:cn", "http://schemas.xmlsoap.org/claims/commonname"),
        "displayname": (
            "urn:oid:2.16.840.1.113730.3.1.241", "urn:mace:dir:attribute-def:displayname",
            f"{_MICROSOFT}identity/claims/displayname", "name",
        ),
        "entitlement": (
            "edupersonentitlement", "urn:oid:1.3.6.1.4.1.5923.1.1.1.7",
            "urn:mace:dir:attribute-def:edupersonentitlement", "eduperson_entitlement",
        ),
        "eppn": (
            "edupersonprincipalname", "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
            "urn:mace:dir:attribute-def:edupersonprincipalname", f"{_CLAIMS}upn", "upn", f"{_CLAIMS}name",
            "eduperson_principal_name",
        ),
        "givenname": ("urn:oid:2.5.4.42", "urn:mace:dir:attribute-def:givenname", f"{_CLAIMS}givenname", "given_name"),
        "groups": (
            "ismemberof", "memberof", "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
            f"{_MICROSOFT}ws/2008/06/identity/claims/groups",
            f"{_MICROSOFT}ws/2008/06/identity/claims/role", "http://schemas.xmlsoap.org/claims/group", "group",
        ),
        "mail": (
            "email", "urn:oid:0.9.2342.19200300.100.1.3", "urn:mace:dir:attribute-def:mail", f"{_CLAIMS}emailaddress",
            "emailaddress",
        ),
        "schachomeorganization": (
            "urn:oid:1.3.6.1.4.1.25178.1.2.9", "urn:mace:terena.org:attribute-def:schachomeorganization",
            "urn:schac:attribute-def:schachomeorganization", "schac_home_organization",
        ),
        "sn": ("surname", "urn:oid:2.5.4.4", "urn:mace:dir:attribute-def:sn", f"{_CLAIMS}surname", "family_name"),
        "uid": ("urn:oid:0.9.2342.19200300.100.1.1", "urn:mace:dir:attribute-def:uid", "preferred_username"),
    }
)  # fmt: skip
"""Canonical name → what else it is called: names and OIDs of eduPerson, SCHAC and X.500, claim types of ADFS and Entra,
claims of OpenID Connect."""


@dataclass(frozen=True)
class Sent:
    """An attribute as the provider sent it."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """Who a provider vouches for. `attributes` has `mail`, which is `email`; `cut`: not all values can travel on."""

    email: str
    name: str | None
    attributes: Mapping[str, list[str]]
    cut: bool = False


def canonical(sent: Iterable[Sent], own: Mapping[str, str]) -> dict[str, list[str]]:
    """Canonical name → values. `own` maps a canonical name to what this provider calls it: that comes first, then the
    name itself, then the usual others. Names are compared without regard to case."""
    by_name: dict[str, list[str]] = {}
    for attribute in sent:
        values = [value for value in map(_plain, attribute.values) if value]
        if values:
            by_name.setdefault(attribute.name.strip().lower(), []).extend(values)
    found = {}
    for name in ATTRIBUTES:
        if name in own:
            wanted: tuple[str, ...] = (own[name].strip().lower(),)
        else:
            wanted = (name, *_USUAL[name])
        values = next((by_name[each] for each in wanted if each in by_name), [])
        if values:
            found[name] = list(dict.fromkeys(values))
    return found


def person(attributes: Mapping[str, list[str]], fallback_email: str = "") -> Person:
    """Who that is. `fallback_email` stands in where there is no `mail`. Raises MailMissing."""
    email = _first_address([*attributes.get("mail", []), fallback_email])
    said = {**attributes, "mail": [email]}
    whole = {name: said[name] for name in ATTRIBUTES if name in said}
    return Person(email, _name(attributes), whole, bool(fitting(whole)[1]))


def _first_address(values: Iterable[str]) -> str:
    for value in values:
        try:
            return normalize(value)
        except EmailMalformed:
            continue
    raise MailMissing


def _name(attributes: Mapping[str, list[str]]) -> str | None:
    first = {name: values[0] for name, values in attributes.items() if values}
    if first.get("displayname"):
        name = first["displayname"]
    elif first.get("givenname") and first.get("sn"):
        name = f"{first['givenname']} {first['sn']}"
    else:
        name = first.get("cn", "")
    return name[:LONGEST_NAME] or None


def _plain(value: str) -> str:
    """The value without space around it; nothing if it has what cannot be seen."""
    text = value.strip()
    if any(unicodedata.category(character).startswith("C") for character in text):
        return ""
    return text


def fitting(attributes: Mapping[str, list[str]], most: int = MOST_OCTETS) -> tuple[dict[str, list[str]], list[str]]:
    """What fits in `most` octets of JSON: values in order, those of attributes with few values first; and the names of
    the attributes of which not all values do."""
    left, cut = most, []
    kept: dict[str, list[str]] = {}
    for name in sorted(attributes, key=lambda each: (each != "mail", len(attributes[each]), each)):
        left -= len(name) + 6
        for value in attributes[name]:
            left -= as_json(value) + 1
            if left < 0:
                cut.append(name)
                break
            kept.setdefault(name, []).append(value)
    return {name: kept[name] for name in ATTRIBUTES if name in kept}, sorted(cut)


def as_json(value: object) -> int:
    """How many octets of JSON `value` is, as tokens have it: a letter that is not ASCII has six, a rare one twelve."""
    return len(json.dumps(value, separators=(",", ":")))
