"""The stored values, the contract of every store, and the settings of stores."""

from __future__ import annotations

from .contract import Loaded, Store
from .letter_rows import LetterRow, ReplyRow, letter_of, letter_row, reply_of, reply_row
from .letters import (
    Answer,
    Bury,
    DeadLetter,
    Defer,
    Exhume,
    ForgetReplies,
    Letter,
    Post,
    Reply,
    SpoiledLetter,
    Take,
)
from .policy import FilesPolicy, PostgresPolicy
from .records import (
    Claim,
    Delete,
    LiftQuarantine,
    Operation,
    PutQuarantine,
    Quarantine,
    Record,
    RecordKind,
    Save,
    StoredBytes,
    Unit,
)
from .rows import Row, checksum, record_of, row_of, stored_record

__all__ = [
    "Answer",
    "Bury",
    "Claim",
    "DeadLetter",
    "Defer",
    "Delete",
    "Exhume",
    "FilesPolicy",
    "ForgetReplies",
    "Letter",
    "LetterRow",
    "LiftQuarantine",
    "Loaded",
    "Operation",
    "Post",
    "PostgresPolicy",
    "PutQuarantine",
    "Quarantine",
    "Record",
    "RecordKind",
    "Reply",
    "ReplyRow",
    "Row",
    "Save",
    "SpoiledLetter",
    "Store",
    "StoredBytes",
    "Take",
    "Unit",
    "checksum",
    "letter_of",
    "letter_row",
    "record_of",
    "reply_of",
    "reply_row",
    "row_of",
    "stored_record",
]
