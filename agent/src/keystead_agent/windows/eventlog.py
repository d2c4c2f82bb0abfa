"""Windows' event log (Application, source "Keystead Agent"): what an administrator looks for there, in sentences.

The texts are whole in the event; the installer names EventCreate.exe as the source's message file, whose messages 1 to
1000 are the text that they are given.
"""

from __future__ import annotations

import ctypes
import json
import logging
from dataclasses import dataclass
from typing import Protocol

from keystead_agent.windows._advapi32 import EVENTLOG_ERROR, EVENTLOG_INFORMATION, EVENTLOG_WARNING, advapi32

SOURCE = "Keystead Agent"
LONGEST_TEXT = 16_000
"""Characters; ReportEventW takes 31,839."""


@dataclass(frozen=True)
class Entry:
    """One entry: `number` tells its kind to programs and stays for ever."""

    number: int
    kind: int
    text: str


_KNOWN: dict[str, tuple[int, int, str]] = {
    "started": (1, EVENTLOG_INFORMATION, "The service works."),
    "stopped": (2, EVENTLOG_INFORMATION, "The service was stopped."),
    "not_registered": (
        3,
        EVENTLOG_INFORMATION,
        "This computer is not registered as a device. Register it: keystead-agent register https://SERVER "
        "--token-file FILE. Until then the service does what its users' links ask for.",
    ),
    "link_accepted": (10, EVENTLOG_INFORMATION, "A user's link for a certificate of this computer is worked on."),
    "enrolled": (11, EVENTLOG_INFORMATION, "A certificate was installed."),
    "job_reported": (12, EVENTLOG_INFORMATION, "A server's job was done."),
    "local_request_refused": (20, EVENTLOG_WARNING, "A local request was refused."),
    "local_request_dropped": (21, EVENTLOG_WARNING, "What came over the local pipe was no request."),
    "enrollment_failed": (22, EVENTLOG_WARNING, "An enrollment that was interrupted could not be finished."),
    "job_failed": (23, EVENTLOG_WARNING, "A server's job could not be done."),
    "warned": (24, EVENTLOG_WARNING, "Something did not go as it should; the service goes on."),
    "failed": (30, EVENTLOG_ERROR, "The service cannot work for the server now; it tries again."),
    "not_started": (31, EVENTLOG_ERROR, "The service could not start."),
    "crashed": (32, EVENTLOG_ERROR, "The service met an error that it does not know, and ended."),
    "stumbled": (33, EVENTLOG_ERROR, "A piece of work met an error that the agent does not know; the service goes on."),
}


def entry_of(event: str, fields: dict[str, object]) -> Entry | None:
    """What the event log says of `event`; None for what is not an administrator's business, such as a connection."""
    if event == "job_reported" and fields.get("outcome") == "failed":
        event = "job_failed"
    if event not in _KNOWN:
        return None
    number, kind, sentence = _KNOWN[event]
    lines = (f"{name}: {json.dumps(str(value), ensure_ascii=False)}" for name, value in fields.items())
    text = "\r\n".join((sentence, *lines))
    return Entry(number, kind, text.replace("\0", "").replace("%", "\N{FULLWIDTH PERCENT SIGN}")[:LONGEST_TEXT])


class Log(Protocol):
    """Where entries go."""

    def write(self, entry: Entry) -> None:
        """Writes it. Never raises: a full log is no reason not to work."""


class EventLog:
    """The log of this computer."""

    def write(self, entry: Entry) -> None:
        """See `Log`."""
        log = advapi32.result("RegisterEventSourceW", None, SOURCE)
        if not log:
            return
        texts = (ctypes.c_wchar_p * 1)(entry.text)
        advapi32.result("ReportEventW", log, entry.kind, 0, entry.number, None, 1, 0, texts, None)
        advapi32.result("DeregisterEventSource", log)


class LogHandler(logging.Handler):
    """What the agent's modules log, with the traceback of what crashed, as entries."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._teller = LogTeller(log)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record."""
        self._teller("stumbled" if record.levelno >= logging.ERROR else "warned", reason=self.format(record))


def log_to_event_log() -> None:
    """From now on, what this process's modules log is in the event log of this computer."""
    logging.getLogger("keystead_agent").addHandler(LogHandler(EventLog()))


class LogTeller:
    """Tells what happens to the event log; see `telling.Tell`."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, event: str, /, **fields: object) -> None:
        entry = entry_of(event, fields)
        if entry is not None:
            self._log.write(entry)
