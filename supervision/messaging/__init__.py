"""Takes a message from its sender to a mailbox, at once or as a stored letter."""

from __future__ import annotations

from .calls import Calls
from .delivery import Delivery
from .idempotency import IdempotentRequests
from .mailroom import Mailroom
from .partition_letters import PartitionLetters
from .policy import MailPolicy

__all__ = [
    "Calls",
    "Delivery",
    "IdempotentRequests",
    "MailPolicy",
    "Mailroom",
    "PartitionLetters",
]
