"""A host for tests: its clock stands still, its store fails and dies on demand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from supervision import Agent, Host, HostPolicy, InstanceManager, Phase

from .clocks import FrozenClock
from .crash import abandon
from .isolation import check_isolation
from .store import FaultyStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from persistence import Store

    from .faults import Faults

__all__ = ["HostBench", "NotQuiet"]


_ON_ITS_WAY = frozenset({Phase.STARTING, Phase.READY, Phase.COMMITTING, Phase.STOPPING})
_PATIENCE = 5.0
_PAUSE = 0.002


class NotQuiet(AssertionError):
    """Instances of a host that stands still were still busy after five real seconds."""


class HostBench:
    """Starts hosts on the same rows, one after the other.

    ::

        async with bench as host:
            workers = host.manager("workers", Reviewer)
            ...
            host = await bench.crash_and_reopen()
            workers = host.manager_named("workers")

    Args:
        make: makes a store on the rows; called for every host.
        policy: the policy of every host.
    """

    def __init__(
        self, make: Callable[[], Store], policy: HostPolicy | None = None
    ) -> None:
        self._make = make
        self._policy = policy
        self._host: Host | None = None
        self._store: FaultyStore | None = None
        self.clock = FrozenClock()

    def __repr__(self) -> str:
        return f"<HostBench {self._host!r}>"

    async def __aenter__(self) -> Host:
        return await self._start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        host, self._host = self._host, None
        if host is not None:
            if self.store.killed:
                await self._bury(host)  # noqa: ASYNC102  as Host does
            else:
                await host.__aexit__(kind, error, traceback)  # noqa: ASYNC102  it shields itself

    @property
    def host(self) -> Host:
        """The host that runs now.

        Raises:
            RuntimeError: none does: enter the bench first.
        """
        if self._host is None:
            msg = "no host runs; write 'async with' around it"
            raise RuntimeError(msg)
        return self._host

    @property
    def store(self) -> FaultyStore:
        """The store of the host that runs now."""
        if self._store is None:
            msg = "no host runs; write 'async with' around it"
            raise RuntimeError(msg)
        return self._store

    @property
    def faults(self) -> Faults:
        """What goes wrong with the store."""
        return self.store.faults

    def crash_after(self, commits: int) -> None:
        """Kill the process after so many more commits; see ``FaultyStore``."""
        self.store.crash_after(commits)

    async def crash_and_reopen(self) -> Host:
        """Kill the host as ``kill -9`` does, and start another one with its managers.

        Returns:
            The new host, which finds what was committed and nothing else.
        """
        old = self.host
        self.store.killed = True
        await self._bury(old)
        return await self._start(old)

    async def reopen(self) -> Host:
        """Stop the host in order, and start another one with its managers."""
        old = self.host
        await old.__aexit__(None, None, None)
        return await self._start(old)

    async def advance(self, seconds: float) -> None:
        """Advance the time of the host, and wait until nothing in it is under way.

        Raises:
            NotQuiet: something still is, after five real seconds.
        """
        self.clock.advance(seconds)
        loop = asyncio.get_running_loop()
        end = loop.time() + _PATIENCE
        while busy := [
            str(one)
            for one in self.host.runtime.registries.instances()
            if one.phase in _ON_ITS_WAY
        ]:
            if loop.time() > end:
                raise NotQuiet("\n".join(busy))
            await asyncio.sleep(_PAUSE)

    async def assert_isolated(self, first: str, second: str) -> None:
        """Check that two partitions share nothing; see ``check_isolation``."""
        await check_isolation(self.host, first, second)

    async def _start(self, like: Host | None = None) -> Host:
        self._store = FaultyStore(self._make())
        host = Host(store=self._store, clock=self.clock, policy=self._policy)
        for name, manager in like.runtime.managers.items() if like else ():
            _declare(host, name, manager)
        self._host = await host.__aenter__()
        return host

    async def _bury(self, host: Host) -> None:
        self.clock.clear()
        await abandon(host)
        await self.store.close()


def _declare(host: Host, name: str, manager: InstanceManager[Agent]) -> None:
    info = manager.info
    host.manager(name, info.spec.agent, policy=info.policy)
