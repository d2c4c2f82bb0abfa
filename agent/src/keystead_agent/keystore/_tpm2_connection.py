"""One operation on the TPM: wait for the turn, open, check, work, flush, close.

Nothing stays open or loaded between operations: a raw TPM (swtpm, /dev/tpm0) serves one connection at a time and
holds as few as three loaded objects.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tpm2_pytss.constants import TPM2_SU
from tpm2_pytss.ESAPI import ESAPI
from tpm2_pytss.TSS2_Exception import TSS2_Exception

from keystead_agent.errors import AgentBusy, TpmBusy, TpmFailed, TpmFull, TpmMissing
from keystead_agent.files import locked
from keystead_agent.keystore import _tpm2_errors as rc
from keystead_agent.keystore._tpm2_objects import handles

T = TypeVar("T")
TRANSIENT_FIRST = 0x80000000
SESSION_FIRST = 0x02000000
MOST_HANDLES = 64
LOCK_PATIENCE = 60.0
"""Seconds to wait for other processes of the agent; making an RSA key takes a hardware TPM that long."""


class TpmConnection:
    """Runs operations on the TPM that `tcti` names, one at a time among all processes that share `lock_file`.

    `start_limit` seconds is the most that opening may take (a TPM in failure mode, or one that another program
    holds, may never answer); for `patience` seconds a busy, full or absent TPM is tried again. Only making a key,
    and what is asked for one, makes the lock file: whoever only looks leaves nothing on the disk.
    """

    def __init__(self, tcti: str, lock_file: Path, *, start_limit: float = 10.0, patience: float = 3.0) -> None:
        self._tcti = tcti
        self._lock_file = lock_file
        self._start_limit = start_limit
        self._patience = patience

    def run(self, doing: str, operation: Callable[[Any], T]) -> T:
        """What `operation` answers, given an open ESAPI context. `doing` names it in errors (`_tpm2_errors`)."""
        self._require_device()
        deadline = time.monotonic() + self._patience
        pause = 0.05
        while True:
            try:
                with self._open(doing) as esys:
                    return operation(esys)
            except TSS2_Exception as error:
                failure = rc.explain(int(error.rc), doing, str(error), self._tcti)
                if not isinstance(failure, TpmBusy | TpmFull | TpmMissing) or time.monotonic() + pause > deadline:
                    raise failure from error
            time.sleep(pause)
            pause = min(pause * 2, 0.5)

    def _require_device(self) -> None:
        name, _, conf = self._tcti.partition(":")
        if name != "device":
            return
        device = Path(conf or "/dev/tpmrm0")
        if not device.exists():
            raise rc.missing(f"there is no TPM at {device}", self._tcti)
        if not os.access(device, os.R_OK | os.W_OK):
            raise TpmMissing(
                f"this account may not use the TPM at {device}",
                "Add the account to the group that owns it, usually tss: usermod -aG tss USER, then sign in again.",
            )

    @contextmanager
    def _open(self, doing: str) -> Iterator[Any]:
        with locked(self._lock_file, patience=LOCK_PATIENCE, create=doing in (rc.MAKING, rc.ENDORSING)) as lock:
            if lock is None:
                raise AgentBusy("another keystead-agent is using the TPM", "Try again in a moment.")
            esys = self._start(doing)
            try:
                _flush_left_behind(esys, lock)
                try:
                    yield esys
                except TSS2_Exception:
                    _flush_left_behind(esys, lock)
                    raise
                os.ftruncate(lock, 0)
            finally:
                esys.close()

    def _start(self, doing: str) -> Any:
        """An open context on a TPM that works. The opening runs in a thread of its own because the TSS cannot be
        told to give up: a thread that is late closes what it opened and ends."""
        attempt = _Attempt(self._tcti)
        thread = threading.Thread(target=attempt.run, name="tpm-start", daemon=True)
        thread.start()
        thread.join(self._start_limit)
        esys, error = attempt.result()
        if error is not None:
            raise error
        if esys is None:
            raise TpmFailed(
                f"the TPM did not answer within {self._start_limit:.0f} seconds while {doing}", rc.FAILED_ADVICE
            )
        return esys


class _Attempt:
    """One try at opening a context, that its owner may stop waiting for."""

    def __init__(self, tcti: str) -> None:
        self._tcti = tcti
        self._mutex = threading.Lock()
        self._abandoned = False
        self._esys: Any = None
        self._error: Exception | None = None

    def run(self) -> None:
        esys = None
        try:
            esys = ESAPI(self._tcti)
            _require_working(esys)
        except Exception as error:
            if esys is not None:
                esys.close()
            self._error = error
            return
        with self._mutex:
            self._esys = esys
            if self._abandoned:
                esys.close()

    def result(self) -> tuple[Any, Exception | None]:
        with self._mutex:
            self._abandoned = self._esys is None
            return self._esys, self._error


def _require_working(esys: Any) -> None:
    """Starts the TPM if nothing did. Raises TpmFailed if its self-test failed (TPM 2.0 Part 3 section 10.4)."""
    try:
        _, result = esys.get_test_result()
    except TSS2_Exception as error:
        if rc.error_code(int(error.rc)) != rc.INITIALIZE:
            raise
        esys.startup(TPM2_SU.CLEAR)
        _, result = esys.get_test_result()
    if int(result) not in (0, rc.NEEDS_TEST, rc.TESTING):
        raise TpmFailed(f"the TPM's self-test failed (0x{int(result):x})", rc.FAILED_ADVICE)


def transient_handles(esys: Any) -> set[int]:
    """The handles of the objects that are loaded, as this connection sees them."""
    return {handle for handle in handles(esys, TRANSIENT_FIRST, MOST_HANDLES) if handle >> 24 == 0x80}


def _loaded_handles(esys: Any) -> set[int]:
    """Those of objects, and of HMAC (0x02) and policy sessions (0x03)."""
    sessions = {handle for handle in handles(esys, SESSION_FIRST, MOST_HANDLES) if handle >> 24 in (0x02, 0x03)}
    return transient_handles(esys) | sessions


def _flush_left_behind(esys: Any, lock: int) -> None:
    """Flushes what a killed predecessor left loaded. While an operation runs, the lock file lists the objects and
    sessions that were loaded before it; a list that is still there tells that it was killed, and what was not its own.
    A resource manager flushes by itself: then both lists are empty."""
    before = os.pread(lock, 4096, 0)
    loaded = _loaded_handles(esys)
    if before:
        for handle in loaded - set(json.loads(before)):
            esys.flush_context(esys.tr_from_tpmpublic(handle))
            loaded.discard(handle)
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(sorted(loaded)).encode(), 0)
