"""Whose place others have taken. Pure: what the folders and the journal say, and nothing else."""

from __future__ import annotations

from collections.abc import Container, Iterable

from keystead_agent.certstore.pem import InstalledCertificate, KeyRequest
from keystead_agent.errors import KeyLost


def superseded(
    installed: Iterable[InstalledCertificate | KeyLost], proved: Container[tuple[str, str]]
) -> list[KeyRequest]:
    """What those of `installed` were asked for whose place another of them takes, which is of the same server and
    among `proved` (servers and orders). A server names certificates of its own alone; what nothing here is stays."""
    whole = [item for item in installed if isinstance(item, InstalledCertificate)]
    requests = [item.metadata.request for item in whole]
    replaced = {
        (request.server, request.supersedes) for request in requests if (request.server, request.order_id) in proved
    }
    return [item.metadata.request for item in whole if (item.metadata.request.server, item.fingerprint) in replaced]
