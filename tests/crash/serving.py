"""The process that is killed: it opens, says what it finds, and works until the end."""

from __future__ import annotations

import asyncio
import random
import time

import attrs

from pods import (
    Agent,
    AgentRef,
    Host,
    PodRef,
    Store,
    add_node,
    eager,
    lazy,
    remove_node,
)

from .agents import (
    TIMERS,
    Bump,
    Count,
    Homes,
    Look,
    Mail,
    Meter,
    PartitionBacklog,
    Post,
    Team,
    homes,
)
from .events import Say
from .stalls import Stopwatch

__all__ = ["KEYS", "PARTITIONS", "TIMES", "serve"]

PARTITIONS = ("acme", "globex")
KEYS = ("a", "b")
_NAMES = tuple(f"n{number}" for number in range(4))
_DECLARED = ("lead", "helper")
TIMES = ("open-wall", "look-wall", "open-work", "look-work")
"""Events that say how many microseconds something took."""
_POST = "post"
_POSTED = 10.0
"""Seconds after which a letter that has not come is lost."""


async def serve(url: str, store: Store | None, say: Say, seed: int) -> None:
    """Open the store, say all that is there, then work until somebody kills it.

    Args:
        url: which store.
        store: a store object instead, for planted mistakes.
        say: where to report.
        seed: of what the customers do; 0: look only, then close in order.
    """
    watch = Stopwatch()
    async with Host(url, store=store) as host:
        say("open-wall", number=watch.wall())
        say("opened")
        say("open-work", number=watch.work())
        work = _Work(homes(host), say, random.Random(seed))
        await work.look()
        say("look-wall", number=watch.wall())
        say("looked")
        say("look-work", number=watch.work())
        if not seed:
            return
        async with asyncio.TaskGroup() as group:
            for partition in PARTITIONS:
                for key in KEYS:
                    group.create_task(work.count(partition, key))
                group.create_task(work.change(partition))
                group.create_task(work.post(partition))


@attrs.define(eq=False)
class _Work:
    """What is looked at and asked; each instance has one customer at a time."""

    homes: Homes
    say: Say
    dice: random.Random
    totals: dict[tuple[str, str], int] = attrs.field(factory=dict[tuple[str, str], int])

    async def look(self) -> None:
        """Say what every instance and every topology holds."""
        async with asyncio.TaskGroup() as group:
            for partition in PARTITIONS:
                group.create_task(self._look_at(partition))

    async def count(self, partition: str, key: str) -> None:
        """Let one instance count for ever; now and then it hibernates in between."""
        while True:
            meter = await self.homes.meters.get(key, partition=partition)
            for _ in range(self.dice.randint(1, 12)):
                await self._bump(meter, partition, key)
            await self.homes.meters.stop(key, partition=partition)

    async def change(self, partition: str) -> None:
        """Add nodes to a pod, let them count, and take them away again, for ever."""
        while True:
            team = await Team.get(self.homes.teams, "team", partition=partition)
            name = self.dice.choice(_NAMES)
            if (partition, name) in self.totals:
                await self._remove(team, partition, name)
            else:
                await self._add(team, partition, name)
            if not self.dice.randrange(6):
                await team.stop()

    async def post(self, partition: str) -> None:
        """Send letters and set timers; now and then their receiver hibernates."""
        homes = self.homes
        sender = await homes.senders.get(_POST, partition=partition)
        while True:
            total = self.totals[partition, _POST] + 1
            self.say("begun", partition, _POST, total)
            reply = await sender.ask(Post(self.dice.uniform(0, 0.02)))
            self.say("acked", partition, _POST, reply)
            self.totals[partition, _POST] = reply
            if not self.dice.randrange(10):
                await homes.receivers.stop(_POST, partition=partition)

    async def _add(self, team: PodRef[Team], partition: str, name: str) -> None:
        make = self.dice.choice((eager, lazy))
        self.say("adding", partition, name)
        await team.mutate([add_node(name, make(Meter, manager="meters"))])
        self.say("added", partition, name)
        self.totals[partition, name] = 0
        node = await team.ensure_node(name)
        for _ in range(self.dice.randint(0, 3)):
            await self._bump(node, partition, name)

    async def _remove(self, team: PodRef[Team], partition: str, name: str) -> None:
        self.say("removing", partition, name)
        await team.mutate([remove_node(name)])
        self.say("removed", partition, name)
        del self.totals[partition, name]

    async def _bump(self, ref: AgentRef[Agent], partition: str, subject: str) -> None:
        total = self.totals[partition, subject] + 1
        self.say("begun", partition, subject, total)
        reply = await ref.ask(Bump())
        self.say("acked", partition, subject, reply)
        self.totals[partition, subject] = reply

    async def _look_at(self, partition: str) -> None:
        for key in KEYS:
            meter = await self.homes.meters.get(key, partition=partition)
            await self._see(meter, partition, key)
        await self._read_mail(partition)
        team = await Team.get(self.homes.teams, "team", partition=partition)
        await team.report()  # what a crash has interrupted is done now
        present = {node.name for node in await team.nodes()}
        for name in present:
            if name not in _DECLARED:
                self.say("node", partition, name)
            await self._see(await team.ensure_node(name), partition, name)
        for stored in await self.homes.meters.keys(partition=partition):
            if isinstance(stored, tuple) and stored[-1] not in present:
                self.say("stray", partition, str(stored[-1]))

    async def _read_mail(self, partition: str) -> None:
        """Wait until all that was sent has come, and see that nothing came twice."""
        sender = await self.homes.senders.get(_POST, partition=partition)
        await self._see(sender, partition, _POST)
        sent = self.totals[partition, _POST]
        receiver = await self.homes.receivers.get(_POST, partition=partition)
        wanted = Mail(PartitionBacklog(sent), PartitionBacklog(sent // TIMERS))
        until = time.monotonic() + _POSTED
        while (mail := await receiver.ask(Count())) != wanted:
            if mail.letters.twice or mail.timers.twice or mail.letters.low > sent:
                self.say("twice", partition, "mail", sent)
                return
            if time.monotonic() > until:
                self.say("missing", partition, "mail", sent - mail.letters.low)
                return
            await asyncio.sleep(0.001)

    async def _see(self, ref: AgentRef[Agent], partition: str, subject: str) -> None:
        sight = await ref.ask(Look())
        self.totals[partition, subject] = sight.total
        self.say("found", partition, subject, sight.total)
        if not sight.whole:
            self.say("wrong", partition, subject, sight.total)
