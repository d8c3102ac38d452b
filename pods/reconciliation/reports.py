"""What ``reconcile`` and ``mutate`` did, as values.

A report is bounded: it has at most one line per node, a failure keeps a short text and
no exception, and the printed table ends after ``MAX_LINES`` lines.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "MAX_LINES",
    "Failure",
    "MutationReport",
    "NodeResult",
    "ReconcileReport",
    "Source",
]

MAX_LINES = 50
"""Most nodes that the printed form of a report names."""

_MAX_TEXT = 300


class Source(enum.Enum):
    """Where a node that runs now came from."""

    STARTED = "started"
    RUNNING = "running"
    ADOPTED = "adopted"


@attrs.frozen
class NodeResult:
    """A node that runs now, and where it came from."""

    name: str
    source: Source


@attrs.frozen
class Failure:
    """Why a node did not come up, or did not stop.

    Attributes:
        error: name of the exception's type.
        text: its text in one line, 300 characters at most.
    """

    error: str
    text: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Keep of an exception what a report needs; not its traceback and frames."""
        text = " ".join(str(error)[: 2 * _MAX_TEXT].split())
        if len(text) > _MAX_TEXT:
            text = f"{text[: _MAX_TEXT - 1]}…"
        return cls(type(error).__name__, text)

    def __str__(self) -> str:
        return f"{self.error}: {self.text}" if self.text else self.error


def _frozen(failures: Mapping[str, Failure]) -> Mapping[str, Failure]:
    return MappingProxyType(dict(failures))


@attrs.frozen(kw_only=True)
class ReconcileReport:
    """What one reconciliation of a pod did.

    Attributes:
        requested: names of the nodes that were asked for.
        waves: names of the nodes, as they were planned.
        nodes: the nodes that run now.
        failures: why a node does not run, by its name.
        pending: nodes that were left alone because one before them does not run.
    """

    requested: tuple[str, ...] = ()
    waves: tuple[tuple[str, ...], ...] = ()
    nodes: tuple[NodeResult, ...] = ()
    failures: Mapping[str, Failure] = attrs.field(
        factory=dict[str, Failure], converter=_frozen
    )
    pending: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every node that was asked for runs now."""
        return not self.failures and not self.pending

    @property
    def completed(self) -> tuple[str, ...]:
        """Names of the nodes that run now."""
        return tuple(result.name for result in self.nodes)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the nodes that do not run."""
        return tuple(self.failures)

    def __str__(self) -> str:
        head = (
            f"{'ok' if self.ok else 'not ok'}: {len(self.nodes)} running, "
            f"{len(self.failures)} failed, {len(self.pending)} pending, "
            f"{len(self.waves)} waves"
        )
        rows = [(name, "failed", str(why)) for name, why in self.failures.items()]
        rows += [(name, "pending", "") for name in self.pending]
        rows += [(result.name, result.source.value, "") for result in self.nodes]
        return _table(head, rows)


@attrs.frozen(kw_only=True)
class MutationReport:
    """What one mutation of a pod did; the new topology is durable in any case.

    Attributes:
        added: names of the nodes that the topology has got.
        removed: names of the nodes that it has lost, owned ones with their owners.
        started: names of the added nodes that run now; a lazy one waits to be asked.
        stopped: names of the removed nodes that have stopped.
        failures: why a node did not start or stop, by its name; the next
            reconciliation tries again.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    failures: Mapping[str, Failure] = attrs.field(
        factory=dict[str, Failure], converter=_frozen
    )

    @property
    def ok(self) -> bool:
        """Whether every node that had to start or stop did so."""
        return not self.failures

    def __str__(self) -> str:
        head = (
            f"{'ok' if self.ok else 'not ok'}: {len(self.added)} added, "
            f"{len(self.removed)} removed, {len(self.started)} started, "
            f"{len(self.stopped)} stopped, {len(self.failures)} failed"
        )
        rows = [(name, "failed", str(why)) for name, why in self.failures.items()]
        started, stopped = set(self.started), set(self.stopped)
        rows += [(n, "removed", _also(n, stopped, "stopped")) for n in self.removed]
        rows += [(n, "added", _also(n, started, "started")) for n in self.added]
        return _table(head, rows)


def _also(name: str, names: set[str], word: str) -> str:
    return word if name in names else ""


def _table(head: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """Lay rows out in columns, the important ones first and not too many."""
    every = list(rows)
    shown = every[:MAX_LINES]
    width = max((len(name) for name, _, _ in shown), default=0)
    lines = [
        f"  {name:<{width}}  {what:<8}  {why}".rstrip() for name, what, why in shown
    ]
    if len(every) > len(shown):
        lines.append(f"  and {len(every) - len(shown)} more")
    return "\n".join([head, *lines])
