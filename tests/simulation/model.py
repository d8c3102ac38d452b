"""What must be true of the stored state, whatever went wrong: pure bookkeeping.

Each operation has a name of its own, which the ledger that did it writes down. The
outcome that its caller saw says whether the name must be there, must not, or may.
"""

from __future__ import annotations

import enum
from collections import Counter

import attrs

from pods import Address

from .agents import Report

__all__ = ["Model", "Outcome"]


class Outcome(enum.Enum):
    """What the caller of an operation knows."""

    UNKNOWN = "unknown"
    """It was cancelled, timed out, or the store did not answer."""
    DONE = "done"
    """It was acknowledged."""
    UNDONE = "undone"
    """It was refused, or its handler failed."""


@attrs.define
class _Operation:
    address: Address
    client: str
    outcome: Outcome = Outcome.UNKNOWN
    source: str | None = None
    durable: bool = False
    timer: bool = False


@attrs.define(eq=False)
class Model:
    """Every operation of a run, and what became of the nodes that come and go.

    Attributes:
        operations: by name.
        nodes: what the last mutation that named a node said of it.
        removing: nodes whose removal was asked for: what they held may go.
    """

    operations: dict[str, _Operation] = attrs.field(factory=dict[str, _Operation])
    nodes: dict[Address, tuple[bool, Outcome]] = attrs.field(
        factory=dict[Address, tuple[bool, Outcome]]
    )
    removing: set[Address] = attrs.field(factory=set[Address])

    def begin(
        self,
        client: str,
        address: Address,
        source: str | None = None,
        *,
        durable: bool = False,
        timer: bool = False,
    ) -> str:
        """Name a new operation.

        Args:
            client: who asks for it.
            address: who is to do it.
            source: the operation whose commit sends it.
            durable: it is sent so that it arrives, whatever happens.
            timer: it sets the timer of its ledger, or calls it off.
        """
        number = len(self.operations)
        where = f"{address.partition}/{address.manager}/{address.key!r}"
        name = f"{source}>" if source else f"{number}@{where}"
        self.operations[name] = _Operation(
            address, client, source=source, durable=durable, timer=timer
        )
        return name

    def end(self, name: str, outcome: Outcome) -> None:
        """Note what its caller saw."""
        self.operations[name].outcome = outcome

    def addresses(self) -> list[Address]:
        """Return every address that an operation was meant for, once."""
        return list(dict.fromkeys(one.address for one in self.operations.values()))

    def missing(self, reports: dict[Address, Report]) -> list[str]:
        """Name the durable messages that were sent and have not arrived."""
        entered = _entered(reports)
        replaced = self._replaced(reports)
        return [
            name
            for name, operation in self.operations.items()
            if operation.durable
            and operation.source in entered - replaced
            and name not in entered
            and operation.address in reports
        ]

    def _replaced(self, reports: dict[Address, Report]) -> set[str]:
        """Name the operations whose timer a later one has taken the place of."""
        found: set[str] = set()
        for report in reports.values():
            set_by = [one for one in report.entries if self._sets_timer(one)]
            found.update(set_by[:-1])
        return found

    def _sets_timer(self, name: str) -> bool:
        operation = self.operations.get(name)
        return operation is not None and operation.timer

    def check(self, reports: dict[Address, Report]) -> list[str]:
        """Hold what the ledgers say against what their callers saw."""
        found = [f"sent durably and lost: {name}" for name in self.missing(reports)]
        for address, report in reports.items():
            found += self._check_one(address, report)
        entered = _entered(reports)
        for name, operation in self.operations.items():
            if operation.address in reports:
                found += self._check_outcome(name, operation, entered)
            if operation.source is not None and name in entered:
                found += self._check_source(name, operation.source, reports, entered)
        return found

    def _check_outcome(
        self, name: str, operation: _Operation, entered: set[str]
    ) -> list[str]:
        there = name in entered
        if operation.outcome is Outcome.DONE and not there:
            return [f"acknowledged and lost: {name}"]
        if operation.outcome is Outcome.UNDONE and there:
            return [f"refused and there all the same: {name}"]
        return []

    def _check_source(
        self, name: str, source: str, reports: dict[Address, Report], entered: set[str]
    ) -> list[str]:
        if source not in entered and self.operations[source].address in reports:
            return [f"sent by a turn that was never committed: {name}"]
        return []

    def _check_one(self, address: Address, report: Report) -> list[str]:
        found: list[str] = []
        if not report.count == report.checked == len(report.entries):
            found.append(f"half a turn at {address}: {report}")
        for name, times in Counter(report.entries).items():
            operation = self.operations.get(name)
            if operation is None or operation.address != address:
                found.append(f"at {address}, but not meant for it: {name}")
            if times > 1:
                found.append(f"done {times} times at {address}: {name}")
        return found + self._check_order(report) + self._check_timer(report)

    def _check_timer(self, report: Report) -> list[str]:
        """Find a timer that was handled after another one had taken its place."""
        latest = ""
        found: list[str] = []
        for name in report.entries:
            operation = self.operations.get(name)
            if self._sets_timer(name):
                latest = name
            elif operation is not None and operation.source is not None:
                source = operation.source
                if self._sets_timer(source) and source != latest:
                    found.append(f"replaced and handled all the same: {name}")
        return found

    def _check_order(self, report: Report) -> list[str]:
        """Find acknowledged operations of one client that are not in their order."""
        last: dict[str, int] = {}
        found: list[str] = []
        for name in report.entries:
            operation = self.operations.get(name)
            if operation is None or operation.outcome is not Outcome.DONE:
                continue
            number = int(name.split("@")[0])
            if number < last.get(operation.client, -1):
                found.append(f"out of order: {name}")
            last[operation.client] = number
        return found


def _entered(reports: dict[Address, Report]) -> set[str]:
    return {name for report in reports.values() for name in report.entries}
