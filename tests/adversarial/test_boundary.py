from __future__ import annotations

import functools
from pathlib import Path

import pytest

from persistence import Address, check_key, check_name, check_partition
from pods import (
    AgentNotFound,
    AgentRef,
    HostClosed,
    PartitionMismatch,
    Pod,
    PodContext,
    PodsError,
)
from tests.adversarial.cases import CASES, EXEMPT
from tests.adversarial.hostile import VICTIMS, Liar
from tests.adversarial.surface import Argument, arguments
from tests.adversarial.world import Outcome, describe, opened, rows_of
from tests.pods.support import Count, Medium, Review, Reviewer
from tests.support import spin

__all__: list[str] = []


def test_every_public_argument_is_tried_or_exempt_with_a_reason() -> None:
    """A4: a new public method is attacked from the day it appears."""
    found = arguments()

    assert sorted(found - CASES.keys() - EXEMPT.keys()) == []
    assert sorted((CASES.keys() | EXEMPT.keys()) - found) == []
    assert not CASES.keys() & EXEMPT.keys()
    assert all(EXEMPT.values())


@pytest.mark.parametrize("argument", sorted(CASES), ids="-".join)
async def test_a_hostile_argument_reaches_nobody_else(
    medium: Medium, argument: Argument, tmp_path: Path
) -> None:
    """A4, B6: same answers with and without victims, typed errors, nothing touched."""
    case = CASES[argument]
    other = _sibling(medium, tmp_path)
    with_victims: dict[str, Outcome] = {}
    without: dict[str, Outcome] = {}
    async with opened(medium, populated=True) as world:
        before = world.victims()
        assert len(before) > len(VICTIMS)
        for name, value in case.values.items():
            live = world.live()
            outcome = await describe(functools.partial(case.call, world, value))
            with_victims[name] = outcome
            assert world.victims() == before, name
            if outcome.kind not in ("answer", "StartFailed"):
                assert world.live() <= live, name
        await spin()
        for instance in world.host.runtime.registries.instances():
            check_partition(instance.address.partition)
            check_name(instance.address.manager, "manager")
            check_key(instance.address.key)
    rows = await rows_of(medium, *VICTIMS)
    async with opened(other, populated=False) as world:
        for name, value in case.values.items():
            without[name] = await describe(functools.partial(case.call, world, value))

    assert {n: o for n, o in with_victims.items() if not o.typed} == {}
    assert with_victims == without
    assert {a.partition for a in rows} == set(VICTIMS)
    async with opened(medium, populated=False):
        pass
    assert await rows_of(medium, *VICTIMS) == rows


async def _tell(target: AgentRef[Reviewer] | Address, context: PodContext) -> object:
    context.tell(target, Review("x"))
    return "told"


def _sibling(medium: Medium, folder: Path) -> Medium:
    if medium.name != "sqlite":
        return Medium.memory()
    (folder / "other").mkdir()
    return Medium.sqlite(str(folder / "other"))


async def test_rows_of_victims_do_not_change_under_attack(medium: Medium) -> None:
    """A4: every row of every other partition, byte for byte, before and after."""
    async with opened(medium, populated=True):
        pass
    before = await rows_of(medium, *VICTIMS)
    assert len(before) > 8 * len(VICTIMS)

    async with opened(medium, populated=False) as world:
        for argument, case in CASES.items():
            if argument[1] == "partition" or argument[0] == "Host.manager":
                continue
            for value in case.values.values():
                await describe(functools.partial(case.call, world, value))

    assert await rows_of(medium, *VICTIMS) == before


async def test_a_foreign_ref_is_as_absent_as_none(medium: Medium) -> None:
    """B6: equal in type, arguments and text, whether the target exists or not."""
    seen: list[Outcome] = []
    async with opened(medium, populated=True) as world:
        foreign = world.foreign
        assert foreign is not None
        targets = [
            foreign,
            *(
                AgentRef[Reviewer](
                    world.workers.info.port, Address(name, "workers", "victim")
                )
                for name in ("umbrella", "acme-corp", "nobody", "acme.")
            ),
        ]
        before = world.victims()
        for target in targets:
            call = functools.partial(_tell, target)
            seen.append(await describe(functools.partial(world.inside, call)))

        assert world.victims() == before
        assert await foreign.ask(Count()) == 1
    assert seen == [seen[0]] * len(targets)
    assert seen[0].kind == AgentNotFound.__name__
    assert not [name for name in VICTIMS[:2] if name in seen[0].seen]


@pytest.mark.parametrize("wrap", [True, False], ids=["ref", "address"])
async def test_an_address_that_lies_about_its_partition_reaches_nobody(
    medium: Medium, *, wrap: bool
) -> None:
    """B3: a partition is a ``str`` and nothing that only behaves like one."""
    async with opened(medium, populated=True) as world:
        before = world.victims()
        lie = Address(Liar("umbrella"), "workers", "victim")
        target = AgentRef[Reviewer](world.workers.info.port, lie) if wrap else lie

        call = functools.partial(_tell, target)
        outcome = await describe(functools.partial(world.inside, call))
        await spin()

        assert world.victims() == before
        assert outcome.typed
        assert outcome.kind != "answer"


@pytest.mark.parametrize("limit", [-1, 0, 2**70])
async def test_a_page_has_a_size_that_makes_sense(medium: Medium, limit: int) -> None:
    """A4: a listing is bounded, and a wrong bound is refused the same on each store."""
    async with opened(medium, populated=False) as world:
        for manager in (world.workers, world.workspaces):
            with pytest.raises(PodsError):
                await manager.keys(partition="acme", limit=limit)


async def test_a_bound_handle_refuses_every_other_partition(medium: Medium) -> None:
    """B6: the refusal does not tell whether the other partition exists."""
    async with opened(medium, populated=True) as world:
        for name in ("umbrella", "nobody"):
            with pytest.raises(PartitionMismatch) as refused:
                await world.handle.get(world.workers, "victim", partition=name)
            assert str(refused.value).replace(name, "X") == (
                "[PV-E320] This handle is bound to partition 'acme'; partition='X' is "
                "refused. Take a handle for that partition from trusted code: "
                "host.partition(...)."
            )


async def test_counts_and_listings_hold_one_partition(medium: Medium) -> None:
    """B6: neither prefix nor twin is counted with a tenant."""
    async with opened(medium, populated=True) as world:
        stats = await world.workers.stats(partition="acme")
        keys = await world.workers.keys(partition="acme")
        quarantined = await world.fragile.quarantined(partition="acme")
    async with opened(Medium.memory(), populated=False) as world:
        assert stats == await world.workers.stats(partition="acme")
        assert keys == await world.workers.keys(partition="acme")
        assert quarantined == ()


async def test_the_errors_of_a_closed_host_are_typed_too(medium: Medium) -> None:
    """A4: after the end nothing internal comes out, and nothing starts again."""
    async with opened(medium, populated=False) as world:
        pass

    outcomes = [
        await describe(call)
        for call in (
            lambda: world.workers.get("k", partition="acme"),
            lambda: world.handle.get(world.workers, "k"),
            lambda: world.workers.keys(partition="acme"),
            lambda: world.workers.stats(partition="acme"),
            lambda: Pod.get(world.workspaces, "k", partition="acme"),
            lambda: world.pod.ask(Count()),
            lambda: world.pod.tell(Review("x")),
            lambda: world.pod.ensure_node("reviewer"),
            world.pod.nodes,
            lambda: world.pod.mutate([]),
            world.host.partitions,
        )
    ]

    assert {outcome.kind for outcome in outcomes} == {HostClosed.__name__}
    assert world.workers.lookup("k", partition="acme") is None
    assert await world.pod.stop() is False
    assert world.live() == 0
