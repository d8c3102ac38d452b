from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import attrgetter

import pytest

from persistence import RecordKind
from pods import (
    Agent,
    AgentNotFound,
    InstanceManager,
    InvalidNode,
    InvalidPartition,
    ManagerMismatch,
    NodeState,
    Pod,
    PodMismatch,
    PodRef,
    Source,
    UnknownNode,
    add_node,
    eager,
    handler,
    lazy,
    nested,
)
from supervision import PartitionHandle
from tests.pods.support import (
    Count,
    Editorial,
    Medium,
    Name,
    Review,
    Reviewer,
    Workspace,
    family,
    live,
    managers,
    records,
)

__all__: list[str] = []

PARTITIONED: list[Callable[..., object]] = [
    Pod.get,
    InstanceManager[Agent].get,
    InstanceManager[Agent].lookup,
    InstanceManager[Agent].stop,
    InstanceManager[Agent].stats,
    InstanceManager[Agent].keys,
    InstanceManager[Agent].quarantined,
    InstanceManager[Agent].release,
]


@pytest.mark.parametrize("call", PARTITIONED, ids=attrgetter("__qualname__"))
def test_partition_is_a_keyword_without_a_default(
    call: Callable[..., object],
) -> None:
    """G2: nobody can leave the tenant out, or put it where a key belongs."""
    partition = inspect.signature(call).parameters["partition"]

    assert partition.kind is inspect.Parameter.KEYWORD_ONLY
    assert partition.default is inspect.Parameter.empty


async def test_a_pod_without_a_partition_is_refused_at_run_time(medium: Medium) -> None:
    """G2: code without a type checker is stopped, too."""
    async with medium.host() as host:
        workspaces = managers(host)

        with pytest.raises(TypeError, match="partition"):
            await Pod.get(workspaces, "w1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        with pytest.raises(TypeError, match="positional"):
            await Pod.get(workspaces, "w1", "acme")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

        assert host.statistics().live == 0


async def test_the_front_door_returns_a_pod_with_its_eager_nodes_up(
    medium: Medium,
) -> None:
    """G2: what ``Pod.get`` returns is ready, and is the only one of its key."""
    async with medium.host() as host:
        workspaces = managers(host)

        pod = await Pod.get(workspaces, "w1", partition="acme")

        assert type(pod) is PodRef
        assert (await pod.report()).ok
        assert pod.lookup_node(Workspace.coordinator) is not None
        assert pod.lookup_node(Workspace.reviewer) is None
        for same in (
            await Workspace.get(workspaces, "w1", partition="acme"),
            await workspaces.get("w1", partition="acme"),
            await host.partition("acme").get(workspaces, "w1"),
        ):
            assert type(same) is PodRef
            assert live(host, same) is live(host, pod)


async def test_a_manager_of_another_class_is_refused(medium: Medium) -> None:
    """G2: the class that is named at the front door is the class that comes out."""
    async with medium.host() as host:
        managers(host)
        editorials = host.manager_named("editorial_pods")

        with pytest.raises(PodMismatch, match="Workspace"):
            await Workspace.get(editorials, "w1", partition="acme")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
        with pytest.raises(PodMismatch, match="no manager"):
            await Workspace.get("workspaces", "w1", partition="acme")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(PodMismatch, match="Reviewer"):
            await Pod.get(host.manager_named("workers"), "w1", partition="acme")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]

        assert host.statistics().live == 0


async def test_a_tenant_owns_pods_of_several_classes(medium: Medium) -> None:
    """G3: each root pod has a topology of its own under (partition, manager, key)."""

    class Archive(Pod):
        keeper = eager(Reviewer, manager="workers")

    async with medium.host() as host:
        workspaces = managers(host)
        archives = host.manager("archives", Archive)

        workspace = await Workspace.get(workspaces, "main", partition="acme")
        archive = await Archive.get(archives, "main", partition="acme")
        await workspace.mutate([add_node("helper", lazy(Reviewer, manager="workers"))])
        await archive.mutate([add_node("shredder", lazy(Reviewer, manager="workers"))])

        assert "helper" in await workspace.topology()
        assert set(await archive.topology()) == {"keeper", "shredder"}
        assert not family(host, workspace) & family(host, archive)
    async with medium.opened() as store:
        rows = await records(store, "acme", manager_names=["workspaces", "archives"])
        assert {a.manager for a in rows} == {"workspaces", "archives"}
        for both in rows.values():
            assert {r.kind for r in both} == {RecordKind.STATE, RecordKind.TOPOLOGY}


async def test_a_tree_inherits_its_partition_at_every_depth(medium: Medium) -> None:
    """G4: eager, lazy and nested nodes, three levels deep, and what they store."""

    class Publisher(Pod):
        editorial = nested(Editorial, manager="editorial_pods")
        late = nested(Editorial, manager="editorial_pods", lazy=True)

    class Company(Pod):
        publisher = nested(Publisher, manager="publishers")

    async with medium.host() as host:
        host.manager("workers", Reviewer)
        host.manager("editorial_pods", Editorial)
        host.manager("publishers", Publisher)
        companies = host.manager("companies", Company)

        for partition in ("acme", "acme-corp"):
            company = await Company.get(companies, "c", partition=partition)
            publisher = await company.ensure_node(Company.publisher)
            editorial = await publisher.ensure_node(Publisher.editorial)
            checker = await editorial.ensure_node(Editorial.checker)
            late = await publisher.ensure_node(Publisher.late)
            writer = await late.ensure_node(Editorial.writer)

            assert (await checker.ask(Name())).startswith(f"{partition}/workers/")
            assert (await writer.ask(Name())).startswith(f"{partition}/workers/")
            below = family(host, company)
            assert {address.partition for address in below} == {partition}
            assert len(below) == 6
            assert live(host, company).parent is None
            assert live(host, checker).parent is live(
                host, await editorial.ensure_node(Editorial.writer)
            )
    async with medium.opened() as store:
        rows = await records(
            store, "acme", manager_names=["workers", "editorial_pods", "publishers"]
        )
        parents = {
            r.parent.partition for both in rows.values() for r in both if r.parent
        }
        assert parents == {"acme"}


async def test_one_key_in_a_thousand_partitions_is_a_thousand_pods(
    medium: Medium,
) -> None:
    """G5: no two of them share a runtime, a child or a count."""

    class Small(Pod):
        worker = eager(Reviewer, manager="workers")

    many = 100 if medium.name == "files" else 1_000  # a file each takes its time
    names = [f"tenant-{n}" for n in range(many)]
    async with medium.host() as host:
        host.manager("workers", Reviewer)
        smalls = host.manager("smalls", Small)

        pods = [await Small.get(smalls, "main", partition=name) for name in names]
        for number, pod in enumerate(pods[:20]):
            worker = await pod.ensure_node(Small.worker)
            for _ in range(number):
                await worker.ask(Review("x"))

        runtimes = {id(live(host, pod)) for pod in pods}
        children = [family(host, pod) for pod in pods]
        assert len(runtimes) == many
        assert all(len(child) == 1 for child in children)
        assert len(set[object]().union(*children)) == many
        assert host.statistics().partitions == dict.fromkeys(names, 2)
        for number, pod in enumerate(pods[:20]):
            worker = await pod.ensure_node(Small.worker)
            assert await worker.ask(Count()) == number


async def test_a_foreign_agent_cannot_be_adopted_or_found(medium: Medium) -> None:
    """G11: adoption by id resolves in the partition of the one who adopts."""
    adopted: list[object] = []

    class Adopter(Agent):
        @handler(raises=(AgentNotFound,))
        async def adopt(self, message: Review) -> int:
            adopted.append(await self.context.adopt(workers, message.text))
            return len(self.context.children)

    async with medium.host() as host:
        workers = host.manager("workers", Reviewer)
        adopters = host.manager("adopters", Adopter)
        foreign = await workers.get("worker", partition="umbrella")
        adopter = await adopters.get("a", partition="acme")

        with pytest.raises(AgentNotFound) as there:
            await adopter.ask(Review("worker"))
        await workers.stop("worker", partition="umbrella")
        with pytest.raises(AgentNotFound) as nowhere:
            await adopter.ask(Review("worker"))

        assert not adopted
        assert str(there.value) == str(nowhere.value)
        assert foreign.address.partition not in str(there.value)
        assert workers.lookup("worker", partition="acme") is None


async def test_unknown_nodes_are_named_with_those_that_exist(medium: Medium) -> None:
    """G6: a wrong name costs nothing and starts nothing."""

    class Stranger(Pod):
        outsider = eager(Reviewer, manager="workers")

    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        before = host.statistics().live

        for wanted in ("nobody", "", "acme"):
            with pytest.raises(UnknownNode, match="coordinator"):
                await pod.ensure_node(wanted)
            with pytest.raises(UnknownNode, match="coordinator"):
                pod.lookup_node(wanted)
        with pytest.raises(UnknownNode, match=r"Stranger\.outsider"):
            await pod.ensure_node(Stranger.outsider)

        assert host.statistics().live == before


@pytest.mark.parametrize("wrong", [None, 3, b"coordinator", Reviewer, ("a",), ["a"]])
async def test_what_is_no_node_is_refused_by_a_typed_error(
    medium: Medium, wrong: object
) -> None:
    """G6: no internal error reaches a caller without a type checker."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")

        with pytest.raises((InvalidNode, UnknownNode)):
            await pod.ensure_node(wrong)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
        with pytest.raises((InvalidNode, UnknownNode)):
            pod.lookup_node(wrong)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def test_a_node_of_a_missing_manager_fails_alone(medium: Medium) -> None:
    """G8: the pod is up, the report names the node and what to do."""
    async with medium.host() as host:
        host.manager("workers", Reviewer)
        workspaces = host.manager("workspaces", Workspace)

        pod = await Workspace.get(workspaces, "w1", partition="acme")

        report = await pod.report()
        assert report.failures["editorial"].error == "UnknownManager"
        assert "editorial_pods" in report.failures["editorial"].text
        assert "coordinator" in report.completed
        assert await pod.ask(Count()) == len("untitled")


async def test_a_node_whose_manager_runs_another_class_fails_alone(
    medium: Medium,
) -> None:
    """G8: a node never runs a class that it does not declare."""

    class Impostor(Agent):
        pass

    async with medium.host() as host:
        host.manager("workers", Impostor)
        editorials = host.manager("editorial_pods", Editorial)

        pod = await Editorial.get(editorials, "e1", partition="acme")

        assert (await pod.report()).failures["writer"].error == "ManagerMismatch"
        with pytest.raises(ManagerMismatch, match="Impostor"):
            await pod.ensure_node(Editorial.writer)
        assert [n.state for n in await pod.nodes()] == [NodeState.ABSENT] * 2


async def test_a_subclass_in_the_manager_is_accepted(medium: Medium) -> None:
    """G6: a manager may run a subclass of what a node declares."""

    class Senior(Reviewer):
        pass

    async with medium.host() as host:
        host.manager("workers", Senior)
        editorials = host.manager("editorial_pods", Editorial)

        pod = await Editorial.get(editorials, "e1", partition="acme")

        assert (await pod.report()).ok
        assert [r.source for r in (await pod.report()).nodes] == [Source.STARTED]


async def test_a_bound_handle_reaches_the_pods_of_its_partition_only(
    medium: Medium,
) -> None:
    """G2: the handle that an edge gives away has no way to another tenant."""
    async with medium.host() as host:
        workspaces = managers(host)
        handle: PartitionHandle = host.partition("acme")

        pod = await handle.get(workspaces, "w1")

        assert pod.address.partition == "acme"
        assert handle.lookup(workspaces, "w1") is not None
        assert host.partition("acme-corp").lookup(workspaces, "w1") is None


@pytest.mark.parametrize(
    "bad",
    ["", "ACME", "a..b", "a/b", "-a", "a\0b", "\N{CYRILLIC SMALL LETTER A}", "a" * 64],
)
async def test_a_pod_in_an_invalid_partition_is_refused(
    medium: Medium, bad: str
) -> None:
    """A4: nothing is started or stored for a partition that cannot be."""
    async with medium.host() as host:
        workspaces = managers(host)

        with pytest.raises(InvalidPartition):
            await Pod.get(workspaces, "w1", partition=bad)

        assert host.statistics().live == 0
        assert await host.partitions() == ()


async def test_lookup_of_a_node_in_a_pod_that_sleeps_finds_nothing(
    medium: Medium,
) -> None:
    """G11: a look-up starts nothing, whatever is stored."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        await pod.stop()

        assert pod.lookup_node(Workspace.coordinator) is None
        assert pod.lookup_node("reviewer") is None
        assert host.statistics().live == 0


async def test_two_hosts_share_no_pod(medium: Medium) -> None:
    """G1: the second host of one database takes partitions over, it never shares."""
    other = Medium.memory()
    async with medium.host() as one, other.host() as two:
        first = await Workspace.get(managers(one), "w1", partition="acme")
        second = await Workspace.get(managers(two), "w1", partition="acme")
        worker = await first.ensure_node(Workspace.coordinator)
        await worker.ask(Review("only here"))

        twin = await second.ensure_node(Workspace.coordinator)

        assert await twin.ask(Count()) == 0
        assert live(one, first) is not live(two, second)
