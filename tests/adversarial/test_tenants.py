"""Random operations of three tenants, compared with dictionaries."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from persistence import Address, Key
from pods import (
    AgentNotFound,
    AgentRef,
    Host,
    InstanceManager,
    Pod,
    PodRef,
    RestartPolicy,
    UnknownNode,
    add_node,
    lazy,
    remove_node,
)
from tests.pods.support import (
    Boom,
    Count,
    Medium,
    Review,
    Reviewer,
    WatchedStore,
    answer,
    live,
    records,
)
from tests.support import ManualClock

__all__: list[str] = []

T = TypeVar("T")

pytestmark = pytest.mark.timeout(300)

PARTITIONS = st.sampled_from(["acme", "acme-corp", "acme.corp"])
KEYS: st.SearchStrategy[Key] = st.sampled_from(
    ["victim", ("victim",), ("desks", "victim", "desk")]
)
NODES = st.sampled_from(["desk", "acme"])
MANAGERS = ("workers", "desks")


class Desk(Pod):
    """A pod whose nodes start only when asked for, so that the model stays small."""

    desk = lazy(Reviewer, manager="workers")


class Tenants(RuleBasedStateMachine):
    """Hosts come and go; what the model says is what the product must have.

    Attributes:
        counts: what each worker must have counted, by address.
        nodes: the nodes of each pod, by address.
        awake: the addresses of all live instances.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.counts: dict[Address, int] = {}
        self.nodes: dict[Address, set[str]] = {}
        self.awake: set[Address] = set()
        self.medium = self.make()
        self.open()

    def make(self) -> Medium:
        return Medium.memory()

    def run(self, call: Coroutine[object, object, T]) -> T:
        return self.runner.run(call)

    def open(self) -> None:
        self.clock = ManualClock()
        self.store: WatchedStore = self.medium.store()
        self.host: Host = self.medium.host(self.store, clock=self.clock)
        policy = RestartPolicy(max_restarts=1_000)
        self.workers: InstanceManager[Reviewer] = self.host.manager(
            "workers", Reviewer, restart=policy
        )
        self.desks: InstanceManager[Desk] = self.host.manager("desks", Desk)
        self.run(self.host.__aenter__())

    def teardown(self) -> None:
        self.run(self.host.__aexit__(None, None, None))
        self.runner.close()

    def pod(self, partition: str, key: Key) -> PodRef[Desk]:
        pod = self.run(Desk.get(self.desks, key, partition=partition))
        self.awake.add(pod.address)
        self.nodes.setdefault(pod.address, {"desk"})
        return pod

    def ask(self, worker: AgentRef[Reviewer]) -> None:
        """Let a worker count one more, and compare."""
        self.awake.add(worker.address)
        expected = self.counts.get(worker.address, 0) + 1
        self.counts[worker.address] = expected
        assert self.run(worker.ask(Review("x"))) == expected

    def worker(self, partition: str, key: Key) -> AgentRef[Reviewer] | None:
        """Get a worker, unless its key names a node that a live pod does not have."""
        address = Address(partition, "workers", key)
        match key:
            case ("desks", pod_key, str(node)):
                pod = Address(partition, "desks", pod_key)
                lost = pod in self.awake and node not in self.nodes[pod]
            case _:
                lost = False
        if lost and address not in self.awake:
            found = self.run(answer(self.workers.get(key, partition=partition)))
            assert isinstance(found, AgentNotFound)
            return None
        return self.run(self.workers.get(key, partition=partition))

    def slept(self, pod: Address) -> None:
        self.awake.discard(pod)
        for address in list(self.awake):
            if self.parent_of(address) == pod:
                self.awake.discard(address)

    def parent_of(self, address: Address) -> Address | None:
        instance = self.host.runtime.catalog.find(address)
        return None if instance is None else instance.parent_address

    @rule(partition=PARTITIONS, key=KEYS)
    def work(self, partition: str, key: Key) -> None:
        if (worker := self.worker(partition, key)) is not None:
            self.ask(worker)

    @rule(partition=PARTITIONS, key=KEYS)
    def look_up(self, partition: str, key: Key) -> None:
        for manager in (self.workers, self.desks):
            found = manager.lookup(key, partition=partition)
            address = Address(partition, manager.name, key)
            assert (found is not None) == (address in self.awake)

    @rule(partition=PARTITIONS, key=KEYS)
    def stop_a_worker(self, partition: str, key: Key) -> None:
        address = Address(partition, "workers", key)
        stopped = self.run(self.workers.stop(key, partition=partition))
        assert stopped == (address in self.awake)
        self.awake.discard(address)

    @rule(partition=PARTITIONS, key=KEYS, node=NODES)
    def work_at_a_node(self, partition: str, key: Key, node: str) -> None:
        pod = self.pod(partition, key)
        if node not in self.nodes[pod.address]:
            assert isinstance(self.run(answer(pod.ensure_node(node))), UnknownNode)
            return
        worker = self.run(pod.ensure_node(node))
        assert worker.address == Address(partition, "workers", ("desks", key, node))
        assert live(self.host, worker).parent is live(self.host, pod)
        self.ask(self.workers_ref(worker))

    def workers_ref(self, worker: AgentRef[object]) -> AgentRef[Reviewer]:
        found = self.run(
            self.workers.get(worker.key, partition=worker.address.partition)
        )
        assert live(self.host, found) is live(self.host, worker)
        return found

    @precondition(lambda self: any(isinstance(a.key, tuple) for a in self.awake))
    @rule(data=st.data())
    def stop_a_node(self, data: st.DataObject) -> None:
        nodes = [
            a for a in self.awake if isinstance(a.key, tuple) and a.manager == "workers"
        ]
        for address in data.draw(st.permutations(sorted(nodes, key=str)))[:1]:
            stop = self.workers.stop(address.key, partition=address.partition)
            assert self.run(stop)
            self.awake.discard(address)

    @rule(partition=PARTITIONS, key=KEYS)
    def stop_a_pod(self, partition: str, key: Key) -> None:
        address = Address(partition, "desks", key)
        children = {a for a in self.awake if self.parent_of(a) == address}
        stopped = self.run(self.desks.stop(key, partition=partition))
        assert stopped == (address in self.awake)
        self.awake -= {address, *children} if stopped else set()

    @rule(partition=PARTITIONS, key=KEYS, node=NODES)
    def mutate(self, partition: str, key: Key, node: str) -> None:
        pod = self.pod(partition, key)
        names = self.nodes[pod.address]
        address = Address(partition, "workers", ("desks", key, node))
        if node in names:
            report = self.run(pod.mutate([remove_node(node)]))
            assert report.ok
            names.discard(node)
            self.counts.pop(address, None)
            self.awake.discard(address)
        else:
            worker = lazy(Reviewer, manager="workers")
            assert self.run(pod.mutate([add_node(node, worker)])).added == (node,)
            names.add(node)
        assert set(self.run(pod.topology())) == names

    @rule(partition=PARTITIONS, key=KEYS)
    def crash(self, partition: str, key: Key) -> None:
        worker = self.worker(partition, key)
        if worker is None:
            return
        self.awake.add(worker.address)
        error = self.run(answer(worker.ask(Boom())))
        assert isinstance(error, RuntimeError)
        self.clock.advance(10)
        assert self.run(worker.ask(Count())) == self.counts.get(worker.address, 0)

    @precondition(lambda self: self.awake)
    @rule(orderly=st.booleans())
    def open_again(self, orderly: bool) -> None:
        self.store.gone = not orderly
        report = self.run(self.host.stop())
        assert report.clean or not orderly
        self.awake.clear()
        self.open()

    @invariant()
    def everybody_is_where_the_model_says(self) -> None:
        """G7: registry identity and parent bindings, for every live object."""
        runtime = self.host.runtime
        instances = runtime.registries.instances()
        assert {i.address for i in instances} == self.awake
        for instance in instances:
            address = instance.address
            shard = runtime.registries.of(address.manager).shard(address.partition)
            assert shard[address.key] is instance
            assert instance.partition.name == address.partition
            parent = instance.parent_address
            if parent is not None:
                assert parent.partition == address.partition
                assert address.key == (parent.manager, parent.key, str(address.key[-1]))
            for child in instance.children:
                assert child.parent is instance
                assert child.address in self.awake

    @invariant()
    def every_row_is_where_the_model_says(self) -> None:
        """G7: persistence identity and content, for every row."""
        for partition in ("acme", "acme-corp", "acme.corp"):
            rows = self.run(records(self.store, partition, manager_names=MANAGERS))
            for address, found in rows.items():
                for row in found:
                    assert row.address == address
                    assert row.parent is None or row.parent.partition == partition
            counted = {
                a: f'{{"reviewed":{n}}}'.encode()
                for a, n in self.counts.items()
                if a.partition == partition
            }
            stored = {a: f[0].body for a, f in rows.items() if a.manager == "workers"}
            assert counted.items() <= stored.items()
            assert set(stored.values()) - set(counted.values()) <= {b'{"reviewed":0}'}


class TenantsOnSqlite(Tenants):
    """The same on a file."""

    def make(self) -> Medium:
        self.folder = tempfile.TemporaryDirectory()
        return Medium.sqlite(self.folder.name)

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


Tenants.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TenantsOnSqlite.TestCase.settings = settings(
    Tenants.TestCase.settings, max_examples=5, stateful_step_count=20
)
TestTenants = Tenants.TestCase
TestTenantsOnSqlite = TenantsOnSqlite.TestCase
