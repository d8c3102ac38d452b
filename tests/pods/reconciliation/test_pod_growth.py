"""What a pod costs grows with what it holds: counted in operations, not in time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import attrs
import pytest

from pods import InstanceManager, OnParentStop, Pod, PodRef, Source
from tests.benchmarks.linked import linked
from tests.pods.support import Medium, Reviewer, WatchedStore, live

__all__: list[str] = []

T = TypeVar("T")

pytestmark = pytest.mark.timeout(120)  # counting every call is slow, more so if traced

RATIO = 14
"""The most that ten times as many nodes may cost, as a multiple."""


@attrs.define(eq=False)
class Costs:
    """What operations on one pod cost: calls in our own files, and of the store."""

    store: WatchedStore
    calls: dict[str, int] = attrs.field(factory=dict[str, int])
    visits: dict[str, Counter[str]] = attrs.field(factory=dict[str, Counter[str]])
    keys: dict[str, int] = attrs.field(factory=dict[str, int])

    async def of(self, what: str, call: Awaitable[T]) -> T:
        """Count what a call costs, everything that it makes the loop do included."""
        visits, keys = Counter(self.store.calls), self.store.keys_loaded
        with counting() as counter:
            result = await call
        self.calls[what] = counter.calls
        self.visits[what] = self.store.calls - visits
        self.keys[what] = self.store.keys_loaded - keys
        return result


@attrs.define(eq=False)
class CallCounter:
    """Counts the calls of functions that the product's own files define."""

    calls: int = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and is_ours(frame.f_code.co_filename):
            self.calls += 1


def is_ours(file: str) -> bool:
    packages = ("/pods/", "/supervision/", "/persistence/")
    return "/tests/" not in file and any(package in file for package in packages)


@contextmanager
def counting() -> Generator[CallCounter]:
    counter = CallCounter()
    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        yield counter
    finally:
        sys.setprofile(before)


async def measure(medium: Medium, hundreds: int, key: str) -> Costs:
    """Take one pod through its life, and count."""
    costs, nodes = Costs(medium.store()), 100 * hundreds
    async with medium.host(costs.store) as host:
        host.manager("workers", Reviewer)
        pods: InstanceManager[Pod] = host.manager(
            "pods", linked(hundreds, OnParentStop.CONTINUE)
        )
        pod: PodRef[Pod] = await costs.of("get", Pod.get(pods, key, partition="acme"))
        assert len((await pod.report()).nodes) == nodes
        await costs.of("get again", Pod.get(pods, key, partition="acme"))
        await costs.of("reconcile", pod.reconcile())
        assert len(await costs.of("nodes", pod.nodes())) == nodes
        await pod.stop()
        assert host.statistics().live == nodes
        await costs.of("adopt", Pod.get(pods, key, partition="acme"))
        report = await pod.report()
        sources = Counter(result.source for result in report.nodes)
        assert sources == {Source.ADOPTED: hundreds, Source.RUNNING: 99 * hundreds}
        with counting() as counter:
            found = pod.lookup_node("middle0")
        assert found is not None
        assert live(host, found).parent is not None
        costs.calls["lookup_node"] = counter.calls
    async with medium.host(costs.store) as host:
        host.manager("workers", Reviewer)
        pods = host.manager("pods", linked(hundreds, OnParentStop.STOP))
        pod = await costs.of("thaw", Pod.get(pods, key, partition="acme"))
        await costs.of("stop", pod.stop())
        await pod.reconcile()
        await pod.stop()
        assert len(await costs.of("nodes asleep", pod.nodes())) == nodes
    return costs


@pytest.mark.timeout(60)
async def test_what_a_pod_costs_grows_linearly(medium: Medium) -> None:
    """G17: ten times as many linked nodes cost at most fourteen times as much."""
    small = await measure(medium, 1, "small")
    large = await measure(medium, 10, "large")

    ratios = {what: large.calls[what] / small.calls[what] for what in small.calls}

    assert ratios.pop("lookup_node") == 1
    assert {what: ratio for what, ratio in ratios.items() if ratio > RATIO} == {}
    assert small.calls["get again"] == large.calls["get again"]
    assert max(large.keys.values()) <= 2 * 1_001
    assert not large.visits["get again"] + large.visits["reconcile"]
    assert not large.visits["nodes"]
    assert large.visits["nodes asleep"]["load"] <= 1_000
