"""Requests with an idempotency key: handled once, answered as often as they are asked.

The reply is stored in the commit of the turn that gives it. Whoever asks again with the
same key, now or after a restart, gets the stored reply and no handler runs.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING

import attrs

from persistence import (
    Address,
    Answer,
    ForgetReplies,
    Operation,
    Reply,
    Unit,
    check_key,
)

from ..errors import AskTimeout, IdempotencyMismatch, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from persistence import Clock, Writer

    from ..agents import Acknowledgement, Partition, Staged
    from ..declaration import EncodedMessage, MessageCodec
    from ..lifecycle import Catalog

__all__ = ["IdempotentRequests"]

_HOUR = 3_600.0


@attrs.frozen
class _Asked:
    """A request and how its reply is known."""

    target: Address
    key: str
    digest: bytes
    wire: MessageCodec
    message: object


class IdempotentRequests:
    """The idempotent requests of one host.

    Args:
        catalog: finds managers and asks the store.
        writer: removes replies that have expired.
        remember: seconds for which a reply is kept.
        clock: wall time.
    """

    def __init__(
        self, catalog: Catalog, writer: Writer, remember: float, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._writer = writer
        self._remember = remember
        self._clock = clock
        self._open: dict[tuple[Address, str], asyncio.Future[None]] = {}
        self._swept: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<IdempotentRequests open={len(self._open)}>"

    async def ask(
        self,
        target: Address,
        message: object,
        key: str,
        seconds: float,
        send: Callable[[Acknowledgement], Awaitable[object]],
    ) -> object:
        """Return the reply on record, or have the request handled and recorded.

        Args:
            target: who is asked.
            message: the request.
            key: the idempotency key.
            seconds: how long to wait for another who asks the same.
            send: has the request handled.

        Raises:
            IdempotencyMismatch: the key was used for another request.
            UnstorableMessage: the request or its reply has no stored form.
            AskTimeout: another asks the same and has no reply in time.
        """
        asked = self._read(target, message, key)
        partition = await self._catalog.claim(target.partition)
        self._sweep(partition)
        await self._wait(asked, seconds)
        done = self._open[target, key] = asyncio.get_running_loop().create_future()
        remembered = _Remembered(self, partition, asked, done)
        sent = False
        try:
            known = await self._catalog.read(
                lambda store: store.reply(target, key), partition=target.partition
            )
            if known is not None:
                return _told(asked, known)
            sent = True
            return await send(remembered)
        finally:
            if not sent:
                self.over(asked.target, asked.key, done)

    def over(self, target: Address, key: str, done: asyncio.Future[None]) -> None:
        """Let the next one who asks the same look for the reply."""
        if self._open.get((target, key)) is done:
            del self._open[target, key]
        if not done.done():
            done.set_result(None)

    def reply(self, asked: _Asked, value: object) -> Reply:
        """Make the record of a reply.

        Raises:
            UnstorableMessage: it has no stored form.
        """
        return Reply(
            target=asked.target,
            key=asked.key,
            digest=asked.digest,
            body=asked.wire.pack_reply(asked.message, value, asked.target),
            expires=self._clock.wall() + self._remember,
        )

    def _read(self, target: Address, message: object, key: str) -> _Asked:
        if not isinstance(check_key(key), str):
            raise InvalidArgument("idempotency_key", key, "a text")
        wire = self._catalog.manager(target.manager).spec.wire
        packed = wire.pack(message, target)
        wire.reply_codec(message, target)  # better now than after the work
        return _Asked(target, key, _digest(packed), wire, message)

    async def _wait(self, asked: _Asked, seconds: float) -> None:
        """Wait until nobody else has this request handled."""
        try:
            async with asyncio.timeout(seconds):
                while (other := self._open.get((asked.target, asked.key))) is not None:
                    await asyncio.wait([other])
        except TimeoutError:
            name = type(asked.message).__qualname__
            raise AskTimeout(asked.target, name, seconds) from None

    def _sweep(self, partition: Partition) -> None:
        """Remove what has expired, once an hour and partition at most."""
        now = self._clock.wall()
        if now - self._swept.get(partition.name, 0.0) >= _HOUR:
            self._swept[partition.name] = now
            forget = ForgetReplies(partition.name, now)
            unit = Unit(partition.name, partition.epoch, (forget,))
            _ = self._writer.submit(unit)  # the next sweep makes up for it


@attrs.define(eq=False)
class _Remembered:
    """The delivery of a request, and what its turn stages."""

    requests: IdempotentRequests
    partition: Partition
    asked: _Asked
    done: asyncio.Future[None]
    record: Reply | None = None
    recalled: bool = False

    def waits_for(self, staged: Sequence[Staged]) -> bool:
        """Tell that nobody calls it off."""
        return False

    def handled(self, value: object) -> _Remembered:
        """Commit the reply with the turn."""
        self.record = self.requests.reply(self.asked, value)
        return self

    def failed(self, error: BaseException, *, answered: bool) -> None:
        """Remember nothing: who asks again may have better luck."""
        self._over()

    def returned(self) -> None:
        """Likewise: it was not handled."""
        self._over()

    def operations(self) -> tuple[Operation, ...]:
        """Store the reply."""
        return () if self.record is None else (Answer(self.record),)

    def committed(self) -> None:
        """Let others find the reply."""
        self._over()

    def undone(self) -> None:
        """Let others try."""
        self._over()

    def _over(self) -> None:
        self.requests.over(self.asked.target, self.asked.key, self.done)


def _told(asked: _Asked, known: Reply) -> object:
    if known.digest != asked.digest:
        raise IdempotencyMismatch(asked.target, asked.key)
    return asked.wire.unpack_reply(asked.message, known.body, asked.target)


def _digest(packed: EncodedMessage) -> bytes:
    head = f"{packed.version}.{len(packed.message)}:{packed.message}".encode()
    return blake2b(head + packed.body, digest_size=16).digest()
