"""Requests with an idempotency key: handled once, answered each time they come.

The reply is stored in the commit of the turn that gives it. Another ask with the same
key, now or after a restart, gets the stored reply and no handler runs.
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
"""Seconds between two removals of expired replies in one partition, at least."""


@attrs.frozen
class _Asked:
    """A request with its key, and a digest of the message for comparison."""

    target: Address
    key: str
    digest: bytes
    wire: MessageCodec
    message: object


class IdempotentRequests:
    """The idempotent requests of one host.

    Owns the requests that are open, at most one for each target and key. ``Calls`` uses
    it.

    Args:
        catalog: finds managers and reads the store.
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
        """Return the stored reply, or send the request and store its reply.

        Args:
            target: address of the instance that is asked.
            message: the request.
            key: the idempotency key.
            seconds: how long to wait for an open request with the same key.
            send: sends the request to its handler, and waits for the reply.

        Raises:
            InvalidArgument: the key is no text.
            IdempotencyMismatch: the key was used for another request.
            UnstorableMessage: the request or its reply has no stored form.
            AskTimeout: an open request with the same key has not ended in time.
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
        """End an open request, so that the next one with its key reads the reply.

        Args:
            target: address of the instance that was asked.
            key: the idempotency key.
            done: the future of the open request; of another one, the entry stays.
        """
        if self._open.get((target, key)) is done:
            del self._open[target, key]
        if not done.done():
            done.set_result(None)

    def reply(self, asked: _Asked, value: object) -> Reply:
        """Build the record of a reply.

        Args:
            asked: the request.
            value: the reply of its handler.

        Raises:
            UnstorableMessage: the reply has no stored form.
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
        wire.reply_codec(message, target)  # fail now, not after the handler has run
        return _Asked(target, key, _digest(packed), wire, message)

    async def _wait(self, asked: _Asked, seconds: float) -> None:
        """Wait until no request with this target and key is open."""
        try:
            async with asyncio.timeout(seconds):
                while (other := self._open.get((asked.target, asked.key))) is not None:
                    await asyncio.wait([other])
        except TimeoutError:
            name = type(asked.message).__qualname__
            raise AskTimeout(asked.target, name, seconds) from None

    def _sweep(self, partition: Partition) -> None:
        """Remove expired replies of a partition, once an hour at most."""
        now = self._clock.wall()
        if now - self._swept.get(partition.name, 0.0) >= _HOUR:
            self._swept[partition.name] = now
            forget = ForgetReplies(partition.name, now)
            unit = Unit(partition.name, partition.epoch, (forget,))
            _ = self._writer.submit(unit)  # after a failure the next sweep removes them


@attrs.define(eq=False)
class _Remembered:
    """An acknowledgement of a request, and the stored reply that its turn stages.

    However the turn ends, the open request ends with it.
    """

    requests: IdempotentRequests
    partition: Partition
    asked: _Asked
    done: asyncio.Future[None]
    record: Reply | None = None
    recalled: bool = False

    def waits_for(self, staged: Sequence[Staged]) -> bool:
        """Return False: a request cannot be called off."""
        return False

    def handled(self, value: object) -> _Remembered:
        """Build the record of the reply, which the turn's commit stores."""
        self.record = self.requests.reply(self.asked, value)
        return self

    def failed(self, error: BaseException, *, answered: bool) -> None:
        """End the request without a stored reply, so that it may be asked again."""
        self._over()

    def returned(self) -> None:
        """End the request without a stored reply, as it was not handled."""
        self._over()

    def operations(self) -> tuple[Operation, ...]:
        """Return the operation that stores the reply."""
        return () if self.record is None else (Answer(self.record),)

    def committed(self) -> None:
        """End the request: the next one with its key gets the stored reply."""
        self._over()

    def undone(self) -> None:
        """End the request: the next one with its key reads the store and is sent."""
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
