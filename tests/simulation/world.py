"""One run: clients at work on a host that fails, dies and comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine

import anyio
import attrs

from persistence import Address
from pods import (
    Agent,
    AgentRef,
    Change,
    Host,
    HostPolicy,
    Message,
    PodRef,
    StoreError,
    add_node,
    eager,
    lazy,
    remove_node,
)
from pods.testing import Simulation

from .agents import (
    Do,
    DoSlowly,
    Fail,
    Forward,
    Ledger,
    Remind,
    Team,
    watch,
)
from .model import Model, Outcome
from .plan import Plan
from .process import LEFT_OPEN, REFUSED, Process

__all__ = ["World"]

_INSISTING = 4
_FAILED_STARTS = 3
"""Attempts after which a start is let succeed: it is a small part of the run."""


@attrs.define(eq=False)
class World:
    """The process of one run as its clients see it, and what they expect of it."""

    simulation: Simulation
    plan: Plan
    model: Model = attrs.field(factory=Model)
    life: int = 0
    settling: bool = False
    _process: Process | None = None
    _stale: Process | None = None
    _up: asyncio.Event = attrs.field(factory=asyncio.Event)
    _nodes: int = 0
    _mutating: dict[Address, asyncio.Lock] = attrs.field(
        factory=dict[Address, asyncio.Lock]
    )

    # The process.

    async def start(self) -> None:
        """Start a process on what is stored, again and again until it does."""
        process = None
        failed = 0
        while process is None:
            if failed == _FAILED_STARTS:
                self.simulation.faults.fail_at_random(self.simulation.random, 0.0)
            process = await self._try_to_start()
            failed += process is None
        self.trouble()
        self._process = process
        self._up.set()

    async def _try_to_start(self) -> Process | None:
        host = self.simulation.host(HostPolicy(shutdown_timeout=60.0))
        process = Process.of(host, self.plan)
        try:
            await host.__aenter__()
        except StoreError:
            await asyncio.sleep(0.1)
            return None
        return process

    def trouble(self) -> None:
        """Let the storage fail as often as the plan says."""
        plan, simulation = self.plan, self.simulation
        rate = 0.0 if self.settling else plan.fault_rate
        simulation.faults.fail_at_random(simulation.random, rate, plan.kinds)

    async def process(self) -> Process:
        """Return a process that runs, mostly the latest, as soon as there is one."""
        while self._process is None:
            await self._up.wait()
        if self._stale and self.simulation.random.random() < 0.5:
            return self._stale
        return self._process

    async def take_over(self) -> None:
        """Start a second process on the same rows, which the first does not notice."""
        if self._stale is None:
            self._stale, self._process = self._process, None
            self._up.clear()
            await self.start()

    async def retire(self) -> bool:
        """Stop the process that was taken over; say whether there was one.

        Much of what it has is refused, as it should be.
        """
        stale, self._stale = self._stale, None
        if stale is None:
            return False
        await stale.host.stop()
        return True

    def _take_down(self) -> Host:
        assert self._process is not None
        host, self._process = self._process.host, None
        self._up.clear()
        self.life += 1
        watch.clear()
        return host

    async def crash(self) -> None:
        """Kill the process, and one that it took over, and start another one."""
        hosts = [self._take_down()]
        if self._stale is not None:
            hosts.append(self._stale.host)
            self._stale = None
        await self.simulation.crash(*hosts)
        await self.start()

    async def stop(self) -> list[str]:
        """Stop the process in order; return what it could not do."""
        report = await self._take_down().stop()
        return [f"{address}: {why}" for address, why in report.unsaved + report.stuck]

    # The clients.

    async def client(self, name: str) -> None:
        """Do one thing after the other, some of them impatiently."""
        random = self.simulation.random
        works = [
            self._do, self._do, self._do_slowly, self._forward, self._forward,
            self._fail, self._insist, self._remind, self._draft,
            self._stop, self._list, self._team, self._node, self._node, self._mutate,
        ]  # fmt: skip
        for _ in range(self.plan.steps):
            work = random.choice(works)
            if random.random() < self.plan.impatience:
                await self._impatiently(work(name))
            else:
                await work(name)
            if random.random() < 0.3:
                await asyncio.sleep(random.random() * 2)

    async def _impatiently(self, work: Coroutine[object, object, None]) -> None:
        """Leave a call before it has ended, in one of the ways there are."""
        random = self.simulation.random
        seconds = random.expovariate(200.0)
        match random.randrange(3):
            case 0:
                with anyio.move_on_after(seconds):
                    await work
            case 1:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await work
            case _:
                task = asyncio.get_running_loop().create_task(work)
                await asyncio.wait((task,), timeout=seconds)
                task.cancel()
                await asyncio.wait((task,))
                if not task.cancelled():
                    task.result()

    async def _operate(
        self,
        client: str,
        address: Address,
        ref: AgentRef[Agent],
        make: Callable[[str], Message[object]],
    ) -> str:
        """Ask for an operation, and note what its caller learns of it."""
        name = self.model.begin(client, address)
        await self._ask_for(name, ref, make(name))
        return name

    async def _ask_for(
        self, name: str, ref: AgentRef[Agent], message: Message[object]
    ) -> None:
        life = self.life
        hurried = self.simulation.random.random() < 0.1
        try:
            await ref.ask(message, timeout=0.005 if hurried else None)
        except LEFT_OPEN:
            return
        except REFUSED:
            outcome = Outcome.UNDONE
        except Exception as error:
            if life != self.life:  # the process that was asked has gone
                return
            if str(error) != name:
                raise
            outcome = Outcome.UNDONE
        else:
            outcome = Outcome.DONE
        kept = self.plan.keeps_drafts or ref.address.manager != "drafts"
        if life == self.life and (kept or outcome is Outcome.UNDONE):
            self.model.end(name, outcome)

    def _anywhere(self) -> tuple[str, str]:
        random = self.simulation.random
        return random.choice(self.plan.partitions), random.choice(self.plan.keys)

    async def _ledger(self, client: str, make: Callable[[str], Message[object]]) -> str:
        partition, key = self._anywhere()
        ledgers = (await self.process()).ledgers
        try:
            ref = await ledgers.get(key, partition=partition)
        except LEFT_OPEN:
            return ""
        return await self._operate(client, ref.address, ref, make)

    async def _do(self, client: str) -> None:
        await self._ledger(client, Do)

    async def _draft(self, client: str) -> None:
        """Change a ledger that is saved later; what it was told may go in a crash."""
        partition, key = self._anywhere()
        address = Address(partition, "drafts", key)
        name = self.model.begin(client, address)
        drafts = (await self.process()).drafts
        messages = (Do(name), Fail(name), DoSlowly(name, 0.01))
        try:
            ref = await drafts.get(key, partition=partition)
        except LEFT_OPEN:
            return
        await self._ask_for(name, ref, self.simulation.random.choice(messages))

    async def _do_slowly(self, client: str) -> None:
        seconds = self.simulation.random.choice((0.0, 0.01, 1.0))
        await self._ledger(client, lambda name: DoSlowly(name, seconds))

    async def _fail(self, client: str) -> None:
        crash = self.simulation.random.random() < 0.5
        await self._ledger(client, lambda name: Fail(name, crash=crash))

    async def _forward(self, client: str) -> None:
        random = self.simulation.random
        target = random.choice(self.plan.keys)
        partition, key = self._anywhere()
        ledgers = (await self.process()).ledgers
        address = Address(partition, "ledgers", target)
        durable = random.random() < 0.7
        after = random.random() * 5 if durable and random.random() < 0.5 else None

        def make(name: str) -> Message[object]:
            self.model.begin(client, address, source=name, durable=durable)
            return Forward(name, "ledgers", target, durable, after)

        try:
            ref = await ledgers.get(key, partition=partition)
        except LEFT_OPEN:
            return
        await self._operate(client, ref.address, ref, make)

    async def _remind(self, client: str) -> None:
        """Set the timer of a ledger, or call it off."""
        random = self.simulation.random
        partition, key = self._anywhere()
        after = None if random.random() < 0.2 else random.choice((0.0, 0.01, 1.0, 9.0))
        address = Address(partition, "ledgers", key)
        name = self.model.begin(client, address, timer=True)
        if after is not None:
            self.model.begin(client, address, source=name, durable=True)
        ledgers = (await self.process()).ledgers
        try:
            ref = await ledgers.get(key, partition=partition)
        except LEFT_OPEN:
            return
        await self._ask_for(name, ref, Remind(name, after))

    async def _insist(self, client: str) -> None:
        """Ask again and again with one key until it is answered, once for all."""
        partition, key = self._anywhere()
        address = Address(partition, "ledgers", key)
        name = self.model.begin(client, address)
        for _ in range(_INSISTING):
            life = self.life
            try:
                ref = await (await self.process()).ledgers.get(key, partition=partition)
                await ref.ask(Do(name), idempotency_key=name)
            except (*LEFT_OPEN, *REFUSED):
                await asyncio.sleep(0.5)
            else:
                if life == self.life:
                    self.model.end(name, Outcome.DONE)
                    return

    async def _stop(self, client: str) -> None:
        partition, key = self._anywhere()
        process = await self.process()
        manager = self.simulation.random.choice((process.ledgers, process.teams))
        with contextlib.suppress(*LEFT_OPEN, *REFUSED):
            await manager.stop(key, partition=partition)

    async def _list(self, client: str) -> None:
        partition, _ = self._anywhere()
        ledgers = (await self.process()).ledgers
        with contextlib.suppress(*LEFT_OPEN):
            await ledgers.keys(partition=partition)
            await ledgers.stats(partition=partition)

    # The pods.

    async def pod(self, partition: str, key: str) -> PodRef[Team] | None:
        """Return a team, unless it cannot be had now."""
        teams = (await self.process()).teams
        try:
            return await Team.get(teams, key, partition=partition)
        except LEFT_OPEN:
            return None

    async def _team(self, client: str) -> None:
        pod = await self.pod(*self._anywhere())
        if pod is not None:
            await self._operate(client, pod.address, pod, Do)

    async def _node(self, client: str) -> None:
        pod = await self.pod(*self._anywhere())
        if pod is None:
            return
        random = self.simulation.random
        with contextlib.suppress(*LEFT_OPEN, *REFUSED):
            names = [n.name for n in (await pod.topology()).nodes if not n.pod]
            ref = await pod.ensure_node(random.choice(names))
            await self._operate(client, ref.address, ref, Do)

    async def _mutate(self, client: str) -> None:
        pod = await self.pod(*self._anywhere())
        if pod is None:
            return
        async with self._mutating.setdefault(pod.address, asyncio.Lock()):
            await self._mutate_alone(pod)

    async def _mutate_alone(self, pod: PodRef[Team]) -> None:
        random = self.simulation.random
        address = pod.address
        added = [
            node
            for node, (there, outcome) in self.model.nodes.items()
            if (there, outcome) == (True, Outcome.DONE)
            and node.key[:2] == (address.manager, address.key)
        ]
        if added and random.random() < 0.5:
            node = random.choice(added)
            self.model.removing.add(node)
            change: Change = remove_node(str(node.key[-1]))
            there = False
        else:
            self._nodes += 1
            name = f"n{self._nodes}"
            node = Address(
                address.partition, "ledgers", (address.manager, address.key, name)
            )
            make = random.choice((eager, lazy))
            change = add_node(name, make(Ledger, manager="ledgers"))
            there = True
        self.model.nodes[node] = (there, Outcome.UNKNOWN)
        life = self.life
        with contextlib.suppress(*LEFT_OPEN, *REFUSED):
            await pod.mutate([change])
            if life == self.life:
                self.model.nodes[node] = (there, Outcome.DONE)
