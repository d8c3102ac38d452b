"""Carries a message from its sender to a mailbox, at once or as a stored letter."""

from __future__ import annotations

from .calls import Calls
from .delivery import Delivery
from .due_letters import DueLetters
from .idempotency import IdempotentRequests
from .letter_sender import LetterSender
from .mailroom import Mailroom
from .policy import MailPolicy

__all__ = [
    "Calls",
    "Delivery",
    "DueLetters",
    "IdempotentRequests",
    "LetterSender",
    "MailPolicy",
    "Mailroom",
]
