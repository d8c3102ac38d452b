"""What a run has left behind: read in the end, and held against what was said."""

from __future__ import annotations

import asyncio

from persistence import Address
from pods import Agent, AgentRef, MailboxFull, UnknownNode

from .agents import Read, Report, Team
from .model import Outcome
from .process import PATIENCE
from .world import World

__all__ = ["all_arrived", "lost_mutations", "reports_of"]

_WAITS = 20
_WAIT = 30.0
"""Virtual seconds; the longest pause between two tries of a letter is 300."""
_AHEAD = 7_300.0
"""Seconds; a timer that was set while the clock was ahead is due so much later."""
_FULL = 10
"""Seconds after which nobody is late with what is in a mailbox of two messages."""


async def all_arrived(world: World) -> dict[Address, Report]:
    """Wait until every durable message has arrived, or for long; read all."""
    reports = await reports_of(world)
    for wait in range(_WAITS):
        if not world.model.missing(reports):
            break
        if wait == _WAITS // 2:
            world.simulation.jump(_AHEAD)
        await asyncio.sleep(_WAIT)
        reports = await reports_of(world)
    return reports


async def reports_of(world: World) -> dict[Address, Report]:
    """Read every ledger that an operation was meant for, released if need be."""
    found: dict[Address, Report] = {}
    for address in world.model.addresses():
        if address in world.model.removing:
            continue
        try:
            ref = await _ref(world, address)
        except UnknownNode:
            found[address] = Report((), 0, 0)
        else:
            found[address] = await _read(ref)
    return found


async def _read(ref: AgentRef[Agent]) -> Report:
    """Read a ledger; letters that have just arrived may fill its mailbox."""
    for _ in range(_FULL):
        try:
            return await ref.ask(Read(), timeout=PATIENCE)
        except MailboxFull:
            await asyncio.sleep(1.0)
    return await ref.ask(Read(), timeout=PATIENCE)


async def _ref(world: World, address: Address) -> AgentRef[Agent]:
    process = await world.process()
    manager = process.host.manager_named(address.manager)
    partition, key = address.partition, address.key
    for one in (process.ledgers, process.drafts, process.teams, process.squads):
        for marked in await one.quarantined(partition=partition):
            await one.release(
                marked.address.key, partition=partition, actor="test", reason="test"
            )
    match key:
        case (str(), str(pod_key), str(name)):
            pod = await Team.get(process.teams, pod_key, partition=partition)
            return await pod.ensure_node(name)
        case _:
            return await manager.get(key, partition=partition)


async def lost_mutations(world: World) -> list[str]:
    """Hold the topologies against what the callers of ``mutate`` were told."""
    found: list[str] = []
    for node, (there, outcome) in world.model.nodes.items():
        if outcome is not Outcome.DONE:
            continue
        await _ref(world, Address(node.partition, "teams", node.key[1]))
        pod = await world.pod(node.partition, str(node.key[1]))
        assert pod is not None
        await pod.reconcile()
        names = {one.name for one in (await pod.topology()).nodes}
        if (node.key[-1] in names) is not there:
            found.append(f"a mutation is lost: {node}, there: {not there}")
    return found
