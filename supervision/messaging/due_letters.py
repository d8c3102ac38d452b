"""Finding the letters that are due, and looking again when the next one is.

One reading of a partition goes on at a time, in the order of (due, stamp). What was
settled since a page was read is skipped, so that a page that has grown old delivers
nothing twice.
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

_PATIENCE = 60.0
"""Seconds after which a waiting timer asks the wall clock again, as it may jump."""

_FOREVER = 1e15
"""Later than any letter is due, Unix seconds."""

Deliver = Callable[[Partition, Iterable[Letter | SpoiledLetter], set[Address]], None]


class DueLetters:
    """Finds the letters of one host that are due and in no mailbox.

    Letters of a tenant that the directory does not admit wait until it does.

    Args:
        catalog: claims partitions, and asks the store.
        background: runs the readings.
        policy: settings of letters.
        clock: wall time, and the timers of the next reading.

    Attributes:
        letters: what is known of the letters of each partition, by its id.
        deliver: given each page of letters that are due; the mailroom sets it.
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
        """Begin: the letters that wait in the store wake their partitions."""
        self._unwatch = self._catalog.tenants.watch(self._admitted)
        self._wake_again()

    async def _wake(self) -> None:
        """Find the partitions that have letters, and look at each when it is time.

        If the store cannot say, it is asked again: nobody else would wake them.
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
        """Watch a partition that has letters, unless it is none of ours."""
        try:
            partition = self._catalog.partition(name)
        except UnknownTenant as error:
            log.info("letters.left", extra=partition_extra(name, code=error.code))
            self._unknown[name] = due
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
        """Look at the letters of a partition that has become ours."""
        claim = partition.claim
        if claim is None or not claim.letters:
            return
        if claim.hidden:
            extra = partition_extra(partition.name, letters=claim.hidden)
            log.error("letters.hidden", extra=extra)
        box = self.letters[partition.name]
        box.letters += claim.letters
        due = claim.next_due or 0.0
        box.behind = due <= self._clock.wall()
        self.watch(partition, due)

    def close(self) -> None:
        """End every timer."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        if self._waking is not None:
            self._waking.cancel()
        for known in self.letters.values():
            if known.timer is not None:
                known.timer.cancel()

    def look(self, partition: Partition) -> None:
        """Read the letters that are due, now or when the present reading is over."""
        box = self.letters[partition.name]
        if not self._catalog.state.starts_instances:
            return
        if box.settled is not None:
            box.again = True
            return
        box.begin_reading()
        self._background.start(
            functools.partial(self._read, partition, box),
            f"letters of {partition.name}",
            partition.name,
        )

    def look_if_known(self, partition: Partition) -> None:
        """Read the letters of a partition again, unless it never had one."""
        if partition.name in self.letters:
            self.look(partition)

    def look_again(self) -> None:
        """Look at every partition that has letters which could not be delivered."""
        for name, known in list(self.letters.items()):
            if known.held:
                self.look(self._catalog.partition(name))

    def watch(self, partition: Partition, due: float) -> None:
        """See to it that the letters are looked at when one is due."""
        box = self.letters[partition.name]
        if due >= box.next_due:
            return
        box.next_due = due
        left = due - self._clock.wall()
        if left > 0:
            self._arm(partition, box, left)
        else:
            self.look(partition)

    def retry(self, partition: Partition) -> None:
        """See to it that held letters are tried again after a while."""
        box = self.letters[partition.name]
        if box.settled is None:
            self.watch(partition, self._clock.wall() + self._pause(box))

    def doubt(self, partition: Partition) -> None:
        """See to it that letters are found of which nobody knows whether they exist."""
        box = self.letters[partition.name]
        if box.settled is None:
            self.retry(partition)
        else:
            box.again = True  # the present reading may have passed them already

    def _pause(self, box: PartitionLetters) -> float:
        return max(box.delay, self.policy.first_delay)

    def _arm(self, partition: Partition, box: PartitionLetters, delay: float) -> None:
        if box.timer is not None:
            box.timer.cancel()
        if not self._catalog.state.open:
            return
        delay = min(max(0.0, delay), _PATIENCE)
        tick = functools.partial(self._tick, partition, box)
        box.timer = self._clock.call_later(delay, tick)

    def _tick(self, partition: Partition, box: PartitionLetters) -> None:
        box.timer = None
        left = box.next_due - self._clock.wall()
        if left <= 0:
            self.look(partition)
        elif left < math.inf:
            self._arm(partition, box, left)

    async def _read(self, partition: Partition, box: PartitionLetters) -> None:
        """Deliver everything that is due, in order; note when to look again."""
        due, failed = math.inf, True
        still: set[Address] = set()
        box.next_due = math.inf
        box.again = False
        self._forget_returned(partition, box)
        try:
            await self._catalog.claim(partition.name)
            due = await self._deliver_due(partition, still)
            failed = False
        except PodsError as error:
            if self._catalog.state.open:  # one that closes leaves them to the next host
                extra = partition_extra(partition.name, code=error.code)
                log.warning("letters.unread", extra=extra)
        finally:
            box.end_reading()
        if not self._catalog.state.open or not self._serves(partition):
            return
        still |= box.returned  # this reading has passed them already
        if failed:
            box.held |= still
        else:
            box.held, box.behind = still, False
        if box.again and not failed:
            box.delay = self._next_delay(box) if still else 0.0
            self.look(partition)
        else:
            self._look_later(partition, box, due, waiting=failed or bool(still))

    def _forget_returned(self, partition: Partition, box: PartitionLetters) -> None:
        """Begin anew; of those that a broken medium sent back nobody else was told."""
        if box.unsaved:
            extra = partition_extra(partition.name, letters=box.unsaved)
            log.warning("letters.unsaved", extra=extra)
        box.unsaved = 0
        box.returned.clear()

    def _look_later(
        self, partition: Partition, box: PartitionLetters, due: float, *, waiting: bool
    ) -> None:
        """See to the next reading: when a letter is due, or somebody waits."""
        box.delay = self._next_delay(box) if waiting else 0.0
        if waiting:
            now = self._clock.wall()
            due = min(due, now + self._pause(box))
            if box.next_due <= now:  # the reading that is over was to see to it
                box.next_due = math.inf
        self.watch(partition, due)

    def _next_delay(self, box: PartitionLetters) -> float:
        return min(2 * self._pause(box), self.policy.max_delay)

    async def _deliver_due(self, partition: Partition, still: set[Address]) -> float:
        """Deliver what is due; return when the next letter is, Unix seconds."""
        now = self._clock.wall()
        after = (-1.0, "")
        while True:
            page = await self._page(partition, now, after, self.policy.page)
            self.deliver(partition, page, still)
            if len(page) < self.policy.page:
                break
            after = (page[-1].due, page[-1].stamp)
        later = await self._page(partition, _FOREVER, (now, "\U0010ffff"), 1)
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
    """Deliver nothing: no mailroom has taken the letters over yet."""
    still.update(letter.target for letter in page if isinstance(letter, Letter))
