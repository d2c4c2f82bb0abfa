"""This machine: what all flows share, and the two things that need its keys."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keystead_agent.backoff import NOTICE_SECONDS
from keystead_agent.certstore import platform_store
from keystead_agent.certstore.pem import CertificateStore
from keystead_agent.certstore.superseded import superseded
from keystead_agent.device import DeviceStore, Registered
from keystead_agent.errors import (
    AgentBusy,
    AgentError,
    EndorsementUnusable,
    KeyLost,
    KeyStoreError,
    OrderOfAnotherServer,
)
from keystead_agent.files import held, private_directory
from keystead_agent.journal import ClaimEntry, Clock, JobEntry, Journal
from keystead_agent.keystore import KeyStores
from keystead_agent.keystore.attesting import SharedIdentity
from keystead_agent.machine_info import machine_info
from keystead_agent.settings import Settings
from keystead_contracts.agent import DeviceJob, MachineInfo
from keystead_contracts.attestation import AttestationKey, CredentialChallenge

if TYPE_CHECKING:
    from keystead_agent.attestation import Identity
    from keystead_agent.client import ServerClient

START_PATIENCE = 600.0
"""Seconds to wait for another process's job; a slow TPM takes minutes for the largest keys."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """What all flows share on this machine. `pid` is the process that the agent's locks are held for: that of the
    command, in its helper process too."""

    settings: Settings
    keys: KeyStores
    store: CertificateStore
    journal: Journal
    now: Clock
    pid: int = field(default_factory=os.getpid)
    machine_keys: bool = False

    @classmethod
    def of(cls, settings: Settings, now: Clock, *, machine_keys: bool = False) -> Machine:
        """The machine with its state where `settings` say. Touches nothing: enough for reading. `machine_keys`: see
        `KeyStores`."""
        return cls(
            settings=settings,
            keys=KeyStores(settings, machine_keys=machine_keys),
            store=CertificateStore(settings.state_dir, platform_store(settings)),
            journal=Journal(settings.state_dir, now),
            now=now,
            machine_keys=machine_keys,
        )

    def recover(self, waiting: Callable[[int], None] | None = None) -> None:
        """Makes the state directory and tidies what a crash left; before anything is written. `waiting` is told the
        process that is waited for. Raises StoreUnwritable, AgentBusy."""
        with self.working(START_PATIENCE, waiting):
            self.store.recover()
            DeviceStore(self.settings.state_dir).recover()
            with self.keys.changing():
                for claim in self.journal.hopeless_claims():
                    self._discard_keys(claim.server, claim.claim_id)
                try:
                    self._retire()
                except AgentError as error:
                    _log.warning("superseded_not_removed reason=%s", error.detail)
            self.journal.recover()

    @contextmanager
    def working(self, patience: float = START_PATIENCE, waiting: Callable[[int], None] | None = None) -> Iterator[None]:
        """Alone at work on the state directory. Raises AgentBusy if another process does not finish in time."""
        lock_file = private_directory(self.settings.state_dir) / "work.lock"
        with held(lock_file, self.pid, patience=patience, waiting=waiting) as other:
            if other is not None:
                raise AgentBusy(
                    f"another keystead-agent is at work (pid {other})", "Wait until it has finished, or end it."
                )
            yield

    @contextmanager
    def running(self) -> Iterator[None]:
        """The one process that runs for ever on the state directory. Raises AgentBusy if there is one already."""
        folder = private_directory(self.settings.state_dir)
        with held(folder / "run.lock", self.pid) as other:
            if other is not None:
                raise AgentBusy(
                    f"another keystead-agent run is at work on {folder} (pid {other})",
                    "One is enough. To run this one instead, end the other; to run both, give this one a state "
                    "directory of its own (KEYSTEAD_AGENT_STATE_DIR).",
                )
            yield

    def connect(self, server: str) -> ServerClient:
        """A client for the server at origin `server`. Raises PolicyRefused."""
        from keystead_agent.client import ServerClient

        self.settings.require_allowed(server)
        return ServerClient(server, self.settings.ca_file)

    def info(self) -> MachineInfo:
        """What the agent says of the machine."""
        return machine_info(self.keys)

    def require_keys(self) -> None:
        """Asks the key store that jobs will need. Raises KeyStoreError's kinds if there is none that works."""
        self.keys.usable(allow_software=True).describe()

    def attestation(self) -> AttestationKey | None:
        """What a claim says of the TPM, which is asked for an identity the first time. None if that cannot be had now:
        a server that wants it says so. Raises StoreUnwritable."""
        identity = self._identity()
        return identity.key if identity else None

    def shared_identity(self) -> SharedIdentity | None:
        """Like `attestation`, for processes of other accounts; None if they cannot use it."""
        identity = self._identity()
        return identity.shared if identity else None

    def open_challenge(self, credential: bytes, secret: bytes) -> bytes:
        """What is in a server's challenge for the identity that is shared. Raises EndorsementUnusable,
        ChallengeForeign, KeyLost."""
        identity = self._identity()
        if identity is None or identity.shared is None:
            raise EndorsementUnusable("this computer's TPM has no identity to share")
        return identity.open(credential, secret)

    def _identity(self) -> Identity | None:
        from keystead_agent.attestation import Identities

        identities = Identities(self.keys, self.settings.state_dir)
        try:
            identity = identities.working()
            if identity is None:
                with self.working(), self.keys.changing():
                    identity = identities.obtain()
        except (KeyStoreError, AgentBusy) as error:
            _log.warning("identity_unavailable reason=%s", error.detail)
            return None
        return identity

    def perform(
        self, server: str, recipient: str, job: DeviceJob, challenge: CredentialChallenge | None = None
    ) -> JobEntry:
        """The journal's entry of `job`: the one of before if it was answered, else that of doing it now. `challenge` is
        what the claim's token came with. Raises StoreUnwritable if the answer cannot be remembered, AgentBusy if
        another process is at work."""
        from keystead_agent.attestation import Identities, Witness
        from keystead_agent.jobs import JobContext, execute

        with self.working(NOTICE_SECONDS), self.keys.changing():
            entry = self.journal.answered(server, job.job_id)
            if entry is None:
                witness = Witness(Identities(self.keys, self.settings.state_dir), server, challenge)
                body = execute(job, JobContext(server, self.keys, self.store, self.now, recipient, witness))
                entry = self.journal.answer(server, recipient, job, body)
        return entry

    def discard_key(self, server: str, order_id: str) -> None:
        """Removes the key that waits for the certificate of `order_id`, which will not come. Raises StoreUnwritable,
        AgentBusy."""
        with self.working(), self.keys.changing():
            self._discard_key(server, order_id)

    def give_up(self, claim: ClaimEntry) -> None:
        """Remembers that the claim's order cannot be installed; its key goes first, so that a crash leaves none.
        Raises StoreUnwritable, AgentBusy."""
        with self.working(), self.keys.changing():
            self._discard_keys(claim.server, claim.claim_id)
            self.journal.close_claim(claim, "failed")

    def _discard_keys(self, server: str, recipient: str) -> None:
        orders = {entry.order_id for entry in self.journal.entries(server, recipient)}
        for order_id in sorted(orders | self.store.pending_of(server, recipient)):
            self._discard_key(server, order_id)

    def _discard_key(self, server: str, order_id: str) -> None:
        with suppress(KeyLost, OrderOfAnotherServer):  # what cannot be read, or is another's, stays for a person to see
            self.store.discard_pending(server, order_id)

    def retire(self) -> list[str]:
        """Removes the certificates of this agent, with their keys, whose place another has taken that is installed and
        proved (`Journal.proved`); policy may keep them. The orders of those that went. Raises StoreUnwritable,
        AgentBusy; what a crash or an error left is found the next time."""
        with self.working(), self.keys.changing():
            return self._retire()

    def _retire(self) -> list[str]:
        gone = []
        if self.settings.remove_superseded:
            for old in superseded(self.store.all_installed(), self.journal.proved()):
                self.store.remove(old.server, old.order_id)
                gone.append(old.order_id)
        return gone

    def register(self, server: str, token: str) -> Registered:
        """Registers this machine with the server at origin `server`; see `register.register`."""
        from keystead_agent.register import register

        return register(self, server, token, replace=False, waiting=lambda _pid: None)

    def assertion(self, origin: str) -> str:
        """A signed assertion of the registered device for the server at `origin`."""
        from keystead_agent.register import assertion

        return assertion(self, origin)
