"""What a type checker knows of the public API, without a plugin."""

from __future__ import annotations

from typing import assert_type

from pods import (
    Agent,
    AgentRef,
    Host,
    InstanceManager,
    ManagerStatistics,
    Message,
    MutationReport,
    NodeSnapshot,
    PartitionHandle,
    Pod,
    PodRef,
    ReconcileReport,
    Topology,
    add_node,
    eager,
    handler,
    lazy,
    nested,
    remove_node,
)

__all__ = [
    "Editorial",
    "Later",
    "Review",
    "Reviewer",
    "Workspace",
    "known",
    "known_of_a_pod",
]


class Review(Message[int]):
    text: str


class Later(Message[list[str]]):
    seconds: float = 0.5
    tags: tuple[str, ...] = ()


class Reviewer(Agent):
    reviewed: int = 0

    @handler
    def review(self, message: Review) -> int:
        return len(message.text)

    @handler(raises=(ValueError,))
    async def later(self, message: Later) -> list[str]:
        workspace = Workspace.of(self.context)
        assert_type(workspace, PodRef[Workspace])
        other = await workspace.ensure_node(Workspace.reviewer)
        assert_type(other, AgentRef[Reviewer])
        assert_type(await self.context.get("workers", "other"), AgentRef[Agent])
        assert_type(self.context.partition, str)
        assert_type(self.context.parent, AgentRef[Agent] | None)
        return [str(await other.ask(Review("x")))]


class Editorial(Pod):
    writer = eager(Reviewer, manager="workers")


class Workspace(Pod):
    title: str = "untitled"
    coordinator = eager(Reviewer, manager="workers")
    reviewer = lazy(Reviewer, manager="workers", owner=coordinator)
    editorial = nested(Editorial, manager="editorial_pods", after=[coordinator])

    async def on_start(self) -> None:
        made = await self.context.ensure_node(Workspace.editorial)
        assert_type(made, PodRef[Editorial])


async def known(host: Host) -> None:
    workers = host.manager("workers", Reviewer)
    workspaces = host.manager("workspaces", Workspace)
    assert_type(workers, InstanceManager[Reviewer])
    assert_type(workspaces, InstanceManager[Workspace])

    pod = await Pod.get(workspaces, "w", partition="acme")
    assert_type(pod, PodRef[Workspace])
    assert_type(
        await workspaces.get(("a", ("b",)), partition="acme"), PodRef[Workspace]
    )
    assert_type(workspaces.lookup("w", partition="acme"), PodRef[Workspace] | None)
    assert_type(await workers.get("r", partition="acme"), AgentRef[Reviewer])
    assert_type(workers.lookup("r", partition="acme"), AgentRef[Reviewer] | None)
    assert_type(await workers.stats(partition="acme"), ManagerStatistics)

    acme = host.partition("acme")
    assert_type(acme, PartitionHandle)
    assert_type(await acme.get(workspaces, "w"), PodRef[Workspace])
    assert_type(await acme.get(workers, "r"), AgentRef[Reviewer])
    assert_type(acme.lookup(workspaces, "w"), PodRef[Workspace] | None)


async def known_of_a_pod(pod: PodRef[Workspace]) -> None:
    reviewer = await pod.ensure_node(Workspace.reviewer)
    assert_type(reviewer, AgentRef[Reviewer])
    assert_type(await pod.ensure_node("reviewer"), AgentRef[Agent])
    assert_type(pod.lookup_node(Workspace.reviewer), AgentRef[Reviewer] | None)
    assert_type(await pod.ensure_node(Workspace.editorial), PodRef[Editorial])
    assert_type(pod.lookup_node(Workspace.editorial), PodRef[Editorial] | None)

    assert_type(await reviewer.ask(Review("draft")), int)
    assert_type(await reviewer.ask(Later(tags=("a",)), timeout=1), list[str])
    await reviewer.tell(Review(text="draft"))

    assert_type(await pod.nodes(), tuple[NodeSnapshot, ...])
    assert_type(await pod.reconcile(), ReconcileReport)
    assert_type(await pod.topology(), Topology)
    change = add_node("extra", eager(Reviewer, manager="workers"), owner="coordinator")
    assert_type(
        await pod.mutate([change, remove_node(Workspace.reviewer)]), MutationReport
    )
    assert_type(await pod.stop(), bool)
