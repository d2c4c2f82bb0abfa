"""What a worker does for bulk jobs: each a batch at a time, so that nothing else waits for long."""

from __future__ import annotations

from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.usecases.bulk.end_rows import end_cancelled, finish_jobs, forget_unfinished
from keystead_enroll.usecases.bulk.find_machines import LateMachines
from keystead_enroll.usecases.bulk.order_rows import order_rows
from keystead_enroll.usecases.bulk.read_rows import read_rows
from keystead_enroll.usecases.bulk.turns import Turns
from keystead_enroll.usecases.bulk.watch_jobs import watch_jobs


class BulkDuties:
    """The duties of one worker process. Each answers how much it did; 0: there is nothing left for now."""

    def __init__(self, transactions: Transactions, clock: Clock, origin: str, most_in_flight: int) -> None:
        self._transactions, self._clock, self._origin = transactions, clock, origin
        self._most_in_flight = most_in_flight
        self._reading, self._ordering, self._ending = Turns(), Turns(), Turns()
        self._late = LateMachines()

    def read(self) -> int:
        """Reads and checks rows."""
        return read_rows(self._transactions, self._clock, self._reading)

    def order(self) -> int:
        """Asks for certificates of rows whose machine is known."""
        return order_rows(self._transactions, self._clock, self._ordering, self._most_in_flight)

    def end(self) -> int:
        """Ends what was cancelled."""
        return end_cancelled(self._transactions, self._clock, self._ending, self._origin)

    def finish(self) -> int:
        """Marks jobs as finished."""
        return finish_jobs(self._transactions, self._clock)

    def late(self) -> int:
        """Looks for machines that registered while their rows were read."""
        return self._late.look(self._transactions)

    def watch(self) -> int:
        """Shows figures, and forgets files that never came whole."""
        forget_unfinished(self._transactions, self._clock)
        watch_jobs(self._transactions, self._clock)
        return 0

    def all(self) -> int:
        """Everything until nothing is left; how much that was."""
        done = 0
        while found := self.order() + self.read() + self.end() + self.finish():
            done += found
        return done
