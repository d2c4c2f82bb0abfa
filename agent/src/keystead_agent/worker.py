"""Between stream and jobs: answers each job once, reports the answer until the server has it, follows the stream over
reconnections."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext

from keystead_agent.backoff import Backoff, Stop
from keystead_agent.client import JobEvent, ServerClient, UnknownJob
from keystead_agent.doorbell import Idle
from keystead_agent.errors import AgentBusy, AgentError, ServerRefused, ServerUnreachable, StoreUnwritable
from keystead_agent.journal import INSTALLED, JobEntry, Journal
from keystead_agent.quiet import Quiet
from keystead_agent.telling import Tell
from keystead_contracts.agent import AgentToken, CsrReady, DeviceJob, Failed, FailureCode, Installed, Report
from keystead_contracts.attestation import CredentialChallenge
from keystead_contracts.problems import ProblemCode

RENEW_AT = 0.8
"""The part of a token's life after which it is renewed."""
LASTING_SECONDS = 5.0
"""A stream that lasted so long was a good one: what ends sooner, without a job, is tried again with growing waits."""
BUSY_PAUSE = 1.0
"""Seconds until a job that another process of the agent kept from being done is tried again."""
MOST_REFUSALS = 2
"""Fresh tokens in a row that a server may refuse before the agent gives up."""


Perform = Callable[[str, str, DeviceJob, CredentialChallenge | None], JobEntry]
"""Does a job for a server and a recipient, once; see `Machine.perform`."""
DiscardKey = Callable[[str, str], None]
"""Removes the key that waits for an order's certificate; see `Machine.discard_key`."""
Retire = Callable[[], list[str]]
"""Removes the certificates whose place others have taken; see `Machine.retire`."""


class Tokens:
    """The bearer token, renewed before it ends and whenever the server no longer takes it. `ask` gets a new one."""

    def __init__(self, ask: Callable[[], AgentToken]) -> None:
        self._ask = ask
        self._token: AgentToken | None = None
        self._renew_at = 0.0
        self._refusals = 0

    def current(self) -> AgentToken:
        """A token that the server takes now. Raises ServerRefused, ServerUnreachable."""
        if self._token is None or time.monotonic() >= self._renew_at:
            self._token = self._ask()
            self._renew_at = time.monotonic() + self._token.expires_in * RENEW_AT
        return self._token

    @property
    def held(self) -> AgentToken | None:
        """The token of now, whether or not it is good any longer."""
        return self._token

    @property
    def challenge(self) -> CredentialChallenge | None:
        """What the token came with, for the TPM to solve."""
        return self._token.challenge if self._token else None

    def accepted(self) -> None:
        """The server took the token."""
        self._refusals = 0

    def refused(self) -> bool:
        """The server refused the token with 401. Whether a new one is worth a try."""
        had_one, self._token = self._token is not None, None
        self._refusals += 1
        return had_one and self._refusals <= MOST_REFUSALS


class Worker:
    """Works for one recipient (a claim, or the device) at one server. If the server was not reached once within
    `patience` seconds it gives up with ServerUnreachable; once reached it does so only after `useful` seconds, when
    the server has no more use for the answers."""

    def __init__(
        self,
        journal: Journal,
        perform: Perform,
        client: ServerClient,
        tokens: Tokens,
        *,
        recipient: str,
        discard_key: DiscardKey,
        retire: Retire,
        stop: Stop,
        tell: Tell,
        patience: float | None = None,
        useful: float | None = None,
        backoff: Backoff | None = None,
        quiet: Quiet | None = None,
    ) -> None:
        self._journal = journal
        self._perform = perform
        self._client = client
        self._tokens = tokens
        self._recipient = recipient
        self._discard_key = discard_key
        self._retire = retire
        self._stop = stop
        self._tell = tell
        self._backoff = backoff or Backoff()
        self._quiet = quiet or Quiet()
        self._last_id = ""
        self._heard: set[str] = set()
        self._give_up_at = None if patience is None else time.monotonic() + patience
        self._useless_at = math.inf if useful is None else time.monotonic() + useful

    def finish_reports(self) -> list[JobEntry]:
        """Reports what was answered before a crash and may not have arrived. All of this recipient's jobs."""
        entries = self._journal.entries(self._client.origin, self._recipient)
        return [entry if entry.settled else self._deliver(entry) for entry in entries]

    def follow(self) -> Generator[JobEntry, None, None]:
        """Answers jobs as they come and yields each when the server has the answer. Reconnects for ever; whoever has
        enough closes the generator. Raises ServerRefused if the server refuses the token for good."""
        while True:
            connected = math.inf
            with self._retrying(idly=True) as attempt:
                token = self._tokens.current()
                with self._client.jobs(token, self._last_id, self._stop.waiting, self._backoff.spread) as jobs:
                    self._heard.clear()
                    self._tell("connected", server=self._client.origin)
                    connected = time.monotonic()
                    self._tokens.accepted()
                    self._give_up_at = None
                    while (event := self._next(jobs)) is not None:
                        self._backoff.reset()
                        yield from self._handle(event)
                        self._last_id = event.event_id
                        self._heard.add(event.event_id)
            if time.monotonic() - connected > LASTING_SECONDS:
                self._backoff.reset()
            if attempt.failure is None:
                self._tell("stream_closed", server=self._client.origin)
                self._stop.sleep(self._backoff.next())

    def _next(self, jobs: Iterator[JobEvent]) -> JobEvent | None:
        with self._quiet.lull(self._idle()):
            return next(jobs, None)

    def _idle(self) -> Idle:
        """The server's open jobs come again with each stream: those of this one are no news."""
        return Idle(self._client.jobs_request(self._tokens.held, self._last_id), frozenset(self._heard))

    def _handle(self, event: JobEvent) -> Iterator[JobEntry]:
        if isinstance(event.job, UnknownJob):
            self._refuse_unknown(event.job)
        else:
            yield self.answer(event.job)

    def answer(self, job: DeviceJob) -> JobEntry:
        """The settled entry of `job`, done now or before. Waits while another process of the agent is at work. Raises
        StoreUnwritable if the answer could not be remembered; the server is told."""
        self._tell("job_started", kind=job.payload.kind, job=job.job_id, order=job.order_id, trace=job.trace_id)
        try:
            entry = self._perform_in_turn(job)
        except StoreUnwritable as error:
            self._post(Report(job_id=job.job_id, body=error.report()), job.trace_id)
            raise
        except AgentError as error:
            entry = self._journal.answer(self._client.origin, self._recipient, job, error.report())
        return entry if entry.settled else self._deliver(entry)

    def _perform_in_turn(self, job: DeviceJob) -> JobEntry:
        told = False
        while True:
            try:
                return self._perform(self._client.origin, self._recipient, job, self._tokens.challenge)
            except AgentBusy as error:
                if not told:
                    self._tell("busy", job=job.job_id, reason=error.detail)
                told = True
                self._stop.sleep(BUSY_PAUSE)

    def _deliver(self, entry: JobEntry) -> JobEntry:
        """Reports until the server has the answer, or refuses it for good: no certificate comes for a refused CSR,
        so its key goes, before the refusal is remembered."""
        try:
            state = self._post(entry.report, entry.trace_id)
        except ServerRefused as error:
            if error.problem != ProblemCode.JOB_ALREADY_REPORTED:
                self._tell_refused(entry.job_id, entry.trace_id, error)
                if isinstance(entry.body, CsrReady):
                    self._discard_key(entry.server, entry.order_id)
                return self._journal.settle(entry, "", error.detail, error.advice)
            state = ""
        settled = self._journal.settle(entry, state)
        self._tell(
            "job_reported",
            kind=entry.kind,
            job=entry.job_id,
            order=entry.order_id,
            outcome=entry.body.outcome,
            state=state,
            trace=entry.trace_id,
        )
        if isinstance(entry.body, Installed) and state == INSTALLED:
            self._retire_superseded()
        return settled

    def _retire_superseded(self) -> None:
        """What cannot go now is tried again when the agent next starts; the new certificate works all the same."""
        try:
            gone = self._retire()
        except AgentError as error:
            self._tell("superseded_not_removed", reason=error.detail, hint=error.advice)
        else:
            for order in gone:
                self._tell("superseded_removed", order=order)

    def _tell_refused(self, job_id: str, trace_id: str, error: ServerRefused) -> None:
        self._tell("report_refused", job=job_id, trace=trace_id, reason=error.detail, hint=error.advice)

    def _refuse_unknown(self, job: UnknownJob) -> None:
        body = Failed(
            code=FailureCode.INTERNAL,
            detail="This agent is too old for what the server asks",
            advice="Update the agent, then enroll again.",
        )
        try:
            self._post(Report(job_id=job.job_id, body=body), job.trace_id)
        except ServerRefused as error:
            self._tell_refused(job.job_id, job.trace_id, error)

    def _post(self, report: Report, trace_id: str) -> str:
        while True:
            with self._retrying():
                receipt = self._client.report(self._tokens.current(), report, trace_id)
                self._reached()
                return receipt.order_state

    def _reached(self) -> None:
        self._backoff.reset()
        self._tokens.accepted()
        self._give_up_at = None

    @contextmanager
    def _retrying(self, *, idly: bool = False) -> Iterator[_Attempt]:
        """One attempt at the server. What may work later is waited out, `idly` if there is nothing to tell it; a
        refused token is renewed once in a row."""
        attempt = _Attempt()
        try:
            yield attempt
        except ServerUnreachable as error:
            attempt.failure = error
            if time.monotonic() >= min(self._give_up_at or math.inf, self._useless_at):
                raise
            with self._quiet.lull(self._idle()) if idly else nullcontext():
                self._wait_for_server(error, error.retry_after)
        except ServerRefused as error:
            if not error.problem and self._give_up_at is None and time.monotonic() < self._useless_at:
                # not Keystead's answer: a proxy or a captive portal stands in the way, and may go
                attempt.failure = error
                self._wait_for_server(error)
                return
            if error.status != 401 or not self._tokens.refused():
                raise
            attempt.failure = error

    def _wait_for_server(self, error: AgentError, retry_after: float = 0.0) -> None:
        wait = self._backoff.next(retry_after)
        self._tell("unreachable", reason=error.detail, hint=error.advice, retry_in=round(wait, 1))
        self._stop.sleep(wait)


class _Attempt:
    """How one attempt went."""

    failure: Exception | None = None
