"""Settings of durable messages, timers and remembered replies."""

from __future__ import annotations

import attrs
from attrs import validators

__all__ = [
    "MailPolicy",
]


@attrs.frozen(kw_only=True)
class MailPolicy:
    """How a host treats durable messages, timers and remembered replies.

    Attributes:
        max_letters: most stored letters of one partition, timers included; from 1 up.
        max_tries: failed tries after which a letter becomes a dead letter; from 1 up.
        first_delay: seconds between the first try and the second, above 0; each further
            pause is twice as long.
        max_delay: seconds of the longest pause, above 0.
        page: letters that are read at a time, from 1 up.
        remember_replies: seconds for which the reply to a request with an idempotency
            key is kept, above 0.
        wake: whether a host that starts reads the letters of every partition, and
            starts the instances that have some.
    """

    max_letters: int = attrs.field(default=10_000, validator=validators.ge(1))
    max_tries: int = attrs.field(default=5, validator=validators.ge(1))
    first_delay: float = attrs.field(default=1.0, validator=validators.gt(0))
    max_delay: float = attrs.field(default=300.0, validator=validators.gt(0))
    page: int = attrs.field(default=256, validator=validators.ge(1))
    remember_replies: float = attrs.field(default=86_400.0, validator=validators.gt(0))
    wake: bool = True

    def delay_after(self, tries: int) -> float:
        """Return the pause after a number of failed tries, from 1 up, in seconds."""
        return min(self.max_delay, self.first_delay * 2.0 ** min(tries - 1, 60))
