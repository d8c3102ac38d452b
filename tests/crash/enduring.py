"""A host on a disk that fails, heals and fails again, and is killed in between."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs

from pods import AgentRef, Host, InstanceManager, PodsError, StaleRevision, StoreError

from .agents import Bump, Look, Meter, homes
from .disks import Disk, disk_of
from .events import Event, Say
from .forks import forked
from .ledger import Ledger

__all__ = ["EnduranceReport", "endure_again_and_again"]

_PARTITIONS = ("acme", "globex", "initech")
_KEYS = ("a", "b")
_ASKS = 12
_ROUNDS = 3
_PATIENCE = 20.0


@attrs.frozen(kw_only=True)
class EnduranceReport:
    """Figures of a run.

    Attributes:
        processes: how many served, one after the other, on one file.
        killed: of these, by signal 9 while their disk failed.
        acked: acknowledged turns.
        refused: turns refused with a typed error.
        unsure: turns found done though nobody was told.
        revived: of the refused, those found done after a crash: the log had them, only
            their sync had failed.
        denied: of the refused, those that the same process finds done; must be 0.
        lost: acknowledged and not found; must be 0.
        half: found and no turn's, or begun by nobody; must be 0.
        untyped: errors that are not podvisor's; must be 0.
        stuck: instances that did not go on when the disk was well again; must be 0.
        hung: processes that did not end; must be 0.
        seconds: how long the run took.
        notes: what was wrong.
    """

    processes: int
    killed: int
    acked: int
    refused: int
    unsure: int
    revived: int
    denied: int
    lost: int
    half: int
    untyped: int
    stuck: int
    hung: int
    seconds: float
    notes: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        wrong = (self.lost, self.half, self.denied, self.untyped, self.stuck, self.hung)
        return not any(wrong) and self.refused > 0


def endure_again_and_again(
    folder: Path,
    how: str,
    processes: int,
    seed: int,
    *,
    progress: Callable[[], None] = lambda: None,
) -> EnduranceReport:
    """Let so many processes serve one file on a disk that fails.

    Args:
        folder: where the file is; nothing else may be in it.
        how: in which way the disk fails; see ``disk_of``.
        processes: how many; every other one is killed.
        seed: of the moments.
        progress: called after each.
    """
    began = time.monotonic()
    dice = random.Random(seed)
    ledger = Ledger()
    numbers: Counter[str] = Counter()
    for number in range(processes + 1):
        disk = disk_of(how, folder)
        disk.heal()
        rounds = _ROUNDS if number < processes else 0
        kill = number % 2 == 1 and rounds > 0
        wait = dice.uniform(0.1, 0.4) if kill else _PATIENCE
        with forked(functools.partial(_endure, folder, disk, rounds)) as child:
            for event in child.listen(time.monotonic() + wait):
                _enter(event, numbers, ledger)
            numbers["hung"] += not (kill or child.ended)
            for event in child.kill():
                _enter(event, numbers, ledger)
        progress()
    return EnduranceReport(
        processes=processes,
        killed=processes // 2,
        acked=ledger.acked,
        refused=numbers["refused"],
        unsure=ledger.unsure,
        revived=ledger.revived,
        denied=numbers["denied"],
        lost=ledger.lost,
        half=ledger.half,
        untyped=numbers["untyped"],
        stuck=numbers["stuck"],
        hung=numbers["hung"],
        seconds=time.monotonic() - began,
        notes=tuple(ledger.notes),
    )


def _enter(event: Event, numbers: Counter[str], ledger: Ledger) -> None:
    numbers[event.kind] += 1
    if event.kind not in ("denied", "untyped", "stuck"):
        ledger.take(event)


async def _endure(folder: Path, disk: Disk, rounds: int, say: Say) -> None:
    async with Host(folder / "crash.db") as host:
        say("opened")
        work = _Work(homes(host).meters, say)
        await work.each(work.look)
        say("looked")
        for _ in range(rounds):
            disk.fail()
            await work.each(work.ask)
            disk.heal()
            await work.each(work.resume)


@attrs.define(eq=False)
class _Work:
    meters: InstanceManager[Meter]
    say: Say
    totals: dict[tuple[str, str], int] = attrs.field(factory=dict[tuple[str, str], int])

    async def each(self, do: Callable[[str, str], Awaitable[None]]) -> None:
        """Do something with every instance at once."""
        async with asyncio.TaskGroup() as group:
            for partition in _PARTITIONS:
                for key in _KEYS:
                    group.create_task(self._guarded(do, partition, key))

    async def look(self, partition: str, key: str) -> None:
        """Say what an instance holds."""
        meter = await self.meters.get(key, partition=partition)
        sight = await meter.ask(Look())
        self.totals[partition, key] = sight.total
        self.say("found", partition, key, sight.total)
        if not sight.whole:
            self.say("wrong", partition, key, sight.total)

    async def ask(self, partition: str, key: str) -> None:
        """Ask while the disk fails; a refusal leaves what there was."""
        for number in range(_ASKS):
            try:
                if number % 4 == 3:
                    await self.meters.stop(key, partition=partition)
                meter = await self.meters.get(key, partition=partition)
                await self._bump(meter, partition, key)
            except StaleRevision:
                self.say("denied", partition, key)
                return
            except StoreError:
                self.say("refused", partition, key)

    async def resume(self, partition: str, key: str) -> None:
        """Ask once the disk is well again."""
        try:
            meter = await self.meters.get(key, partition=partition)
            sight = await meter.ask(Look())
            if sight.total != self.totals[partition, key]:
                self.say("wrong", partition, key, sight.total)
            await self._bump(meter, partition, key)
        except PodsError:
            self.say("stuck", partition, key)

    async def _bump(self, meter: AgentRef[Meter], partition: str, key: str) -> None:
        total = self.totals[partition, key] + 1
        self.say("begun", partition, key, total)
        self.totals[partition, key] = await meter.ask(Bump())
        self.say("acked", partition, key, self.totals[partition, key])

    async def _guarded(
        self, do: Callable[[str, str], Awaitable[None]], partition: str, key: str
    ) -> None:
        try:
            await do(partition, key)
        except Exception:  # noqa: BLE001  this is what is looked for
            self.say("untyped", partition, key)
