"""The service's end: one request a connection, each judged by who asks, at most a few at a time."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from keystead_agent import __version__
from keystead_agent.backoff import Stop, Stopped
from keystead_agent.device import DeviceStore
from keystead_agent.enroll import Keeper, resume
from keystead_agent.errors import AgentBusy, AgentError, ChallengeForeign, EndorsementUnusable
from keystead_agent.keystore.attesting import SharedIdentity
from keystead_agent.link import read_link
from keystead_agent.local.connection import (
    ANSWER_LIMIT,
    MOST_CONNECTIONS,
    REQUEST_LIMIT,
    Connection,
    Listener,
    LocalTrouble,
    Peer,
    received,
)
from keystead_agent.local.messages import (
    REQUEST,
    Activate,
    Activated,
    AskIdentity,
    AskStatus,
    EnrollMachine,
    Finished,
    Identity,
    LocalMessage,
    Refused,
    Status,
    Told,
    frame,
    parsed,
)
from keystead_agent.local.rules import Scoped, may_enroll, require_at_computer, require_may_enroll
from keystead_agent.machine import Machine
from keystead_agent.telling import Tell
from keystead_contracts.agent import EnrollLink

MOST_LINKS = 4
"""Of one account at a time: one is worked on for hours if its server lets it wait, whether or not the account still
listens, and others are to find room meanwhile."""
PATIENCE = 60.0
"""Seconds to try a server for that does not answer."""


class ServiceKeeper(Keeper, Protocol):
    """Who has the keys, and the computer's identity."""

    def shared_identity(self) -> SharedIdentity | None:
        """See `Machine.shared_identity`."""

    def open_challenge(self, credential: bytes, secret: bytes) -> bytes:
        """See `Machine.open_challenge`."""


class LocalServer:
    """Answers local requests for `machine`, whose keys `keeper` has."""

    def __init__(
        self,
        machine: Machine,
        keeper: ServiceKeeper,
        *,
        stop: Stop,
        tell: Tell,
        most: int = MOST_CONNECTIONS,
        request_limit: float = REQUEST_LIMIT,
    ) -> None:
        self._machine = machine
        self._identities = keeper
        self._keeper = Scoped(keeper, machine=True)
        self._stop = stop
        self._tell = tell
        self._room = threading.BoundedSemaphore(most)
        self._request_limit = request_limit
        self._links: Counter[str] = Counter()
        self._mutex = threading.Lock()

    def serve(self, listener: Listener) -> None:
        """Until the listener is closed. Who comes when there is no room is turned away."""
        with suppress(Stopped):
            while True:
                connection = listener.accept()
                if self._room.acquire(blocking=False):
                    threading.Thread(target=self._with_room, args=[connection], name="local", daemon=True).start()
                else:
                    connection.close()

    def _with_room(self, connection: Connection) -> None:
        try:
            self.answer(connection)
        finally:
            self._room.release()

    def answer(self, connection: Connection) -> None:
        """One connection, to its end."""
        try:
            self._answer(connection)
        except LocalTrouble as error:
            self._tell("local_request_dropped", reason=error.detail)
        finally:
            connection.close()

    def _answer(self, connection: Connection) -> None:
        request = parsed(REQUEST, received(connection.receive, time.monotonic() + self._request_limit))
        peer = connection.peer()
        last: LocalMessage
        try:
            match request:
                case AskStatus():
                    last = self._status(peer)
                case EnrollMachine():
                    last = self._enroll(request, peer, _passing_on(connection))
                case AskIdentity():
                    last = self._identity(peer)
                case Activate():
                    last = self._activate(request, peer)
        except AgentError as error:
            self._tell("local_request_refused", user=peer.account, pid=peer.pid, reason=error.detail)
            last = _refusal(error)
        except Stopped:
            last = _refusal(AgentError("the service was stopped", "It goes on with the link when it starts again."))
        connection.send(frame(last), ANSWER_LIMIT)

    def _status(self, peer: Peer) -> Status:
        return Status(
            version=__version__,
            server=self._registered_with(),
            may_enroll=may_enroll(peer, self._machine.settings),
        )

    def _enroll(self, request: EnrollMachine, peer: Peer, pass_on: Tell) -> Finished:
        link = read_link(request.link)
        require_may_enroll(peer, link, self._machine.settings, self._registered_with())
        with self._in_turn(peer):
            return self._work_on(link, peer, pass_on)

    def _identity(self, peer: Peer) -> Identity:
        require_at_computer(peer)
        with self._in_turn(peer):
            shared = self._identities.shared_identity()
        if shared is None:
            raise EndorsementUnusable("this computer's TPM has no identity to share")
        return Identity(key=shared.key, blob=base64.b64encode(shared.blob).decode())

    def _activate(self, request: Activate, peer: Peer) -> Activated:
        require_at_computer(peer)
        credential, secret = _decoded(request.credential), _decoded(request.secret)
        with self._in_turn(peer):
            found = self._identities.open_challenge(credential, secret)
        self._tell("challenge_opened", user=peer.account, pid=peer.pid)
        return Activated(secret=base64.b64encode(found).decode())

    @contextmanager
    def _in_turn(self, peer: Peer) -> Iterator[None]:
        """Raises AgentBusy while as many of the account's links are worked on as may be."""
        with self._mutex:
            if self._links[peer.account] >= MOST_LINKS:
                raise AgentBusy(
                    f"{MOST_LINKS} links of this account are worked on already", "Open this one when one has ended."
                )
            self._links[peer.account] += 1
        try:
            yield
        finally:
            with self._mutex:
                self._links[peer.account] -= 1

    def _work_on(self, link: EnrollLink, peer: Peer, pass_on: Tell) -> Finished:
        self._tell("link_accepted", user=peer.account, pid=peer.pid, session=peer.session, server=link.server)
        claim = self._machine.journal.open_claim(link)

        def tell(event: str, /, **fields: object) -> None:
            self._tell(event, **fields)
            pass_on(event, **fields)

        done = resume(self._machine, self._keeper, claim, stop=self._stop, tell=tell, patience=PATIENCE)
        self._tell("enrolled", order=done.order_id, location=done.location, user=peer.account)
        return Finished(
            server=done.server,
            order_id=done.order_id,
            location=done.location,
            provider=done.provider,
            order_state=done.order_state,
        )

    def _registered_with(self) -> str:
        current = DeviceStore(self._machine.settings.state_dir).current()
        return current[0].server if current else ""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ChallengeForeign("the challenge is damaged", "Try again from the beginning.") from error


def _passing_on(connection: Connection) -> Tell:
    """Tells the user's process too, for as long as it listens: what was begun goes on without it."""
    listening = True

    def tell(event: str, /, **fields: object) -> None:
        nonlocal listening
        if listening:
            try:
                told = Told(event=event, fields={name: str(value)[:2000] for name, value in fields.items()})
                connection.send(frame(told), ANSWER_LIMIT)
            except LocalTrouble:
                listening = False

    return tell


def _refusal(error: AgentError) -> Refused:
    return Refused(
        code=str(error.code), exit_code=int(error.exit_code), detail=error.detail[:2000], advice=error.advice[:2000]
    )
