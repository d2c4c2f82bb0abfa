"""Who may have the service do what. Pure: facts in, a refusal out."""

from __future__ import annotations

from keystead_agent.enroll import Keeper
from keystead_agent.errors import PolicyRefused
from keystead_agent.journal import JobEntry
from keystead_agent.local.connection import Peer
from keystead_agent.settings import Settings
from keystead_contracts.agent import DeviceJob, EnrollLink, Install, MachineInfo, MakeKeyAndCsr
from keystead_contracts.attestation import AttestationKey, CredentialChallenge
from keystead_contracts.base import CertificateScope, CertificateType


def may_enroll(peer: Peer, settings: Settings) -> bool:
    """Whether `peer` may have links done for the computer: administrators always, others who are logged in if the
    administrator's setting says so."""
    return peer.administrator or (settings.users_may_enroll_machine and peer.interactive)


def require_at_computer(peer: Peer) -> None:
    """Raises PolicyRefused unless `peer` may have the computer's TPM vouch for its keys. What the TPM's identity says
    is true whoever asks: that a key is in this TPM."""
    if not (peer.administrator or peer.interactive):
        raise PolicyRefused(
            "the TPM vouches for the keys of who is logged in at the computer", "Log in there, or ask an administrator."
        )


def require_may_enroll(peer: Peer, link: EnrollLink, settings: Settings, registered_with: str) -> None:
    """Raises PolicyRefused unless the service may work on `link` for `peer`. The server has to be one that an
    administrator chose: by the setting servers, or by registering this computer with it. That the person agreed is no
    more than the peer's word, so it opens nothing by itself."""
    if not may_enroll(peer, settings):
        raise PolicyRefused(
            "certificates for the whole computer are for its administrators to ask for",
            "Open the link as an administrator, or let one set users_may_enroll_machine = true.",
        )
    settings.require_allowed(link.server)
    if link.server not in (*settings.servers, registered_with):
        raise PolicyRefused(
            f"no administrator has chosen {link.server} for certificates of the whole computer",
            "An administrator can add it to the setting servers, or register this computer with it.",
        )
    if link.scope != "machine":
        raise PolicyRefused(
            "this link is for a certificate of your own",
            "Open it as yourself; the service makes certificates of the whole computer alone.",
        )


def require_scope(job: DeviceJob, *, machine: bool, by_type: bool = True) -> None:
    """Raises PolicyRefused if `job` is for the computer's certificate and this is a user's process, or the other way
    round: what the link said of itself is only a hint. A job says so itself, and (`by_type`) its certificate's type
    does; if the two are at odds nobody does it."""
    payload = job.payload
    whose = {payload.scope}
    if by_type and isinstance(payload, MakeKeyAndCsr | Install):
        whose.add(_SCOPES.get(payload.certificate_type))
    if machine and CertificateScope.USER in whose:
        raise PolicyRefused(
            "the server sent work on a person's certificate to the whole computer", "Enroll again as that person."
        )
    if not machine and CertificateScope.MACHINE in whose:
        raise PolicyRefused(
            "the server sent work on the whole computer's certificate to a person",
            "Open the enrollment page again for a new link.",
        )


_SCOPES = {CertificateType.CLIENT: CertificateScope.USER, CertificateType.DEVICE: CertificateScope.MACHINE}


class Scoped:
    """A keeper that works for a person alone, or for the whole computer alone; see `require_scope`."""

    def __init__(self, keeper: Keeper, *, machine: bool, by_type: bool = True) -> None:
        self._keeper = keeper
        self._machine = machine
        self._by_type = by_type

    def info(self) -> MachineInfo:
        """See `Machine.info`."""
        return self._keeper.info()

    def attestation(self) -> AttestationKey | None:
        """See `Machine.attestation`."""
        return self._keeper.attestation()

    def perform(
        self, server: str, recipient: str, job: DeviceJob, challenge: CredentialChallenge | None = None
    ) -> JobEntry:
        """See `Machine.perform`. Raises PolicyRefused."""
        require_scope(job, machine=self._machine, by_type=self._by_type)
        return self._keeper.perform(server, recipient, job, challenge)

    def retire(self) -> list[str]:
        """See `Machine.retire`."""
        return self._keeper.retire()
