"""What becomes of stored nodes that a new release does not declare any more."""

from __future__ import annotations

import pytest

from persistence import Address, Record
from pods import (
    Agent,
    AgentNotFound,
    Host,
    InstanceManager,
    Pod,
    PodRef,
    ProblemKind,
    UnknownNode,
    eager,
    lazy,
)
from tests.pods.support import (
    Count,
    Medium,
    Review,
    Reviewer,
    answer,
    eventually,
    records,
)

__all__: list[str] = []


class Before(Pod):
    """The release that declared more."""

    kept = eager(Reviewer, manager="workers")
    dropped = lazy(Reviewer, manager="workers", owner=kept)
    owned = lazy(Reviewer, manager="workers", owner=dropped)


class After(Pod):
    """The release that declares less."""

    kept = eager(Reviewer, manager="workers")


def desks(host: Host, pod: type[Before | After]) -> InstanceManager[Before | After]:
    host.manager("workers", Reviewer)
    return host.manager("desks", pod)


async def fill(medium: Medium, *partitions: str) -> None:
    """Let the older release store something of every node."""
    async with medium.host() as host:
        manager = desks(host, Before)
        for partition in partitions:
            pod = await manager.get("d", partition=partition)
            assert isinstance(pod, PodRef)
            for name in ("kept", "dropped", "owned"):
                await (await pod.ensure_node(name)).ask(Review())


async def desk(host: Host, pod: type[Before | After], partition: str) -> PodRef[Agent]:
    found = await desks(host, pod).get("d", partition=partition)
    assert isinstance(found, PodRef)
    return found


def names(rows: dict[Address, tuple[Record, ...]]) -> list[str]:
    """Return the names of the nodes that have rows."""
    keys = [address.key for address in rows if address.manager == "workers"]
    return sorted(str(key[-1]) for key in keys)


async def test_a_node_that_code_has_forgotten_is_reported_and_kept(
    medium: Medium, caplog: pytest.LogCaptureFixture
) -> None:
    """G10: it is named after a thaw, nothing starts it, and a step back finds it."""
    await fill(medium, "acme")

    async with medium.host() as host:
        pod = await desk(host, After, "acme")
        await eventually(lambda: "pod.node_left_out" in caplog.messages)
        problems = await pod.problems()
        missing = await answer(pod.ensure_node("dropped"))
        listed = [node.name for node in await pod.nodes()]
        address = problems[0].node, problems[0].other
        key = ("desks", "d", "dropped")
        woken = await answer(host.manager_named("workers").get(key, partition="acme"))
    async with medium.host() as host:
        back = await desk(host, Before, "acme")
        again = [p.node for p in await back.problems()]
        counts = [
            await (await back.ensure_node(name)).ask(Count())
            for name in ("dropped", "owned")
        ]

    assert address == ("dropped", "workers")
    assert [p.node for p in problems] == ["dropped", "owned"]
    assert {p.kind for p in problems} == {ProblemKind.UNDECLARED}
    assert "does not declare it any more" in str(problems[0])
    assert isinstance(missing, UnknownNode)
    assert isinstance(woken, AgentNotFound)
    assert listed == ["kept"]
    assert (again, counts) == ([], [1, 1])


async def test_a_forgotten_node_is_discarded_by_a_person_for_a_reason(
    medium: Medium, caplog: pytest.LogCaptureFixture
) -> None:
    """G10, B6: with all that it owned, and nothing of anybody else."""
    await fill(medium, "acme", "globex")

    async with medium.host() as host:
        pod = await desk(host, After, "acme")
        await pod.discard_node("dropped", actor="ann", reason="release 2")
        left = await pod.problems()
        kept = await (await pod.ensure_node("kept")).ask(Count())
        late = await answer(pod.discard_node("dropped", actor="ann", reason="again"))
    async with medium.opened() as store:
        ours = names(await records(store, "acme"))
        theirs = names(await records(store, "globex"))
    async with medium.host() as host:
        fresh = await (await desk(host, Before, "acme")).ensure_node("dropped")
        count = await fresh.ask(Count())

    assert (left, kept, count) == ((), 1, 0)
    assert isinstance(late, UnknownNode)
    assert ours == ["kept"]
    assert theirs == ["dropped", "kept", "owned"]
    record = next(r for r in caplog.records if r.msg == "pod.node_discarded")
    assert (vars(record)["actor"], vars(record)["reason"]) == ("ann", "release 2")


async def test_what_stands_in_the_topology_cannot_be_discarded(medium: Medium) -> None:
    """G15: a node of the present topology goes by a mutation only."""
    await fill(medium, "acme")

    async with medium.host() as host:
        pod = await desk(host, Before, "acme")
        present = await answer(pod.discard_node("dropped", actor="ann", reason="r"))
        with pytest.raises(ValueError, match="actor='' is refused"):
            await pod.discard_node("dropped", actor="", reason="r")
        count = await (await pod.ensure_node("dropped")).ask(Count())

    assert isinstance(present, UnknownNode)
    assert count == 1
