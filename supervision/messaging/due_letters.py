"""Reads the letters that are due from the store, partition by partition.

The store keeps letters in the order of (due, stamp). A *reading* lists those whose due
time has come, page by page, and passes each page to the mailroom. Then it asks for the
first letter that is due later, and sets a timer for it.

A partition has one reading at a time. A reading that is asked for while one goes on
sets ``again``, and the next one starts when the present one ends. The upper bound of
all its pages is the wall time at the first page. Timers that became due since are read
by the next reading.

A page may be older than what memory knows, as the loop handles letters while the store
is read. Of each page these letters are skipped (``passes_over`` and ``deliver_page``):

- Its stamp is in ``settled``: since the reading began it was handled, buried or given
  a later due time. Its delivery would be the second one.
- Its stamp is in ``posting``: the turn that sends it has not ended. The end of that
  turn delivers it.
- Its stamp is smaller than ``overtaken`` has for its place: the timer was replaced or
  called off since. An earlier host may have posted it, so that memory does not know its
  stamp, only the first one that is valid.
- Its place is in ``out``: it is in a mailbox or in a turn now.
- An earlier letter of its target could not be delivered. The letters of one target
  arrive in order, so it waits behind that one.

A commit that failed leaves a doubt: the letters of its turn may or may not be stored.
``doubt`` has the partition read again, as only the store knows. If a reading goes on,
another one follows it, as the present one may have passed those letters already.

A target is *held* while its letters cannot be delivered: its mailbox is full, it may
not start, or its manager is not declared here. New letters for it stay in the store,
behind the older ones. Each reading replaces the set of held targets with those that it
found; a failed one adds to it. While there are any, the next reading comes after a
pause of at least ``first_delay``. Each reading that finds some doubles the pause, up to
``max_delay``. The next reading comes at once when the mailbox of a held target is at
most half full, when a manager is declared, and when an operator releases an instance
from quarantine.

Timers are letters that are due later. They follow the wall clock, while the event loop
counts monotonic time. Each partition has one timer of the loop, for the first due time.
It waits 60 seconds at most and then compares the wall clock, which may have been set.
"""

from __future__ import annotations

import functools
import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from persistence import HOST, Address, Handle, Letter, PodsError, SpoiledLetter, Store

from ..agents import Partition
from ..errors import UnknownTenant
from ..telemetry import NO_PARTITION, partition_extra
from .partition_letters import PartitionLetters

if TYPE_CHECKING:
    from persistence import Clock

    from ..lifecycle import Catalog
    from ..loop import BackgroundTasks
    from ..tenants import PolicyChange
    from .policy import MailPolicy

__all__ = ["DueLetters"]

log = logging.getLogger("podvisor.mail")

_MAX_WAIT = 60.0
"""Seconds until a timer compares the wall clock again, which may have been set."""

_LATEST = 1e15
"""A time after the due time of every letter, Unix seconds."""

Deliver = Callable[[Partition, Iterable[Letter | SpoiledLetter], set[Address]], None]


class DueLetters:
    """Reads the letters of one host that are due and in no mailbox.

    Owns the timer and the reading of each partition; a partition has one of each at
    most. Letters of a tenant that the directory does not admit wait until it does. The
    mailroom and the host use it.

    Args:
        catalog: claims partitions, and reads the store.
        background: runs the readings as tasks.
        policy: settings of letters.
        clock: wall time, and the timers of the next readings.

    Attributes:
        letters: what memory knows of the letters of each partition, by partition id.
        deliver: called with each page of letters that are due; the mailroom sets it.
    """

    def __init__(
        self,
        catalog: Catalog,
        background: BackgroundTasks,
        policy: MailPolicy,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._background = background
        self._clock = clock
        self._waking: Handle | None = None
        self._unknown: dict[str, float] = {}
        self._unwatch: Callable[[], None] | None = None
        self.policy = policy
        self.letters = defaultdict[str, PartitionLetters](PartitionLetters)
        self.deliver: Deliver = _hold_back

    def __repr__(self) -> str:
        return f"<DueLetters partitions={len(self.letters)}>"

    def start(self) -> None:
        """Start: find the partitions with stored letters and set their timers."""
        self._unwatch = self._catalog.tenants.watch(self._admitted)
        self._wake_again()

    async def _wake(self) -> None:
        """Find the partitions that have letters, and read each when one is due.

        A read that fails is repeated after ``first_delay`` seconds, as nothing else
        would start these partitions.
        """
        try:
            await self._find()
        except PodsError as error:
            if not self._catalog.state.open:
                return
            extra = partition_extra(NO_PARTITION, code=error.code)
            log.warning("letters.unread", extra=extra)
            delay = self.policy.first_delay
            self._waking = self._clock.call_later(delay, self._wake_again)

    def _wake_again(self) -> None:
        if self._catalog.state.starts_instances:
            self._background.start(self._wake, "wake", NO_PARTITION)

    async def _find(self) -> None:
        after: str | None = None
        while True:
            page = await self._catalog.read(
                functools.partial(_pending, after=after, limit=self.policy.page),
                partition=HOST,
            )
            for name, due in page:
                self._found(name, due)
            if len(page) < self.policy.page:
                return
            after = page[-1][0]

    def _found(self, name: str, due: float) -> None:
        """Watch a partition that has letters, if this host serves it."""
        try:
            partition = self._catalog.partition(name)
        except UnknownTenant as error:
            log.info("letters.left", extra=partition_extra(name, code=error.code))
            self._unknown[name] = due
            return
        except PodsError as error:  # an id that no host takes: the others go on
            log.warning("letters.left", extra=partition_extra(name, code=error.code))
            return
        if self._serves(partition) and partition.claim is None:
            self.watch(partition, due)

    def _admitted(self, change: PolicyChange) -> None:
        due = self._unknown.pop(change.partition, None)
        if due is not None:
            self._found(change.partition, due)

    def _serves(self, partition: Partition) -> bool:
        try:
            self._catalog.ownership.check(partition)
        except PodsError:
            return False
        return True

    def claimed(self, partition: Partition) -> None:
        """Count the stored letters of a partition this host has claimed; read them.

        Letters that are due already set ``behind``: new ones wait behind them.

        Args:
            partition: the partition, with its claim.
        """
        claim = partition.claim
        if claim is None or not claim.letters:
            return
        if claim.hidden:
            extra = partition_extra(partition.name, letters=claim.hidden)
            log.error("letters.hidden", extra=extra)
        known = self.letters[partition.name]
        known.letters += claim.letters
        due = claim.next_due or 0.0
        known.behind = due <= self._clock.wall()
        self.watch(partition, due)

    def close(self) -> None:
        """Cancel every timer, and stop listening to the tenant directory."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        if self._waking is not None:
            self._waking.cancel()
        for known in self.letters.values():
            if known.timer is not None:
                known.timer.cancel()

    def look(self, partition: Partition) -> None:
        """Read the letters that are due, now or when the present reading ends."""
        known = self.letters[partition.name]
        if not self._catalog.state.starts_instances:
            return
        if known.settled is not None:
            known.again = True
            return
        known.begin_reading()
        self._background.start(
            functools.partial(self._read, partition, known),
            f"letters of {partition.name}",
            partition.name,
        )

    def look_if_known(self, partition: Partition) -> None:
        """Read the letters of a partition that has had one since the host started."""
        if partition.name in self.letters:
            self.look(partition)

    def look_again(self) -> None:
        """Read every partition that has held targets."""
        for name, known in list(self.letters.items()):
            if known.held:
                self.look(self._catalog.partition(name))

    def watch(self, partition: Partition, due: float) -> None:
        """Read the partition at a due time, unless it is read earlier anyway.

        Args:
            partition: the partition of the letter.
            due: Unix seconds; a time in the past means now.
        """
        known = self.letters[partition.name]
        if due >= known.next_due:
            return
        known.next_due = due
        left = due - self._clock.wall()
        if left > 0:
            self._arm(partition, known, left)
        else:
            self.look(partition)

    def retry(self, partition: Partition) -> None:
        """Schedule a reading after a pause, as a target is held.

        A reading that goes on schedules the next one itself.
        """
        known = self.letters[partition.name]
        if known.settled is None:
            self.watch(partition, self._clock.wall() + self._pause(known))

    def doubt(self, partition: Partition) -> None:
        """Read again: after a failed commit, its letters may or may not be stored."""
        known = self.letters[partition.name]
        if known.settled is None:
            self.retry(partition)
        else:
            known.again = True  # the present reading may have passed them already

    def _pause(self, known: PartitionLetters) -> float:
        return max(known.delay, self.policy.first_delay)

    def _arm(self, partition: Partition, known: PartitionLetters, delay: float) -> None:
        if known.timer is not None:
            known.timer.cancel()
        if not self._catalog.state.open:
            return
        delay = min(max(0.0, delay), _MAX_WAIT)
        tick = functools.partial(self._tick, partition, known)
        known.timer = self._clock.call_later(delay, tick)

    def _tick(self, partition: Partition, known: PartitionLetters) -> None:
        known.timer = None
        left = known.next_due - self._clock.wall()
        if left <= 0:
            self.look(partition)
        elif left < math.inf:
            self._arm(partition, known, left)

    async def _read(self, partition: Partition, known: PartitionLetters) -> None:
        """Deliver all letters that are due, in order, and schedule the next reading."""
        due, failed = math.inf, True
        still: set[Address] = set()
        known.next_due = math.inf
        known.again = False
        self._forget_returned(partition, known)
        try:
            await self._catalog.claim(partition.name)
            due = await self._deliver_due(partition, still)
            failed = False
        except PodsError as error:
            if self._catalog.state.open:  # else the next host reads them
                extra = partition_extra(partition.name, code=error.code)
                log.warning("letters.unread", extra=extra)
        finally:
            known.end_reading()
        if not self._catalog.state.open or not self._serves(partition):
            return
        still |= known.returned  # they came back after this reading had passed them
        if failed:
            known.held |= still
        else:
            known.held, known.behind = still, False
        if known.again and not failed:
            known.delay = self._next_delay(known) if still else 0.0
            self.look(partition)
        else:
            self._schedule_reading(partition, known, due, waiting=failed or bool(still))

    def _forget_returned(self, partition: Partition, known: PartitionLetters) -> None:
        """Reset what came back; log the count of unsaved ones, as no caller knows."""
        if known.unsaved:
            extra = partition_extra(partition.name, letters=known.unsaved)
            log.warning("letters.unsaved", extra=extra)
        known.unsaved = 0
        known.returned.clear()

    def _schedule_reading(
        self,
        partition: Partition,
        known: PartitionLetters,
        due: float,
        *,
        waiting: bool,
    ) -> None:
        """Schedule a reading for the next due letter, or after a pause if one waits.

        Args:
            partition: the partition.
            known: its letters.
            due: when the next letter is due, Unix seconds.
            waiting: whether a target is held or the reading has failed.
        """
        known.delay = self._next_delay(known) if waiting else 0.0
        if waiting:
            now = self._clock.wall()
            due = min(due, now + self._pause(known))
            if known.next_due <= now:
                # It was left to the reading that has ended; kept, it would make
                # ``watch`` return without a timer.
                known.next_due = math.inf
        self.watch(partition, due)

    def _next_delay(self, known: PartitionLetters) -> float:
        return min(2 * self._pause(known), self.policy.max_delay)

    async def _deliver_due(self, partition: Partition, still: set[Address]) -> float:
        """Deliver what is due; return the due time of the next letter, Unix seconds."""
        now = self._clock.wall()
        after = (-1.0, "")
        while True:
            page = await self._page(partition, now, after, self.policy.page)
            self.deliver(partition, page, still)
            if len(page) < self.policy.page:
                break
            after = (page[-1].due, page[-1].stamp)
        later = await self._page(partition, _LATEST, (now, "\U0010ffff"), 1)
        return later[0].due if later else math.inf

    async def _page(
        self, partition: Partition, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        return await self._catalog.read(
            lambda store: store.letters(
                partition=partition.name, until=until, after=after, limit=limit
            ),
            partition=partition.name,
        )


def _pending(
    store: Store, *, after: str | None, limit: int
) -> Awaitable[list[tuple[str, float]]]:
    return store.pending(after=after, limit=limit)


def _hold_back(
    _: Partition, page: Iterable[Letter | SpoiledLetter], still: set[Address]
) -> None:
    """Hold the targets of a page: no mailroom has set ``deliver`` yet."""
    still.update(letter.target for letter in page if isinstance(letter, Letter))
