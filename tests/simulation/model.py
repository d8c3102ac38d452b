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

    def begin(self, client: str, address: Address, source: str | None = None) -> str:
        """Name a new operation; ``source``: the one whose commit sends it."""
        number = len(self.operations)
        where = f"{address.partition}/{address.manager}/{address.key!r}"
        name = f"{source}>" if source else f"{number}@{where}"
        self.operations[name] = _Operation(address, client, source=source)
        return name

    def end(self, name: str, outcome: Outcome) -> None:
        """Note what its caller saw."""
        self.operations[name].outcome = outcome

    def addresses(self) -> list[Address]:
        """Return every address that an operation was meant for, once."""
        return list(dict.fromkeys(one.address for one in self.operations.values()))

    def check(self, reports: dict[Address, Report]) -> list[str]:
        """Hold what the ledgers say against what their callers saw."""
        found: list[str] = []
        for address, report in reports.items():
            found += self._check_one(address, report)
        entered = {name for report in reports.values() for name in report.entries}
        for name, operation in self.operations.items():
            if operation.address not in reports:
                continue
            gone = operation.address in self.removing
            if operation.outcome is Outcome.DONE and name not in entered and not gone:
                found.append(f"acknowledged and lost: {name}")
            if operation.outcome is Outcome.UNDONE and name in entered:
                found.append(f"refused and there all the same: {name}")
            source = operation.source
            if source is None or name not in entered:
                continue
            origin = self.operations[source].address
            if (
                source not in entered
                and origin in reports
                and origin not in self.removing
            ):
                found.append(f"sent by a turn that was never committed: {name}")
        return found

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
        return found + self._check_order(report)

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
