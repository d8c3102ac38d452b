"""Every argument of the public API that names a thing, and how to try it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import attrs

from persistence import Address
from pods import (
    Pod,
    RequestContext,
    TenantDirectory,
    TenantPolicy,
    add_node,
    eager,
    lazy,
    nested,
    remove_node,
)
from tests.adversarial.hostile import (
    KEYS,
    LIMITS,
    MESSAGES,
    NAMES,
    NODES,
    PARTITIONS,
    WRONG_TYPES,
    Liar,
)
from tests.adversarial.surface import Argument
from tests.adversarial.world import World
from tests.pods.support import Editorial, Review, Reviewer

__all__ = ["CASES", "EXEMPT", "Case"]

# The values are what no type checker would let through: hence Any, here only.
Hostile: TypeAlias = Any
Call: TypeAlias = Callable[[World, Hostile], Awaitable[object]]


@attrs.frozen
class Case:
    """How to hand a hostile value to one argument, and which values to try."""

    call: Call
    values: Mapping[str, object]


def _bound_handle(world: World, partition: str) -> object:
    runtime = world.host.runtime
    return type(world.handle)(runtime.operator, runtime.services.name_of, partition)


def _plain(call: Callable[[World, Hostile], object]) -> Call:
    """Make an awaitable call of one that is not."""

    async def later(world: World, value: Hostile) -> object:
        return call(world, value)

    return later


def _addresses() -> dict[str, object]:
    """Targets of a tell: refs are added by the test, these are spelled out."""
    wrong: dict[str, object] = {
        "foreign address": Address("umbrella", "workers", "victim"),
        "absent address": Address("nobody", "workers", "victim"),
        "liar of an address": Address(Liar("umbrella"), "workers", "victim"),
        "unknown manager": Address("acme", "nobody", "victim"),
    }
    wrong |= {f"key {name}": Address("acme", "workers", k) for name, k in KEYS.items()}  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong |= {f"manager {name}": Address("acme", m, "k") for name, m in NAMES.items()}  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return wrong | MESSAGES


async def _settled(made: Hostile) -> object:
    """Await what a call has returned, if it is to be awaited."""
    return await made if inspect.isawaitable(made) else made


async def _release(world: World, key: Hostile, partition: Hostile) -> object:
    await world.fragile.release(
        key, partition=partition, actor="attacker", reason="curiosity"
    )
    return "released"


def _put(partition: Hostile) -> object:
    policy = TenantPolicy()
    TenantDirectory().put(partition, policy, actor="attacker", reason="greed")
    return "put"


async def _add(world: World, **given: Hostile) -> object:
    arguments: dict[str, Hostile] = {
        "name": "added",
        "node": lazy(Reviewer, manager="workers"),
        **given,
    }
    name, node = arguments.pop("name"), arguments.pop("node")
    report = await world.pod.mutate([add_node(name, node, **arguments)])
    await world.pod.mutate([remove_node(name)])
    return report


async def _tell(world: World, target: Hostile, message: Hostile) -> object:
    async def inside(context: Hostile) -> object:
        context.tell(target, message)
        return "told"

    return await world.inside(inside)


async def _discard(world: World, key: Hostile, partition: Hostile) -> object:
    await world.fragile.discard(
        key, partition=partition, actor="attacker", reason="curiosity"
    )
    return "discarded"


async def _schedule(world: World, message: Hostile, **given: Hostile) -> object:
    async def inside(context: Hostile) -> object:
        context.schedule(message, **{"after": 1e6, "target": world.pod, **given})
        return "scheduled"

    return await world.inside(inside)


async def _unschedule(world: World, name: Hostile, **given: Hostile) -> object:
    async def inside(context: Hostile) -> object:
        context.unschedule(name, **given)
        return "called off"

    return await world.inside(inside)


def _remedy(name: str) -> Call:
    async def call(world: World, value: Hostile) -> object:
        remedy = getattr(world.handle, name)
        return await remedy("0", actor="eve", reason="x", partition=value)

    return call


async def _dead_letters(which: str, world: World, value: Hostile) -> object:
    return await world.handle.dead_letters(**{which: value})


def _inside(name: str, which: str) -> Call:
    """Call a method of the context, with the hostile value as one argument."""

    async def call(world: World, value: Hostile) -> object:
        key = value if which == "key" else "victim"
        manager = value if which == "manager" else world.workers

        async def inside(context: Hostile) -> object:
            made = getattr(context, name)(manager, key)
            return await _settled(made)

        return await world.inside(inside)

    return call


def _node_inside(name: str) -> Call:
    async def call(world: World, value: Hostile) -> object:
        async def inside(context: Hostile) -> object:
            made = getattr(context, name)(value)
            return await _settled(made)

        return await world.inside(inside)

    return call


def _handle(name: str, which: str) -> Call:
    """Call a method of the bound handle, with the hostile value as one argument."""

    async def call(world: World, value: Hostile) -> object:
        manager = value if which == "manager" else world.workers
        given = [manager] if name in ("stats", "keys") else [manager, "victim"]
        if which == "key":
            given[1] = value
        named = {which: value} if which in ("partition", "after", "limit") else {}
        made = getattr(world.handle, name)(*given, **named)
        return await _settled(made)

    return call


def _topology(name: str) -> Call:
    async def call(world: World, value: Hostile) -> object:
        return getattr(await world.pod.topology(), name)(value)

    return call


async def _declare(make: Hostile, which: str, _: World, value: Hostile) -> object:
    agent = Editorial if make is nested else Reviewer
    named = {"manager": "workers"}
    if which in ("agent", "pod"):
        agent = value
    else:
        named[which] = value
    made = make(agent, **named)
    return type(made).__name__, made.manager


CASES: dict[Argument, Case] = {
    ("InstanceManager.get", "key"): Case(
        lambda w, v: w.workers.get(v, partition="acme"), KEYS
    ),
    ("InstanceManager.get", "partition"): Case(
        lambda w, v: w.workers.get("victim", partition=v), PARTITIONS
    ),
    ("InstanceManager.lookup", "key"): Case(
        _plain(lambda w, v: w.workers.lookup(v, partition="acme")), KEYS
    ),
    ("InstanceManager.lookup", "partition"): Case(
        _plain(lambda w, v: w.workers.lookup("victim", partition=v)), PARTITIONS
    ),
    ("InstanceManager.stop", "key"): Case(
        lambda w, v: w.workers.stop(v, partition="acme"), KEYS
    ),
    ("InstanceManager.stop", "partition"): Case(
        lambda w, v: w.workers.stop("victim", partition=v), PARTITIONS
    ),
    ("InstanceManager.stats", "partition"): Case(
        lambda w, v: w.workers.stats(partition=v), PARTITIONS
    ),
    ("InstanceManager.keys", "partition"): Case(
        lambda w, v: w.workers.keys(partition=v), PARTITIONS
    ),
    ("InstanceManager.keys", "after"): Case(
        lambda w, v: w.workers.keys(partition="acme", after=v), KEYS
    ),
    ("InstanceManager.keys", "limit"): Case(
        lambda w, v: w.workers.keys(partition="acme", limit=v), LIMITS
    ),
    ("InstanceManager.quarantined", "partition"): Case(
        lambda w, v: w.fragile.quarantined(partition=v), PARTITIONS
    ),
    ("InstanceManager.release", "key"): Case(lambda w, v: _release(w, v, "acme"), KEYS),
    ("InstanceManager.release", "partition"): Case(
        lambda w, v: _release(w, "victim", v), PARTITIONS
    ),
    ("InstanceManager.discard", "key"): Case(lambda w, v: _discard(w, v, "acme"), KEYS),
    ("InstanceManager.discard", "partition"): Case(
        lambda w, v: _discard(w, "victim", v), PARTITIONS
    ),
    ("InstanceManager.inspect", "key"): Case(
        lambda w, v: w.workers.inspect(v, partition="acme"), KEYS
    ),
    ("InstanceManager.inspect", "partition"): Case(
        lambda w, v: w.workers.inspect("victim", partition=v), PARTITIONS
    ),
    ("Pod.get", "key"): Case(
        lambda w, v: Pod.get(w.workspaces, v, partition="acme"), KEYS
    ),
    ("Pod.get", "partition"): Case(
        lambda w, v: Pod.get(w.workspaces, "victim", partition=v), PARTITIONS
    ),
    ("Pod.get", "manager"): Case(
        lambda _, v: Pod.get(v, "victim", partition="acme"), NAMES
    ),
    ("PodRef.ensure_node", "node"): Case(lambda w, v: w.pod.ensure_node(v), NODES),
    ("PodRef.lookup_node", "node"): Case(
        _plain(lambda w, v: w.pod.lookup_node(v)), NODES
    ),
    ("PodRef.mutate", "changes"): Case(
        lambda w, v: w.pod.mutate(v),
        {**MESSAGES, **{f"list of {name}": [v] for name, v in MESSAGES.items()}},
    ),
    ("PodContext.mutate", "changes"): Case(
        _node_inside("mutate"),
        {**MESSAGES, **{f"list of {name}": [v] for name, v in MESSAGES.items()}},
    ),
    ("PodContext.ensure_node", "node"): Case(_node_inside("ensure_node"), NODES),
    ("PodContext.lookup_node", "node"): Case(_node_inside("lookup_node"), NODES),
    ("AgentRef.ask", "message"): Case(lambda w, v: w.pod.ask(v), MESSAGES),
    ("AgentRef.tell", "message"): Case(lambda w, v: w.pod.tell(v), MESSAGES),
    ("AgentContext.tell", "target"): Case(
        lambda w, v: _tell(w, v, Review("x")), _addresses()
    ),
    ("AgentContext.tell", "message"): Case(lambda w, v: _tell(w, w.pod, v), MESSAGES),
    ("AgentContext.schedule", "message"): Case(_schedule, MESSAGES),
    ("AgentContext.schedule", "after"): Case(
        lambda w, v: _schedule(w, Review("x"), after=v), WRONG_TYPES
    ),
    ("AgentContext.schedule", "name"): Case(
        lambda w, v: _schedule(w, Review("x"), name=v), NAMES
    ),
    ("AgentContext.schedule", "target"): Case(
        lambda w, v: _schedule(w, Review("x"), target=v),
        {n: v for n, v in _addresses().items() if v is not None},
    ),
    ("AgentContext.unschedule", "name"): Case(_unschedule, NAMES),
    ("AgentContext.unschedule", "target"): Case(
        lambda w, v: _unschedule(w, "x", target=v), _addresses()
    ),
    ("Host.manager", "name"): Case(
        _plain(lambda w, v: w.host.manager(v, Reviewer)), NAMES
    ),
    ("Host.manager", "agent"): Case(
        _plain(lambda w, v: w.host.manager("fresh", v)),
        {name: v for name, v in MESSAGES.items() if v is not Reviewer},
    ),
    ("Host.manager_named", "name"): Case(
        _plain(lambda w, v: w.host.manager_named(v)), NAMES
    ),
    ("Host.loop_times", "partition"): Case(
        _plain(lambda w, v: w.host.loop_times(partition=v)), PARTITIONS
    ),
    ("Host.partition", "of"): Case(
        _plain(lambda w, v: w.host.partition(v)), PARTITIONS
    ),
    ("PartitionHandle", "partition"): Case(_plain(_bound_handle), PARTITIONS),
    ("RequestContext", "partition"): Case(
        _plain(lambda _, v: RequestContext(partition=v)), PARTITIONS
    ),
    ("TenantDirectory.policy", "partition"): Case(
        _plain(lambda _, v: TenantDirectory().policy(v)), PARTITIONS
    ),
    ("TenantDirectory.history", "partition"): Case(
        _plain(lambda _, v: TenantDirectory().history(v)), PARTITIONS
    ),
    ("TenantDirectory.put", "partition"): Case(
        _plain(lambda _, v: _put(v)), PARTITIONS
    ),
    ("TenantDirectory.remove", "partition"): Case(
        _plain(lambda _, v: TenantDirectory().remove(v, actor="a", reason="b")),
        PARTITIONS,
    ),
    ("add_node", "name"): Case(lambda w, v: _add(w, name=v), NAMES),
    ("add_node", "node"): Case(
        lambda w, v: _add(w, node=v),
        {n: v for n, v in NODES.items() if n != "undeclared node"},
    ),
    ("add_node", "owner"): Case(lambda w, v: _add(w, owner=v), NODES),
    ("add_node", "after"): Case(
        lambda w, v: _add(w, after=v),
        {**NODES, **{f"list of {name}": [v] for name, v in NODES.items()}},
    ),
    ("remove_node", "node"): Case(
        lambda w, v: w.pod.mutate([remove_node(v)]),
        {n: v for n, v in NODES.items() if not n.startswith("its own")},
    ),
    ("PodRef.discard_node", "node"): Case(
        lambda w, v: w.pod.discard_node(v, actor="tenant", reason="mine"), NODES
    ),
    ("Topology.resolve", "node"): Case(_topology("resolve"), NODES),
}
CASES.update(
    {
        (f"AgentContext.{name}", which): Case(
            _inside(name, which), KEYS if which == "key" else NAMES
        )
        for name in ("ref", "get", "spawn", "adopt")
        for which in ("key", "manager")
    }
)
CASES.update(
    {
        (f"PartitionHandle.{name}", which): Case(
            _handle(name, which),
            {
                "key": KEYS,
                "after": KEYS,
                "manager": NAMES,
                "partition": {**PARTITIONS, "foreign": "umbrella"},
                "limit": LIMITS,
            }[which],
        )
        for name, arguments in {
            "get": ("manager", "key", "partition"),
            "lookup": ("manager", "key", "partition"),
            "stop": ("manager", "key", "partition"),
            "stats": ("manager", "partition"),
            "keys": ("manager", "after", "limit", "partition"),
        }.items()
        for which in arguments
    }
)
CASES.update(
    {
        (f"PartitionHandle.{name}", "partition"): Case(
            _remedy(name), {**PARTITIONS, "foreign": "umbrella"}
        )
        for name in ("redeliver", "drop")
    }
)
CASES.update(
    {
        ("PartitionHandle.dead_letters", which): Case(
            functools.partial(_dead_letters, which),
            {
                "partition": {**PARTITIONS, "foreign": "umbrella"},
                "after": NAMES,
                "limit": LIMITS,
            }[which],
        )
        for which in ("partition", "after", "limit")
    }
)
CASES.update(
    {
        (f"{make.__name__}", which): Case(
            functools.partial(_declare, make, which),
            values,
        )
        for make in (eager, lazy, nested)
        for which, values in {
            "pod" if make is nested else "agent": {
                n: v for n, v in MESSAGES.items() if not isinstance(v, type)
            },
            "manager": NAMES,
            "owner": NODES,
            "after": NODES,
        }.items()
    }
)


_LISTING = "lists partitions for whoever runs the host; it belongs to no tenant"
_VALUE = "a value: what uses it checks it"
_STORE = "below the runtime: tests/persistence has its contract"
_OWNER = "for the application, which owns every signal it counts"
_PURE = "a look-up in a mapping that the caller holds; a wrong name is a KeyError"

EXEMPT: dict[Argument, str] = {
    ("Host.partitions", "after"): _LISTING,
    ("Host.partitions", "limit"): _LISTING,
    ("health_table", "limit"): "rows of a table; any number is one",
    ("TelemetryPolicy.attributes", "partition"): _VALUE,
    ("Signals.numbers", "partition"): _OWNER,
    ("Signals.spans", "partition"): _OWNER,
    ("NodeSnapshot.of", "address"): _VALUE,
    ("Problem", "node"): _VALUE,
    ("Store.shard", "partition"): _STORE,
}
EXEMPT.update(
    {
        (f"{store}.{name}", which): _STORE
        for store in ("Store", "MemoryStore")
        for name, whichs in {
            "count": ("manager", "partition"),
            "keys": ("after", "limit", "manager", "partition"),
            "load": ("manager", "partition"),
            "partitions": ("after", "limit"),
            "quarantined": ("partition",),
            "inspect": ("address",),
            "letters": ("after", "limit", "partition"),
            "mail": ("limit", "target"),
            "pending": ("after", "limit"),
            "dead": ("after", "limit", "partition"),
            "reply": ("key", "target"),
        }.items()
        for which in whichs
    }
)
EXEMPT.update(
    {
        (f"Topology.{name}", "name"): _PURE
        for name in ("level", "owned_by", "owners_of", "place", "subtree")
    }
)
EXEMPT.update(
    {
        (name, which): _VALUE
        for name, whichs in {
            "Address": ("key", "manager", "partition"),
            "AgentRef": ("address",),
            "PodRef": ("address",),
            "Node": ("after", "agent", "manager", "owner", "pod"),
            "NodeSpec": ("after", "agent", "manager", "name", "owner", "pod"),
            "NodeSnapshot": ("address", "after", "manager", "name", "owner", "pod"),
            "NodeResult": ("name",),
            "ParentStopped": ("key", "manager"),
            "OffloadPolicy": ("limit",),
            "PartitionLoad": ("partition", "target"),
            "PolicyChange": ("after", "partition"),
            "HandlerTime": ("manager",),
            "Quarantine": ("address",),
            "ResourceNumbers": ("name",),
            "ShareNumbers": ("partition",),
            "Schedule": ("key", "manager", "message", "name"),
            "DeadLetter": ("key", "manager", "message", "partition"),
            "Migration": ("partition",),
            "Topology": ("pod",),
        }.items()
        for which in whichs
    }
)
