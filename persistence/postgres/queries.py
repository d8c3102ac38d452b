"""What is asked of PostgreSQL, each question in one round trip.

As in ``queries``: a record that is damaged is reported under the key that was asked
for, and a listing passes over a row whose identity cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ..errors import CorruptRecord, StoreUnavailable
from ..identity import (
    Address,
    InvalidKey,
    InvalidPartition,
    Key,
    check_partition,
    key_from_text,
    key_to_text,
)
from ..sql import ALL_OWNERS
from ..store import Claim, Quarantine
from .rows import addresses, first_due, loaded, marks, texts
from .server import FAILURES, Server, sqlstate, unavailable
from .statements import (
    CHILDREN,
    CLAIM,
    COUNT,
    FIRST_DUE,
    KEYS,
    LOAD,
    PARTITIONS,
    QUARANTINED,
    Statement,
)

if TYPE_CHECKING:
    from ..store import Loaded

__all__ = ["children", "claim", "count", "keys", "load", "partitions", "quarantined"]

T = TypeVar("T")
Values: TypeAlias = Mapping[str, str | int]

_DAMAGE = ("XX001", "XX002")


async def claim(server: Server, names: Sequence[str]) -> list[Claim]:
    """Raise the epochs of partitions, in one transaction.

    In the order of their names, so that two hosts never wait for each other.
    """
    order = sorted(names)
    calls = [(name, {"partition": name}) for name in order]
    try:
        async with server.transaction() as session:
            epochs = await session.run(CLAIM, calls)
            marked = await session.run(QUARANTINED, calls)
            first = await session.run(FIRST_DUE, calls)
    except FAILURES as error:
        raise unavailable("claim", error) from error
    claims: dict[str, list[Claim]] = {}
    for name, epoch, found, due in zip(order, epochs, marked, first, strict=True):
        marks_of_name = tuple(marks(found, name))
        one = Claim(name, int(str(epoch)), marks_of_name, *first_due(due))
        claims.setdefault(name, []).append(one)
    return [claims[name].pop(0) for name in names]


async def load(
    server: Server, manager: str, asked: Mapping[str, Address], *, partition: str
) -> dict[str, Loaded]:
    """Read the records of addresses, each under the text of its key.

    If a damaged page makes the server give up on the batch, the keys are read one by
    one, so that the damage costs those that lie on the page and no others.
    """
    try:
        found = await server.read(
            "load", LOAD, partition, manager=manager, keys=list(asked)
        )
    except StoreUnavailable as error:
        cause = error.__cause__
        if cause is None or sqlstate(cause) not in _DAMAGE:
            raise
    else:
        return loaded(found, asked)
    if len(asked) == 1:
        reason = "the database cannot read its row"
        return {text: CorruptRecord(one, reason) for text, one in asked.items()}
    answer: dict[str, Loaded] = {}
    for text, one in asked.items():
        answer |= await load(server, manager, {text: one}, partition=partition)
    return answer


async def keys(
    server: Server, manager: str, *, partition: str, after: Key | None, limit: int
) -> list[Key]:
    """List the keys of a manager, a page at a time."""
    start = "" if after is None else key_to_text(after)
    values: Values = {"manager": manager, "after": start, "limit": limit}
    return await _page(server, KEYS, partition, values, key_from_text)


async def partitions(server: Server, *, after: str | None, limit: int) -> list[str]:
    """List the partitions that have an owner, a page at a time."""
    values: Values = {"after": after or "", "limit": limit}
    return await _page(server, PARTITIONS, ALL_OWNERS, values, check_partition)


async def _page(
    server: Server,
    statement: Statement,
    partition: str,
    values: Values,
    read: Callable[[str], T],
) -> list[T]:
    """Read a page of one column; it is full unless the listing ends in it.

    Unreadable rows are passed over here, as a short page would tell the caller that
    the listing has ended.
    """
    page: list[T] = []
    after, limit = values["after"], int(values["limit"])
    while len(page) < limit:
        wanted = limit - len(page)
        found = texts(
            await server.read(
                "listing",
                statement,
                partition,
                **{**values, "after": after, "limit": wanted},
            )
        )
        for text in found:
            try:
                page.append(read(text))
            except (InvalidKey, InvalidPartition):
                continue
        if len(found) < wanted:
            break
        after = found[-1]
    return page


async def count(server: Server, manager: str, *, partition: str) -> int:
    """Count the instances that have a state."""
    number = await server.read("count", COUNT, partition, manager=manager)
    return int(str(number))


async def children(server: Server, parent: Address) -> list[Address]:
    """List the instances whose parent is the given one."""
    found = await server.read(
        "listing of children",
        CHILDREN,
        parent.partition,
        manager=parent.manager,
        key=key_to_text(parent.key),
    )
    return addresses(found, parent.partition)


async def quarantined(server: Server, *, partition: str) -> list[Quarantine]:
    """List the instances of a partition that may not start."""
    found = await server.read("listing of quarantine", QUARANTINED, partition)
    return marks(found, partition)
