"""What was acknowledged, and whether what is found after a crash agrees with it.

It is pure: it takes the events of one process after the other and counts what must not
be. A process that is killed leaves begun work of which nobody knows the outcome; each
piece of it may be found done or not done, but nothing else.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from .events import Event

__all__ = ["Ledger"]

Subject: TypeAlias = tuple[str, str]


@attrs.define
class _Count:
    acked: int = 0
    begun: int = 0
    refused: bool = False


@attrs.define(eq=False)
class Ledger:
    """The books of one run.

    Attributes:
        lost: acknowledged work that was not found.
        half: states and topologies that are no turn's, and work that nobody began.
        acked: acknowledged work.
        unsure: begun work that was found done although nobody was told.
        revived: refused work that was found done after a crash.
        looks: how often everything was found and compared.
        notes: what was wrong, in words; the first few.
    """

    lost: int = 0
    half: int = 0
    acked: int = 0
    unsure: int = 0
    revived: int = 0
    looks: int = 0
    notes: list[str] = attrs.field(factory=list[str])
    _counts: dict[Subject, _Count] = attrs.field(factory=dict[Subject, _Count])
    _nodes: dict[Subject, str] = attrs.field(factory=dict[Subject, str])
    _found: dict[Subject, int] = attrs.field(factory=dict[Subject, int])
    _found_nodes: set[Subject] = attrs.field(factory=set[Subject])

    def take(self, event: Event) -> None:
        """Enter an event of the process that runs now."""
        subject = (event.partition, event.subject)
        match event.kind:
            case "opened" | "found" | "node" | "looked":
                self._see(event.kind, subject, event.number)
            case "wrong" | "stray" | "missing" | "twice":
                self._complain(event.kind, subject, event.number)
            case "begun":
                count = self._counts.setdefault(subject, _Count())
                count.begun, count.refused = event.number, False
            case "refused":
                self._counts.setdefault(subject, _Count()).refused = True
            case "acked":
                self._acknowledge(subject, event.number)
            case "adding" | "removing":
                self._nodes[subject] = event.kind
            case _:
                self._change(event.kind, subject)

    def _see(self, kind: str, subject: Subject, number: int) -> None:
        match kind:
            case "opened":
                self._found.clear()
                self._found_nodes.clear()
            case "found":
                self._found[subject] = number
            case "node":
                self._found_nodes.add(subject)
            case _:
                self._compare()

    def _complain(self, kind: str, subject: Subject, number: int) -> None:
        match kind:
            case "wrong":
                self._wrong("half", f"{subject}: the state is no turn's")
            case "missing":
                self._wrong("lost", f"{subject}: {number} letters, or timers")
            case "twice":
                self._wrong("half", f"{subject}: more has come than the {number} sent")
            case _:
                self._wrong("half", f"{subject}: a row of a removed node")

    def _change(self, kind: str, node: Subject) -> None:
        if kind == "added":
            self._nodes[node] = "in"
        else:
            self._forget(node)
        self.acked += 1

    def _acknowledge(self, subject: Subject, number: int) -> None:
        count = self._counts[subject]
        if number != count.begun:
            self._wrong("half", f"{subject}: answered {number}, not {count.begun}")
        count.acked = count.begun = number
        self.acked += 1

    def _compare(self) -> None:
        self.looks += 1
        self._compare_nodes()
        for subject, found in self._found.items():
            count = self._counts.setdefault(subject, _Count())
            if found < count.acked:
                self.lost += count.acked - found - 1
                self._wrong("lost", f"{subject}: {found} of {count.acked}")
            elif found > count.begun:
                self._wrong("half", f"{subject}: {found}, begun were {count.begun}")
            if found > count.acked:
                self.revived += count.refused
                self.unsure += not count.refused
            count.acked = count.begun = found
        for subject in self._counts.keys() - self._found.keys():
            if self._counts[subject].acked:
                self._wrong("lost", f"{subject}: it was not found")
            del self._counts[subject]

    def _compare_nodes(self) -> None:
        for subject, state in list(self._nodes.items()):
            found = subject in self._found_nodes
            if state == "in" and not found:
                self._wrong("lost", f"{subject}: an added node is gone")
            if found:
                self._nodes[subject] = "in"
            else:
                self._forget(subject)
        for subject in self._found_nodes - self._nodes.keys():
            self._wrong("half", f"{subject}: nobody added it, or it was removed")
            self._nodes[subject] = "in"

    def _forget(self, node: Subject) -> None:
        self._nodes.pop(node, None)
        self._counts.pop(node, None)

    def _wrong(self, what: str, note: str) -> None:
        setattr(self, what, getattr(self, what) + 1)
        if len(self.notes) < 20:
            self.notes.append(f"{what}: {note}")
