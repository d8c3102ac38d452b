from __future__ import annotations

import asyncio

import pytest

from pods import (
    Host,
    HostClosed,
    HostPolicy,
    InstanceManager,
    StoreError,
    add_node,
    eager,
)
from pods.testing import Simulation, simulate
from tests.pods.support import Count, Editorial, Review, Reviewer, Workspace

__all__: list[str] = []


def managers(host: Host, idle: float | None) -> InstanceManager[Workspace]:
    host.manager("workers", Reviewer, idle_timeout=idle)
    host.manager("editorial_pods", Editorial, idle_timeout=idle)
    return host.manager("workspaces", Workspace, idle_timeout=idle)


@pytest.mark.parametrize("seed", range(5))
def test_a_pod_that_always_hibernates_serves_all_the_same(seed: int) -> None:
    """Row 12: it does not go while its nodes come up or somebody works with them."""

    async def scenario(simulation: Simulation) -> int:
        simulation.driver.slow = 0.1
        async with simulation.host() as host:
            workspaces = managers(host, 0.0)
            for _ in range(5):
                pod = await Workspace.get(workspaces, "w", partition="acme")
                assert await pod.ask(Review("abc")) == 3
                reviewer = await pod.ensure_node(Workspace.reviewer)
                await reviewer.ask(Review("x"))
                await asyncio.sleep(10)
                assert host.statistics().live == 0
            pod = await Workspace.get(workspaces, "w", partition="acme")
            reviewer = await pod.ensure_node(Workspace.reviewer)
            return await reviewer.ask(Count())

    assert simulate(scenario, seed) == 5


def test_a_mutation_that_a_shutdown_cuts_off_is_answered() -> None:
    """G15: its caller does not wait for a host that has gone."""

    async def scenario(simulation: Simulation) -> None:
        policy = HostPolicy(shutdown_timeout=0.001, shutdown_grace=0.001)
        host = simulation.host(policy)
        await host.__aenter__()
        workspaces = managers(host, None)
        pod = await Workspace.get(workspaces, "w", partition="acme")
        change = add_node("extra", eager(Reviewer, manager="workers"))
        mutation = asyncio.ensure_future(pod.mutate([change]))
        await asyncio.sleep(0)
        await simulation.crash(host)

        with pytest.raises((HostClosed, StoreError)):
            await mutation

    simulate(scenario, 1)
