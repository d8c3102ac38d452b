from __future__ import annotations

import asyncio

import pytest

from pods import (
    Agent,
    AgentRef,
    NodeMisplaced,
    NodeState,
    Pod,
    PodsError,
    RestartPolicy,
    Source,
    StartFailed,
    add_node,
    eager,
    handler,
    lazy,
    nested,
)
from tests.pods.support import (
    Count,
    Editorial,
    ManualClock,
    Medium,
    Name,
    Review,
    Reviewer,
    Workspace,
    eventually,
    live,
    managers,
    the,
)

__all__: list[str] = []


async def test_fifty_callers_start_a_node_once(medium: Medium) -> None:
    """G8: a lazy node, its owner and what it comes after start once each."""
    started: list[str] = []

    class Slow(Agent):
        async def on_start(self) -> None:
            await asyncio.sleep(0)
            started.append(str(self.context.key[-1]))

    class Line(Pod):
        base = lazy(Slow, manager="slow")
        middle = lazy(Slow, manager="slow", owner=base)
        beside = lazy(Slow, manager="slow")
        top = lazy(Slow, manager="slow", owner=middle, after=[beside])

    refs: list[AgentRef[Slow]] = []
    async with medium.host() as host:
        host.manager("slow", Slow)
        lines = host.manager("lines", Line)
        pod = await Line.get(lines, "l", partition="acme")

        async def ensure() -> None:
            refs.append(await pod.ensure_node(Line.top))

        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(ensure())

        assert sorted(started) == ["base", "beside", "middle", "top"]
        assert started.index("base") < started.index("middle") < started.index("top")
        assert started.index("beside") < started.index("top")
        assert len({id(live(host, ref)) for ref in refs}) == 1


async def test_fifty_callers_get_one_pod(medium: Medium) -> None:
    """G8: one pod, and every eager node of it once."""
    started: list[str] = []

    class Slow(Agent):
        async def on_start(self) -> None:
            await asyncio.sleep(0)
            started.append(str(self.context.key[-1]))

    class Pair(Pod):
        one = eager(Slow, manager="slow")
        two = eager(Slow, manager="slow", after=[one])

        async def on_start(self) -> None:
            started.append("pod")

    found: set[int] = set()
    async with medium.host() as host:
        host.manager("slow", Slow)
        pairs = host.manager("pairs", Pair)

        async def get() -> None:
            pod = await Pod.get(pairs, "p", partition="acme")
            assert pod.lookup_node(Pair.two) is not None
            found.add(id(live(host, pod)))

        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(get())

        assert started == ["pod", "one", "two"]
        assert len(found) == 1


async def test_eager_nodes_start_in_waves(medium: Medium) -> None:
    """G8: a wave begins when the one before has ended, and not earlier."""
    events: list[str] = []
    gates = {name: asyncio.Event() for name in ("a", "b", "c", "d")}

    class Gated(Agent):
        async def on_start(self) -> None:
            name = str(self.context.key[-1])
            events.append(f"{name} begins")
            await gates[name].wait()
            events.append(f"{name} ends")

    class Waves(Pod):
        a = eager(Gated, manager="gated")
        b = eager(Gated, manager="gated")
        c = eager(Gated, manager="gated", owner=a)
        d = eager(Gated, manager="gated", after=[b, c])

    async with medium.host() as host:
        host.manager("gated", Gated)
        waves = host.manager("waves", Waves)
        async with asyncio.TaskGroup() as group:
            getting = group.create_task(Waves.get(waves, "w", partition="acme"))
            await eventually(lambda: len(events) == 2)
            gates["a"].set()
            await eventually(lambda: len(events) == 3)
            for _ in range(50):
                await asyncio.sleep(0)
            assert "c begins" not in events
            for name in ("b", "c", "d"):
                gates[name].set()

        report = await getting.result().report()
        assert report.waves == (("a", "b"), ("c",), ("d",))
        assert events[:3] == ["a begins", "b begins", "a ends"]
        assert events[3:] == ["b ends", "c begins", "c ends", "d begins", "d ends"]
        assert report.completed == ("a", "b", "c", "d")


async def test_an_eager_node_pulls_in_the_lazy_ones_that_it_requires(
    medium: Medium,
) -> None:
    """G8: nothing starts without what it stands on, and nothing else starts."""

    class Mixed(Pod):
        base = lazy(Reviewer, manager="workers")
        idle = lazy(Reviewer, manager="workers")
        top = eager(Reviewer, manager="workers", after=[base])

    async with medium.host() as host:
        host.manager("workers", Reviewer)
        mixed = host.manager("mixed", Mixed)

        pod = await Mixed.get(mixed, "m", partition="acme")

        states = {node.name: node.state for node in await pod.nodes()}
        assert states == {
            "base": NodeState.RUNNING,
            "idle": NodeState.ABSENT,
            "top": NodeState.RUNNING,
        }


async def test_a_failing_eager_node_does_not_fail_its_pod(medium: Medium) -> None:
    """G8: the report names it and what waits for it, the rest runs, and it heals."""
    broken = [True]

    class Fragile(Agent):
        async def on_start(self) -> None:
            if broken[0]:
                raise ConnectionError("no network")

    class Plant(Pod):
        fragile = eager(Fragile, manager="fragile")
        sturdy = eager(Reviewer, manager="workers")
        owned = eager(Reviewer, manager="workers", owner=fragile)
        later = eager(Reviewer, manager="workers", after=[owned])

    clock = ManualClock()
    async with medium.host(clock=clock) as host:
        host.manager("fragile", Fragile)
        host.manager("workers", Reviewer)
        plants = host.manager("plants", Plant)

        pod = await Plant.get(plants, "p", partition="acme")

        report = await pod.report()
        assert report.failed == ("fragile",)
        assert "no network" in report.failures["fragile"].text
        assert set(report.pending) == {"owned", "later"}
        assert report.completed == ("sturdy",)
        states = {node.name: node.state for node in await pod.nodes()}
        assert states["sturdy"] is NodeState.RUNNING
        assert states["fragile"] in (NodeState.BACKING_OFF, NodeState.STARTING)
        assert states["owned"] in (NodeState.ABSENT, NodeState.PENDING)

        broken[0] = False
        clock.advance(10)
        await eventually(lambda: pod.lookup_node(Plant.fragile) is not None)
        report = await pod.reconcile()

        assert report.ok
        assert set(report.completed) == {"fragile", "sturdy", "owned", "later"}


async def test_what_waited_for_a_failed_node_comes_up_when_it_heals(
    medium: Medium,
) -> None:
    """G16: nobody has to call anything."""
    broken = [True]

    class Fragile(Agent):
        async def on_start(self) -> None:
            if broken[0]:
                raise ConnectionError("no network")

    class Plant(Pod):
        fragile = eager(Fragile, manager="fragile")
        owned = eager(Reviewer, manager="workers", owner=fragile)

    clock = ManualClock()
    async with medium.host(clock=clock) as host:
        host.manager("fragile", Fragile)
        host.manager("workers", Reviewer)
        plants = host.manager("plants", Plant)
        pod = await Plant.get(plants, "p", partition="acme")
        assert pod.lookup_node(Plant.owned) is None

        broken[0] = False
        clock.advance(10)

        await eventually(lambda: pod.lookup_node(Plant.owned) is not None)
        assert (await pod.report()).ok


async def test_a_lazy_node_that_fails_is_an_error_for_its_caller(
    medium: Medium,
) -> None:
    """G8: whoever asks for it learns why, and the pod goes on."""

    class Fragile(Agent):
        async def on_start(self) -> None:
            raise ConnectionError("no network")

    class Plant(Pod):
        fragile = lazy(Fragile, manager="fragile")
        owned = lazy(Reviewer, manager="workers", owner=fragile)

        @handler
        def count(self, message: Count) -> int:
            return 7

    async with medium.host(clock=ManualClock()) as host:
        host.manager("fragile", Fragile, restart=RestartPolicy(restart=False))
        host.manager("workers", Reviewer)
        plants = host.manager("plants", Plant)
        pod = await Plant.get(plants, "p", partition="acme")

        with pytest.raises(StartFailed, match="no network"):
            await pod.ensure_node(Plant.fragile)
        with pytest.raises(PodsError, match="no network"):
            await pod.ensure_node(Plant.owned)

        assert await pod.ask(Count()) == 7
        assert pod.lookup_node(Plant.owned) is None


async def test_a_misplaced_node_is_an_error_and_is_left_alone(medium: Medium) -> None:
    """G8: a node that lives under another parent is never moved."""

    class Thief(Agent):
        @handler
        async def take(self, message: Review) -> int:
            key = ("workspaces", "w1", message.text)
            await self.context.spawn(workers, key)
            return len(self.context.children)

    async with medium.host() as host:
        workspaces = managers(host)
        workers = host.manager_named("workers")
        thieves = host.manager("thieves", Thief)
        thief = await thieves.get("t", partition="acme")
        await thief.ask(Review("coordinator"))
        stolen = the(
            workers.lookup(("workspaces", "w1", "coordinator"), partition="acme")
        )
        instance = live(host, stolen)

        pod = await Workspace.get(workspaces, "w1", partition="acme")

        report = await pod.report()
        assert report.failures["coordinator"].error == "NodeMisplaced"
        assert set(report.pending) == {"editorial"}
        with pytest.raises(NodeMisplaced, match="thieves"):
            await pod.ensure_node(Workspace.coordinator)
        with pytest.raises(PodsError):
            await pod.ensure_node(Workspace.reviewer)
        state = {node.name: node for node in await pod.nodes()}["coordinator"]
        assert state.state is NodeState.MISPLACED
        assert "thieves" in the(state.reason)
        assert live(host, stolen) is instance
        assert instance.parent is live(host, thief)

        await workers.stop(stolen.address.key, partition="acme")
        assert (await pod.reconcile()).ok


async def test_a_node_that_runs_without_a_parent_is_adopted(medium: Medium) -> None:
    """G10: an instance that stands at a node's address becomes the pod's own."""
    async with medium.host() as host:
        workspaces = managers(host)
        workers = host.manager_named("workers")
        key = ("workspaces", "w1", "coordinator")
        early = await workers.get(key, partition="acme")
        instance = live(host, early)

        pod = await Workspace.get(workspaces, "w1", partition="acme")

        sources = {r.name: r.source for r in (await pod.report()).nodes}
        assert sources["coordinator"] is Source.ADOPTED
        assert live(host, early) is instance
        assert instance.parent is live(host, pod)


async def test_a_second_get_finds_the_nodes_running(medium: Medium) -> None:
    """G8: a reconciliation of a healthy pod starts nothing."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        before = {id(i) for i in host.runtime.registries.instances()}

        again = await Workspace.get(workspaces, "w1", partition="acme")
        report = await again.reconcile()

        assert {r.source for r in report.nodes} == {Source.RUNNING}
        assert {id(i) for i in host.runtime.registries.instances()} == before
        assert pod.address == again.address


async def test_an_eager_node_that_was_stopped_stays_down_until_reconcile(
    medium: Medium,
) -> None:
    """G16: healing is for what failed; an explicit stop is respected."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        coordinator = the(pod.lookup_node(Workspace.coordinator))

        await host.manager_named("workers").stop(
            coordinator.address.key, partition="acme"
        )
        for _ in range(100):
            await asyncio.sleep(0)

        assert pod.lookup_node(Workspace.coordinator) is None
        states = {node.name: node.state for node in await pod.nodes()}
        assert states["coordinator"] is NodeState.HIBERNATED
        assert (await pod.reconcile()).ok
        assert pod.lookup_node(Workspace.coordinator) is not None


async def test_on_start_may_ensure_nodes(medium: Medium) -> None:
    """G8: a pod that prepares its own nodes does not wait for itself."""
    names: list[str] = []

    class Office(Pod):
        desk = lazy(Reviewer, manager="workers")
        clerk = eager(Reviewer, manager="workers", after=[desk])

        async def on_start(self) -> None:
            desk = await self.context.ensure_node(Office.desk)
            names.append(await desk.ask(Name()))
            assert self.context.lookup_node(Office.desk) is not None

        @handler
        async def review(self, message: Review) -> int:
            desk = await self.context.ensure_node("desk")
            return await desk.ask(message)

    async with medium.host() as host:
        host.manager("workers", Reviewer)
        offices = host.manager("offices", Office)

        pod = await Office.get(offices, "o", partition="acme")

        assert names == ['acme/workers/["offices","o","desk"]']
        assert (await pod.report()).ok
        assert await pod.ask(Review("from inside")) == 1
        assert await pod.ask(Review("again")) == 2


async def test_a_handler_finds_the_pod_that_it_stands_in(medium: Medium) -> None:
    """G4: ``Workspace.of(self.context)`` is the nearest pod of that class, typed."""

    class Scribe(Agent):
        @handler
        async def name(self, message: Name) -> str:
            room = Room.of(self.context)
            house = House.of(self.context)
            return f"{room.key} in {house.key} of {house.address.partition}"

        @handler
        async def review(self, message: Review) -> int:
            other = await House.of(self.context).ensure_node(House.attic)
            return await other.ask(message)

    class Room(Pod):
        scribe = eager(Scribe, manager="scribes")

    class House(Pod):
        room = nested(Room, manager="rooms")
        attic = lazy(Reviewer, manager="workers")

    async with medium.host() as host:
        host.manager("scribes", Scribe)
        host.manager("workers", Reviewer)
        host.manager("rooms", Room)
        houses = host.manager("houses", House)
        house = await House.get(houses, "h", partition="acme")
        room = await house.ensure_node(House.room)
        scribe = await room.ensure_node(Room.scribe)

        assert await scribe.ask(Name()) == "('houses', 'h', 'room') in h of acme"
        assert await scribe.ask(Review("up")) == 1
        attic = the(house.lookup_node(House.attic))
        assert await attic.ask(Count()) == 1


async def test_an_agent_outside_of_a_pod_is_told_so(medium: Medium) -> None:
    """G4: no pod is guessed."""

    class Loner(Agent):
        @handler
        async def name(self, message: Name) -> str:
            try:
                Workspace.of(self.context)
            except PodsError as error:
                return f"{type(error).__name__} {error.code}"
            return "found"

    async with medium.host() as host:
        loners = host.manager("loners", Loner)
        loner = await loners.get("l", partition="acme")

        assert await loner.ask(Name()) == "NotInPod PV-E406"


async def test_a_live_pod_draws_its_states(medium: Medium) -> None:
    """G14: the drawing shows what runs, what sleeps and what never started."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        coordinator = the(pod.lookup_node(Workspace.coordinator))
        await host.manager_named("workers").stop(
            coordinator.address.key, partition="acme"
        )
        await pod.mutate([add_node("extra", eager(Reviewer, manager="workers"))])

        drawing = await pod.to_mermaid()

        assert drawing.startswith("flowchart TD\n")
        assert "n_coordinator --> n_reviewer" in drawing
        assert "class l_hibernated,n_coordinator s_hibernated" in drawing
        assert "class l_absent,n_reviewer s_absent" in drawing
        assert "class l_running,n_editorial,n_extra s_running" in drawing
        assert "acme" not in drawing


async def test_a_node_name_from_outside_works_as_the_declared_node(
    medium: Medium,
) -> None:
    """G8: ``ensure_node("reviewer")`` and ``ensure_node(Workspace.reviewer)`` agree."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")

        declared = await pod.ensure_node(Workspace.reviewer)
        named = await pod.ensure_node("reviewer")
        editorial = await pod.ensure_node(Workspace.editorial)
        writer = await editorial.ensure_node(Editorial.writer)

        assert live(host, declared) is live(host, named)
        assert await writer.ask(Review("x")) == 1
