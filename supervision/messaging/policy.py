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
        max_letters: letters of one partition that may wait, timers included.
        max_tries: how often a letter is handled in vain before it is a dead letter.
        first_delay: seconds between the first try and the second; each further pause is
            twice as long.
        max_delay: seconds that a pause is long at most.
        page: letters that are read at a time.
        remember_replies: seconds for which the reply to a request with an idempotency
            key is kept.
        wake: look for letters of every partition when the host starts, and start the
            instances that have some.
    """

    max_letters: int = attrs.field(default=10_000, validator=validators.ge(1))
    max_tries: int = attrs.field(default=5, validator=validators.ge(1))
    first_delay: float = attrs.field(default=1.0, validator=validators.gt(0))
    max_delay: float = attrs.field(default=300.0, validator=validators.gt(0))
    page: int = attrs.field(default=256, validator=validators.ge(1))
    remember_replies: float = attrs.field(default=86_400.0, validator=validators.gt(0))
    wake: bool = True

    def delay_after(self, tries: int) -> float:
        """Return the seconds to wait after a number of tries, from 1 up."""
        return min(self.max_delay, self.first_delay * 2.0 ** min(tries - 1, 60))
