"""A store whose medium can be made to fail, in front of any other store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from persistence import Claim, StoreError, StoreUnavailable, Unit
from persistence.testing import RelayStore

from .faults import Fault, Faults, When

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FaultyStore"]

_WRITES = frozenset({"apply", "claim"})
_UNTOUCHED = frozenset({"open", "close"})


@attrs.define(eq=False, repr=False)
class FaultyStore(RelayStore):
    """Passes every call on, unless it is made to fail or its process was killed.

    Attributes:
        faults: which of the calls fail; ``open`` and ``close`` never do.
        commits: transactions that the store below has carried out.
        killed: the process is gone: nothing reaches the store below any more.
        gate: calls wait until it is set, as it is at first; a slow medium.
    """

    faults: Faults = attrs.field(factory=Faults)
    commits: int = attrs.field(default=0, init=False)
    killed: bool = attrs.field(default=False, init=False)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _last: int | None = attrs.field(default=None, init=False)
    _late: Fault | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    def __repr__(self) -> str:
        return f"<FaultyStore {self.inner} commits={self.commits}>"

    def crash_after(self, commits: int) -> None:
        """Kill the process after so many more commits; no caller hears of the last.

        Args:
            commits: from 0 up; 0: the next one is not carried out any more.
        """
        self._last = self.commits + commits
        self.killed = commits <= 0

    async def passing(self, call: str, *partitions: str) -> None:
        """See a call before it reaches the store below; it may fail here.

        Raises:
            StoreUnavailable: the medium fails, or the process was killed.
        """
        if call in _UNTOUCHED:
            return
        await self.gate.wait()
        self._check(call)
        fault = self.faults.next()
        if fault is None:
            return
        if call not in _WRITES or fault.when is When.BEFORE:
            raise _refusal(call, fault)
        self._late = fault

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        answers = await super().apply(units)
        self.commits += 1
        self.killed = self.killed or self.commits == self._last
        self._told("apply")
        return answers

    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        claims = await super().claim(partitions)
        self._told("claim")
        return claims

    def _told(self, call: str) -> None:
        """Fail after the call has taken effect, if that is what was planned."""
        self._check(call)
        fault, self._late = self._late, None
        if fault is not None:
            raise _refusal(call, fault)

    def _check(self, call: str) -> None:
        if self.killed:
            raise StoreUnavailable(call, "the process was killed")


def _refusal(call: str, fault: Fault) -> StoreUnavailable:
    return StoreUnavailable(call, f"a fault was injected: {fault.trouble.value}")
