"""The computer's identity, asked of its service: what a user's process shows servers of the TPM."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keystead_agent.errors import AgentError, EndorsementUnusable
from keystead_agent.keystore.attesting import Challenge, SharedIdentity
from keystead_agent.local.client import ServiceConnection, ask_activation, ask_identity


class ServiceIdentity:
    """See `keystore.served.IdentityService`. `connect` connects to the service, known to be it."""

    def __init__(self, connect: Callable[[], ServiceConnection]) -> None:
        self._connect = connect

    def identity(self) -> SharedIdentity:
        """See `keystore.served.IdentityService`."""
        with self._asking() as service:
            shown = ask_identity(service)
        return SharedIdentity(shown.key, base64.b64decode(shown.blob))

    def activate(self, challenge: Challenge) -> bytes:
        """See `keystore.served.IdentityService`."""
        with self._asking() as service:
            return ask_activation(service, challenge.credential, challenge.secret)

    @contextmanager
    def _asking(self) -> Iterator[ServiceConnection]:
        try:
            service = self._connect()
            try:
                yield service
            finally:
                service.close()
        except AgentError as error:
            raise EndorsementUnusable(
                f"this computer's service does not vouch for the TPM: {error.detail}", error.advice
            ) from error
