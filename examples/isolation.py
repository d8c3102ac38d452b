"""The same pod key in two partitions: what they share, and what they never do.

Two companies run a support desk under the key ``"helpdesk"`` on one host. Every line
that this prints is a promise, and was checked just before it was printed.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import attrs

from pods import (
    Address,
    Agent,
    AgentNotFound,
    AgentRef,
    Host,
    InstanceManager,
    Message,
    PartitionMismatch,
    Pod,
    PodRef,
    eager,
    handler,
    lazy,
)

KEY = "helpdesk"
TICKETS = ("printer", "password", "projector")

Proof = Callable[[str, bool], None]
"""Takes a claim and whether it holds."""


@attrs.frozen
class Life:
    tickets: int
    born: str  # made anew by every activation, never stored
    parent: Address | None


class File(Message[int]):
    text: str


class Describe(Message[Life]):
    pass


class Clerk(Agent):
    tickets: int = 0

    async def on_start(self) -> None:
        self.born = uuid4().hex

    @handler
    def file(self, message: File) -> int:
        self.tickets += 1
        return self.tickets

    @handler
    def describe(self, message: Describe) -> Life:
        parent = self.context.parent
        return Life(self.tickets, self.born, parent.address if parent else None)


class Reach(Message[None]):
    target: AgentRef[Clerk]


class Desk(Pod):
    inbox = eager(Clerk, manager="clerks")
    translator = lazy(Clerk, manager="clerks", owner=inbox)

    @handler(raises=(AgentNotFound,))  # an answer, not a crash
    def reach(self, message: Reach) -> None:
        self.context.tell(message.target, File("not mine"))


async def demo(url: str, proof: Proof) -> None:
    async with Host(url) as host:
        host.manager("clerks", Clerk)
        desks = host.manager("desks", Desk)
        north = await Pod.get(desks, KEY, partition="north")
        south = await Pod.get(desks, KEY, partition="south")
        await one_key_two_pods(north, south, proof)
        await eager_and_lazy(north, south, proof)
        await lineage(north, south, proof)
        await nobody_crosses(host, desks, north, south, proof)
        await hibernate_one(desks, north, south, proof)


async def one_key_two_pods(
    north: PodRef[Desk], south: PodRef[Desk], proof: Proof
) -> None:
    proof("both partitions use one key", north.key == south.key == KEY)
    proof("and yet these are two pods", north.address != south.address)


async def eager_and_lazy(
    north: PodRef[Desk], south: PodRef[Desk], proof: Proof
) -> None:
    both = [pod.lookup_node(Desk.inbox) for pod in (north, south)]
    proof("the eager node runs in both", None not in both)
    both = [pod.lookup_node(Desk.translator) for pod in (north, south)]
    proof("the lazy node runs in neither", both == [None, None])

    translator = await north.ensure_node(Desk.translator)
    await translator.ask(File("hola"))
    proof(
        "asked for in north, it starts in north",
        translator.address.partition == "north",
    )
    proof("and not in south", south.lookup_node(Desk.translator) is None)

    inbox = await north.ensure_node(Desk.inbox)
    for text in TICKETS:
        await inbox.ask(File(text))
    proof(
        "north's inbox has three tickets", (await life(north)).tickets == len(TICKETS)
    )
    proof("south's inbox has none", (await life(south)).tickets == 0)


async def lineage(north: PodRef[Desk], south: PodRef[Desk], proof: Proof) -> None:
    for pod in (north, south):
        name = pod.address.partition
        parent = (await life(pod)).parent
        proof(f"{name}'s inbox is a child of {name}'s desk", parent == pod.address)
    inbox = await north.ensure_node(Desk.inbox)
    translator = await north.ensure_node(Desk.translator)
    parent = (await translator.ask(Describe())).parent
    proof("north's translator is a child of north's inbox", parent == inbox.address)


async def nobody_crosses(
    host: Host,
    desks: InstanceManager[Desk],
    north: PodRef[Desk],
    south: PodRef[Desk],
    proof: Proof,
) -> None:
    inbox = await south.ensure_node(Desk.inbox)
    reached = north.ask(Reach(inbox))
    claim = "north does not find south's inbox, even when handed a ref"
    proof(claim, await refused(reached, AgentNotFound))
    got = host.partition("north").get(desks, KEY, partition="south")
    claim = "a handle bound to north refuses south"
    proof(claim, await refused(got, PartitionMismatch))
    proof("south still has no ticket", (await life(south)).tickets == 0)


async def hibernate_one(
    desks: InstanceManager[Desk], north: PodRef[Desk], south: PodRef[Desk], proof: Proof
) -> None:
    before_north, before_south = await life(north), await life(south)
    await desks.stop(KEY, partition="north")
    proof(
        "north's desk is gone from memory", desks.lookup(KEY, partition="north") is None
    )
    proof("and its inbox with it", north.lookup_node(Desk.inbox) is None)
    proof("south's desk is live", desks.lookup(KEY, partition="south") is not None)

    await Pod.get(desks, KEY, partition="north")
    now = await life(north)
    proof("north is another activation", now.born != before_north.born)
    proof("with the tickets it had", now.tickets == before_north.tickets)
    proof("and the parent it had", now.parent == before_north.parent)
    translator = await north.ensure_node(Desk.translator)
    tickets = (await translator.ask(Describe())).tickets
    proof("its lazy node kept its ticket too", tickets == 1)
    proof("south never noticed", await life(south) == before_south)


async def life(pod: PodRef[Desk]) -> Life:
    inbox = await pod.ensure_node(Desk.inbox)
    return await inbox.ask(Describe())


async def refused(call: Awaitable[object], error: type[Exception]) -> bool:
    try:
        await call
    except error:
        return True
    return False


def print_proof(claim: str, holds: bool) -> None:
    if not holds:
        raise AssertionError(claim)
    print(f"ok  {claim}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="podvisor-") as folder:
        file = quote(str(Path(folder, "desks.db")))
        asyncio.run(demo(f"sqlite+aiosqlite:///{file}", print_proof))


if __name__ == "__main__":
    main()
