"""The columns of a bulk job's file. The one place that documents them: API, console and command tell what is here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from keystead_contracts.words import Words

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "device_name": Words("the machine's host name, which stands in a device's certificate; needed for those"),
        "serial_number": Words("the machine's serial number, for profiles that have it in the certificate"),
        "ek_sha256": Words(
            "the machine's TPM, by the SHA-256 of its endorsement key (hex, or urn:ek:sha256:…): it becomes known as "
            "the organization's, and only the machine that shows it gets the certificate"
        ),
        "device_id": Words("a machine that is registered already, by its id"),
        "profile": Words("name of the certificate profile, else the job's"),
        "department": Words("name of the department, else the job's"),
        "key_algorithm": Words("such as ec-p256, else the job's or the profile's first"),
        "term_days": Words("days, else the job's or the profile's first"),
        "owner": Words("e-mail address of whose the certificate is, needed for client certificates; else the job's"),
        "dns_names": Words("host names of a server's certificate, with spaces between; needed for those"),
        "label": Words("what the TPM is called on the list of known ones; else the device's name"),
    }
)
"""Name → meaning. Whatever the case and with spaces or hyphens for underscores; in any order."""
IGNORED = ("line", "field", "reason")
"""What a file of refused rows has besides, and is read over."""
MACHINE = ("device_name", "ek_sha256", "device_id")
"""Those of which a row has one at least: they say which machine it is."""
