"""Look once more for the machines of rows that wait; `Transaction.machine_came` is what finds them as they come."""

from __future__ import annotations

from keystead_enroll.domain.orders import spellings
from keystead_enroll.ports import Transactions

BATCH = 1000


class LateMachines:
    """Looks once more at all rows that wait: a row that was read at the very moment at which its machine registered may
    have missed it. Remembers how far it has come; a process that begins anew begins with the first."""

    def __init__(self) -> None:
        self._behind = ("", 0)

    def look(self, transactions: Transactions) -> int:
        """One batch; how many rows were looked at, 0 at the end: then it begins again."""
        with transactions.write() as tx:
            rows = tx.waiting_rows(self._behind, BATCH)
            if not rows:
                self._behind = ("", 0)
                return 0
            self._behind = (rows[-1].job_id, rows[-1].line)
            found: dict[tuple[str, int], str] = {}
            for place in {row.organization_id for row in rows}:
                theirs = [row for row in rows if row.organization_id == place]
                eks = {row.ek_sha256 for row in theirs if row.ek_sha256}
                names = {said for row in theirs if row.by_name for said in spellings(row.device_name)}
                by_ek = {device.ek_sha256: device.id for device in tx.devices_with_tpms(place, eks)}
                by_name: dict[str, list[str]] = {}
                for device in tx.devices_called(place, names):
                    by_name.setdefault(device.name.lower(), []).append(device.id)
                for row in theirs:
                    called = by_name.get(row.device_name, []) if row.by_name else []
                    machine = by_ek.get(row.ek_sha256) or (called[0] if len(called) == 1 else None)
                    if machine:
                        found[(row.job_id, row.line)] = machine
            if found:
                tx.rows_found(found)
                tx.ring()
        return len(rows)
