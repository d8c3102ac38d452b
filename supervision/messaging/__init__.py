"""Takes a message from its sender to a mailbox, at once or as a stored letter."""

from __future__ import annotations

from .calls import Asking
from .delivery import Post
from .idempotency import IdempotentRequests
from .mailroom import Mailroom
from .partition_letters import PartitionLetters
from .policy import MailPolicy

__all__ = [
    "Asking",
    "IdempotentRequests",
    "MailPolicy",
    "Mailroom",
    "PartitionLetters",
    "Post",
]
