"""One run of a scenario on the real stack, repeatable by its seed.

::

    async def scenario(simulation: Simulation) -> None:
        async with simulation.host() as host:
            workers = host.manager("workers", Reviewer)
            ...
            await simulation.crash(host)
        async with simulation.host() as host:
            ...

    simulate(scenario, seed=7)

Hosts, SQLAlchemy, aiosqlite and SQLite are real, time and threads are not: a day of
virtual time takes milliseconds, and the same seed gives the same run.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tempfile
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import anyio
import anyio.to_thread
import attrs

from supervision import Host, HostPolicy

from .clocks import SimulatedClock
from .crash import abandon
from .driver import SimulatedDriver
from .loop import LoopPolicy, SimulatedLoop, Stalled

if TYPE_CHECKING:
    from .faults import Faults

T = TypeVar("T")

_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of a name of its own is made in it
_AFTERWARDS = 1.0
"""Virtual seconds that what is about to end gets for it."""
_ROUNDS = 5

__all__ = ["Scenario", "Simulation", "SimulationFailed", "simulate"]


class SimulationFailed(AssertionError):
    """A scenario failed with one of its seeds.

    Attributes:
        seed: the seed that shows it again.
        reason: what went wrong.
    """

    def __init__(self, seed: int, reason: str) -> None:
        super().__init__(seed, reason)
        self.seed = seed
        self.reason = reason

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.reason}"


@attrs.define(eq=False)
class Simulation:
    """What a scenario is given.

    Attributes:
        seed: what decides everything.
        random: for the scenario's own decisions.
        loop: the loop that everything runs on.
        driver: the databases.
        folder: where they are.
        jumped: seconds by which the wall clock was set.
    """

    seed: int
    loop: SimulatedLoop
    driver: SimulatedDriver
    random: Random
    folder: Path
    jumped: float = attrs.field(default=0.0, init=False)
    _life: int = attrs.field(default=0, init=False)
    _clocks: dict[Host, SimulatedClock] = attrs.field(
        factory=dict[Host, SimulatedClock], init=False
    )

    @property
    def faults(self) -> Faults:
        """What goes wrong with the storage."""
        return self.driver.faults

    @property
    def file(self) -> Path:
        """The database, as the present life of the process has it."""
        return self.folder / f"life-{self._life}.db"

    def host(self, policy: HostPolicy | None = None) -> Host:
        """Make a host on the database, not started yet."""
        clock = SimulatedClock(self.loop, jumped=self.jumped)
        host = Host(self.file, clock=clock, policy=policy)
        self._clocks[host] = clock
        return host

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back; the next process has it, too."""
        self.jumped += seconds
        for clock in self._clocks.values():
            clock.jump(seconds)

    async def crash(self, *hosts: Host) -> None:
        """Kill the process of some hosts; the next host finds what was on the disk.

        All hosts that are open must be given: they share the process.
        """
        before, self._life = self.file, self._life + 1
        self.driver.kill(before, self.file)
        for host in hosts:
            self._clocks.pop(host).kill()
        for host in hosts:
            await abandon(host)


Scenario: TypeAlias = Callable[[Simulation], Coroutine[object, object, T]]
"""What is run: it gets the simulation and may return anything."""


def simulate(
    scenario: Scenario[T],
    seed: int,
    *,
    policy: LoopPolicy | None = None,
    trace: Callable[[str], object] | None = None,
) -> T:
    """Run a scenario in a simulation of its own; call it outside of any event loop.

    Args:
        scenario: gets the simulation.
        seed: decides what runs when and how long everything takes.
        policy: what the loop does to the program.
        trace: called with a line for everything that happens.

    Raises:
        SimulationFailed: the scenario left a task or a connection behind, or a callback
            raised.
        Stalled: every task waits for another, or it does not end.
        Exception: whatever the scenario raised.
    """
    with tempfile.TemporaryDirectory(prefix="podvisor-", dir=_fast_folder()) as folder:
        loop = SimulatedLoop(Random(f"{seed}/loop"), policy)
        loop.trace = trace
        driver = SimulatedDriver(loop, Random(f"{seed}/driver"))
        simulation = Simulation(
            seed=seed,
            loop=loop,
            driver=driver,
            random=Random(f"{seed}/scenario"),
            folder=Path(folder),
        )
        with _quiet_collector(), driver.installed(), _threads_of(loop):
            return _run(simulation, scenario)


def _run(simulation: Simulation, scenario: Scenario[T]) -> T:
    loop = simulation.loop
    trouble: list[str] = []
    loop.set_exception_handler(lambda _, context: trouble.append(_told(context)))
    try:
        result = loop.run_until_complete(scenario(simulation))
        loop.run_until_complete(asyncio.sleep(_AFTERWARDS))
        trouble += [f"left behind: {task}" for task in loop.waiting()]
        driver = simulation.driver
        if driver.connections and not driver.delayed:  # a slow one closes by itself
            trouble.append(f"{driver.connections} connections left open")
    finally:
        _end(loop)
        simulation.driver.close()
        loop.close()
    if trouble:
        raise SimulationFailed(simulation.seed, "\n".join(trouble))
    return result


def _end(loop: SimulatedLoop) -> None:
    """Cancel what is left, so that it ends inside its loop."""
    loop.trace = None
    loop.hold = 0.0
    for _ in range(_ROUNDS):
        left = asyncio.all_tasks(loop)
        if not left:
            return
        for task in left:
            task.cancel()
        with contextlib.suppress(Stalled):
            loop.run_until_complete(asyncio.wait(left, timeout=_AFTERWARDS))


def _told(context: dict[str, object]) -> str:
    """Return the text of what asyncio's exception handler was given."""
    error = context.get("exception")
    return f"{context.get('message')}: {error!r}"


def _fast_folder() -> str | None:
    """Return a folder in memory, if the machine has one."""
    return str(_MEMORY) if _MEMORY.is_dir() else None


@contextmanager
def _quiet_collector() -> Generator[None]:
    """Keep the garbage collector from running at moments that no seed decides."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _threads_of(loop: SimulatedLoop) -> Generator[None]:
    """Run the work of anyio's threads on the loop in this block."""
    original = anyio.to_thread.run_sync

    async def run_sync(func: Callable[..., T], *args: object, **settings: object) -> T:
        if asyncio.get_running_loop() is not loop:
            return await original(func, *args, **settings)  # type: ignore[arg-type]  # as they came
        future = loop.run_in_executor(None, func, *args)
        with anyio.CancelScope(shield=not settings.get("abandon_on_cancel")):
            await asyncio.wait((future,))
        return future.result()

    anyio.to_thread.run_sync = run_sync
    try:
        yield
    finally:
        anyio.to_thread.run_sync = original
