"""What one seed does: drawn anew for each, so that runs differ in kind."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import attrs

from pods import Durability
from pods.testing import EVERY_FAULT, Fault

__all__ = ["Plan"]

PARTITIONS = ("acme", "acme-corp", "user_1", "userx1", "acme.corp")
KEYS = ("k", "K", '["k"]', "a,b", "100%")


@attrs.frozen(kw_only=True)
class Plan:
    """The dimensions of one run.

    Attributes:
        clients: callers that work beside each other.
        steps: operations of each.
        partitions: tenants with names that are easily mixed up.
        keys: what the clients work on, likewise; few make them meet.
        taken_over: whether a second process takes the rows over from the first.
        fault_rate: share of the storage operations that fail.
        kinds: how they fail.
        slow: share of the visits to a database that take seconds.
        hold: share of the steps of tasks that are held back.
        crashes: virtual seconds after which the process is killed, or stopped in order.
        idle: seconds without traffic until an instance hibernates.
        mailbox: messages that may wait for one instance.
        impatience: share of the calls that are cancelled or have a short deadline.
        late: when the drafts are saved, which are not saved in each turn.
    """

    clients: int
    steps: int
    partitions: tuple[str, ...]
    keys: tuple[str, ...]
    taken_over: bool
    fault_rate: float
    kinds: Sequence[Fault]
    slow: float
    hold: float
    crashes: tuple[float, ...]
    idle: float | None
    mailbox: int
    impatience: float
    late: Durability = Durability.INTERVAL

    @property
    def keeps_drafts(self) -> bool:
        """Whether nothing happens after which an acknowledged draft may be lost."""
        return not (self.fault_rate or self.crashes or self.taken_over)

    @classmethod
    def draw(cls, random: Random) -> Plan:
        """Choose what a run is about; calm runs are as useful as wild ones."""
        crashes = random.choice((0, 0, 1, 1, 2))
        return cls(
            clients=random.randint(2, 5),
            steps=random.randint(4, 9),
            partitions=tuple(random.sample(PARTITIONS, random.randint(2, 3))),
            keys=tuple(random.sample(KEYS, random.choice((1, 2, 5)))),
            taken_over=random.random() < 0.2,
            fault_rate=random.choice((0.0, 0.0, 0.01, 0.05, 0.2)),
            kinds=random.sample(EVERY_FAULT, random.randint(1, len(EVERY_FAULT))),
            slow=random.choice((0.0, 0.0, 0.01, 0.05)),
            hold=random.choice((0.0, 0.02, 0.1, 0.3)),
            crashes=tuple(random.expovariate(2.0) for _ in range(crashes)),
            idle=random.choice((None, 0.0, 0.0, 0.05, 1.0)),
            mailbox=random.choice((2, 1_000)),
            impatience=random.choice((0.0, 0.1, 0.5)),
            late=random.choice((Durability.INTERVAL, Durability.HIBERNATE)),
        )
