"""What is asked of PostgreSQL about letters, each question in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..identity import Address, key_to_text
from ..store import (
    DeadLetter,
    Letter,
    LetterRow,
    Reply,
    ReplyRow,
    Row,
    SpoiledLetter,
    StoredBytes,
    checksum,
    letter_of,
    reply_of,
)
from .queries import partitions
from .rows import first_due, rows_of
from .statements import DEAD, FIRST_DUE, LETTERS, MAIL, REPLY, STORED_BYTES

if TYPE_CHECKING:
    from .server import Server

__all__ = ["dead", "inspect", "letters", "mail", "pending", "reply"]


class _DeadRow(NamedTuple):
    """A dead letter as the columns of ``DEAD``."""

    partition: str
    manager: str
    key: str
    id: str
    stamp: str
    message: str
    version: int
    body: bytes
    sent: float
    tries: int
    reason: str
    since: float


async def letters(
    server: Server,
    *,
    partition: str,
    until: float,
    after: tuple[float, str],
    limit: int,
) -> list[Letter | SpoiledLetter]:
    """List letters by when they are due, readable or not."""
    due, stamp = after
    found = await server.read(
        "reading of letters",
        LETTERS,
        partition,
        until=until,
        due=due,
        stamp=stamp,
        limit=limit,
    )
    return [letter_of(LetterRow._make(row), partition) for row in rows_of(found)]


async def mail(server: Server, target: Address, *, limit: int) -> list[Letter]:
    """List the readable letters of one target."""
    found = await server.read(
        "listing of mail",
        MAIL,
        target.partition,
        manager=target.manager,
        key=key_to_text(target.key),
        limit=limit,
    )
    rows = [LetterRow._make(row) for row in rows_of(found)]
    read = [letter_of(row, target.partition) for row in rows]
    return [letter for letter in read if isinstance(letter, Letter)]


async def pending(
    server: Server, *, after: str | None, limit: int
) -> list[tuple[str, float]]:
    """List the partitions that have letters, with when the first is due.

    No setting shows the letters of two partitions at once. So each partition that has
    an owner is asked in turn; a page of them travels in one round trip.
    """
    page: list[tuple[str, float]] = []
    while len(page) < limit:
        names = await partitions(server, after=after, limit=limit)
        calls = [(name, {"partition": name}) for name in names]
        answers = await server.read_many("look for letters", FIRST_DUE, calls)
        for name, found in zip(names, answers, strict=True):
            _, due = first_due(found)
            if due is not None:
                page.append((name, due))
        if len(names) < limit:
            break
        after = names[-1]
    return page[:limit]


async def dead(
    server: Server, *, partition: str, after: str, limit: int
) -> list[DeadLetter]:
    """List dead letters as they are stored."""
    found = await server.read(
        "listing of dead letters", DEAD, partition, after=after, limit=limit
    )
    return [DeadLetter(*_DeadRow._make(row)) for row in rows_of(found)]


async def reply(server: Server, target: Address, key: str) -> Reply | None:
    """Return a remembered reply.

    Raises:
        CorruptRecord: the row is damaged.
    """
    found = await server.read(
        "look for a reply",
        REPLY,
        target.partition,
        manager=target.manager,
        key=key_to_text(target.key),
        request=key,
    )
    rows = [ReplyRow._make(row) for row in rows_of(found)]
    return reply_of(rows[0], target) if rows else None


async def inspect(server: Server, target: Address) -> list[StoredBytes]:
    """Return the rows of an instance as they are."""
    found = await server.read(
        "inspection",
        STORED_BYTES,
        target.partition,
        manager=target.manager,
        key=key_to_text(target.key),
    )
    answer: list[StoredBytes] = []
    for *columns, digest in rows_of(found):
        row = Row._make(columns)
        intact = checksum(row) == digest
        answer.append(StoredBytes(row.kind, row.rev, row.version, row.body, intact))
    return answer
