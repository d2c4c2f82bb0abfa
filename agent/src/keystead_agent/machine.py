"""This machine: what all flows share, and the two things that need its keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from keystead_agent.certstore.pem import CertificateStore
from keystead_agent.client import ServerClient
from keystead_agent.errors import StoreUnwritable
from keystead_agent.files import locked, private_directory
from keystead_agent.journal import Clock, JobEntry, Journal
from keystead_agent.keystore import KeyStores
from keystead_agent.machine_info import machine_info
from keystead_agent.settings import Settings
from keystead_contracts.agent import DeviceJob, MachineInfo

WORK_PATIENCE = 600.0
"""Seconds to wait for another process's job; a slow TPM takes minutes for the largest keys."""


@dataclass(frozen=True)
class Machine:
    """What all flows share on this machine."""

    settings: Settings
    keys: KeyStores
    store: CertificateStore
    journal: Journal
    now: Clock

    @classmethod
    def open(cls, settings: Settings, now: Clock) -> Machine:
        """Opens the state directory and tidies what a crash left. Raises StoreUnwritable."""
        machine = cls(
            settings=settings,
            keys=KeyStores(settings),
            store=CertificateStore(settings.state_dir),
            journal=Journal(settings.state_dir, now),
            now=now,
        )
        with machine.working():
            machine.store.recover()
            machine.journal.recover()
        return machine

    @contextmanager
    def working(self) -> Iterator[None]:
        """Alone at work on the state directory. Raises StoreUnwritable if another process does not finish."""
        lock_file = private_directory(self.settings.state_dir) / "work.lock"
        with locked(lock_file, patience=WORK_PATIENCE) as lock:
            if lock is None:
                raise StoreUnwritable(f"another process holds {lock_file}", "End it, then try again.")
            yield

    def connect(self, server: str) -> ServerClient:
        """A client for the server at origin `server`. Raises PolicyRefused."""
        self.settings.require_allowed(server)
        return ServerClient(server, self.settings.ca_file)

    def info(self) -> MachineInfo:
        """What the agent says of the machine."""
        return machine_info(self.keys)

    def perform(self, server: str, recipient: str, job: DeviceJob) -> JobEntry:
        """The journal's entry of `job`: the one of before if it was answered, else that of doing it now. Raises
        StoreUnwritable if the answer cannot be remembered."""
        from keystead_agent.jobs import JobContext, execute

        with self.working():
            entry = self.journal.answered(server, job.job_id)
            if entry is None:
                body = execute(job, JobContext(server=server, keys=self.keys, store=self.store, now=self.now))
                entry = self.journal.answer(server, recipient, job, body)
        return entry

    def assertion(self, origin: str) -> str:
        """A signed assertion of the registered device for the server at `origin`."""
        from keystead_agent.register import assertion

        return assertion(self, origin)
