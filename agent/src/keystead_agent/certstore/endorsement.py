"""Where Windows keeps the certificates of the TPM's endorsement key: in stores that the key provider hands out, and in
the registry, where firmware TPMs have theirs alone."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

from keystead_agent.certstore._crypt32 import Crypt32, Crypt32Error
from keystead_agent.keystore._pcp_blobs import serialized_certificate

REGISTRY = r"SYSTEM\CurrentControlSet\Services\TPM\WMI\Endorsement\EKCertStore\Certificates"
MOST = 32
_log = logging.getLogger(__name__)


def registry_blobs() -> Iterator[bytes]:
    """What the registry keeps of each certificate; nothing anywhere but on Windows."""
    if sys.platform != "win32":
        return
    import winreg  # of Windows alone

    registry: Any = winreg
    try:
        with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, REGISTRY) as certificates:
            for index in range(MOST):
                with registry.OpenKey(certificates, registry.EnumKey(certificates, index)) as one:
                    value, kind = registry.QueryValueEx(one, "Blob")
                    if kind == registry.REG_BINARY:
                        yield bytes(value)
    except OSError:  # there are no more, or none at all
        return


class WindowsEndorsementCertificates:
    """See `pcp.EndorsementCertificates`."""

    def __init__(self, crypt32: Callable[[], Crypt32], blobs: Callable[[], Iterator[bytes]] = registry_blobs) -> None:
        self._crypt32 = crypt32
        self._blobs = blobs

    def in_store(self, handle: int) -> list[bytes]:
        """See `pcp.EndorsementCertificates`."""
        try:
            return self._crypt32().handed_over(handle, MOST)
        except (Crypt32Error, OSError) as error:
            _log.warning("endorsement_certificates_unreadable reason=%s", error)
            return []

    def registered(self) -> list[bytes]:
        """See `pcp.EndorsementCertificates`."""
        found = []
        for blob in self._blobs():
            try:
                found.append(serialized_certificate(blob))
            except ValueError as error:
                _log.warning("endorsement_certificate_unreadable reason=%s", error)
        return found
