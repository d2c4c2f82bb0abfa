"""A bulk job's file as it comes over the network: never whole in memory, and gone again if it does not come whole."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from anyio import CancelScope, CapacityLimiter
from starlette.requests import ClientDisconnect

from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.bulk_file import CHUNK_OCTETS
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.bulk_inputs import BulkOptions
from keystead_enroll.domain.bulk_jobs import BulkFormat
from keystead_enroll.domain.bulk_text import Utf8
from keystead_enroll.usecases.admin.common import Once
from keystead_enroll.usecases.bulk import receive_file as verbs
from keystead_kit.problems import ProblemException
from keystead_kit.threads import in_thread

PARTS_AT_ONCE = 4
"""Parts that one transaction stores."""
T = TypeVar("T")


class BulkUpload:
    """Takes files in for one process; its work on the database is done in `threads`."""

    def __init__(self, enroll: Enroll, threads: CapacityLimiter) -> None:
        self._enroll, self._threads = enroll, threads

    async def receive(
        self,
        actor: Actor,
        wanted: BulkOptions,
        format: BulkFormat,
        content: AsyncIterator[bytes],
        *,
        key: str | None = None,
    ) -> verbs.Received:
        """The job of the file `content`; `key` is its Idempotency-Key. If the file breaks off, or is refused, nothing
        of it stays.

        Raises ProblemException 413 for more octets or lines than may be, and as `begin_job` and `finish_job`.
        """
        transactions, clock = self._enroll.transactions, self._enroll.clock
        job_id = await self._do(partial(verbs.begin_job, transactions, clock, actor, wanted, format))
        try:
            file_sha256 = await self._store(job_id, content)
            said = f"{wanted.model_dump_json(exclude={'rows'})}\n{file_sha256}"
            once = Once(key, hashlib.sha256(said.encode()).hexdigest()) if key else None
            return await self._do(partial(verbs.finish_job, transactions, clock, actor, job_id, file_sha256, once))
        except BaseException as error:
            with CancelScope(shield=True):
                await self._do(partial(verbs.give_up, transactions, job_id))
            if isinstance(error, ClientDisconnect):
                broken = Words("The file broke off."), Words("Send it again.")
                raise ProblemException(400, ProblemCode.MALFORMED, *broken) from error
            raise

    async def _store(self, job_id: str, content: AsyncIterator[bytes]) -> str:
        limits, most = self._enroll.settings, CHUNK_OCTETS
        whole, text, waiting = hashlib.sha256(), Utf8(), bytearray()
        position = octets = lines = 0
        async for piece in content:
            whole.update(piece)
            octets, lines = octets + len(piece), lines + piece.count(b"\n")
            if octets > limits.bulk_octets_limit:
                raise too_large(Words("{number} octets", number=f"{limits.bulk_octets_limit:,}"))
            if lines > limits.bulk_lines_limit:
                raise too_large(Words("{number} lines", number=f"{limits.bulk_lines_limit:,}"))
            waiting += text.feed(piece)
            while len(waiting) >= most * PARTS_AT_ONCE:
                position = await self._parts(job_id, position, waiting, PARTS_AT_ONCE)
        waiting += text.end()
        while waiting:
            position = await self._parts(job_id, position, waiting, PARTS_AT_ONCE)
        return whole.hexdigest()

    async def _parts(self, job_id: str, position: int, waiting: bytearray, count: int) -> int:
        size = CHUNK_OCTETS
        taken = bytes(waiting[: size * count])
        del waiting[: size * count]
        parts = [taken[begin : begin + size] for begin in range(0, len(taken), size)]
        enroll = self._enroll
        await self._do(partial(verbs.store_parts, enroll.transactions, enroll.clock, job_id, position, parts))
        return position + len(parts)

    async def _do(self, work: Callable[[], T]) -> T:
        return await in_thread(work, self._threads)


def too_large(most: str) -> ProblemException:
    """The refusal of a file that has more than may be."""
    return ProblemException(
        413, ProblemCode.TOO_LARGE, Words("The file has more than {most}.", most=most),
        Words("Split it, and send one part after the other."), headers={"connection": "close"},
    )  # fmt: skip
