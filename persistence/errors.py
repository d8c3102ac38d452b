"""Errors of the storage layer, and the root of every error of podvisor.

```
PodsError
├── InvalidPartition   PV-E101  ValueError    a partition id outside the allowed set
├── InvalidKey         PV-E102  ValueError    a key that has no canonical form
├── InvalidName        PV-E103  ValueError    a manager or node name
├── StoreError         PV-E200  RuntimeError  the store did not do what was asked
│   ├── StoreUnavailable  PV-E201             I/O error, disk full, locked: try again
│   ├── StaleRevision     PV-E202             somebody else saved the row meanwhile
│   ├── StaleOwner        PV-E203             another host has taken the partition
│   ├── StoreClosed       PV-E204             used before open or after close
│   ├── UnsupportedStore  PV-E205 ValueError  a URL that names no usable store
│   ├── SchemaMismatch    PV-E206             tables of another release
│   ├── StateTooLarge     PV-E207             a record above the size limit
│   ├── AlreadyAnswered   PV-E208             a request that has a reply on record
│   └── LetterGone        PV-E209             a letter that was handled elsewhere
├── RecordError        PV-E210  ValueError    a stored record that cannot be thawed
│   ├── CorruptRecord     PV-E211             its checksum or shape is wrong
│   ├── NewerRecord       PV-E212             written by newer code than this
│   └── UndecodableState  PV-E213             it does not fit the declared fields
├── UnstorableState    PV-E220  TypeError     a state that could not be thawed again
└── UnsupportedField   PV-E221  TypeError     a declared type that JSON cannot carry
```

Every error takes its facts as fields, makes its own text, and has a stable code. The
``repr`` is that of any exception: there are many classes, and each method that attrs
writes for one takes time when the package is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .identity import PodsError, shorten

if TYPE_CHECKING:
    from .identity import Address

__all__ = [
    "AlreadyAnswered",
    "CorruptRecord",
    "LetterGone",
    "NewerRecord",
    "RecordError",
    "SchemaMismatch",
    "StaleOwner",
    "StaleRevision",
    "StateTooLarge",
    "StoreClosed",
    "StoreError",
    "StoreUnavailable",
    "UndecodableState",
    "UnstorableState",
    "UnsupportedField",
    "UnsupportedStore",
]


@attrs.define(slots=False, eq=False, repr=False)
class StoreError(PodsError, RuntimeError):
    """The store did not do what it was asked to do."""

    code = "PV-E200"


@attrs.define(slots=False, eq=False, repr=False)
class StoreUnavailable(StoreError):
    """The database refused for a reason that may pass (I/O, full disk, lock)."""

    code = "PV-E201"
    operation: str
    reason: str

    def text(self) -> str:
        return (
            f"{self.operation} failed: {self.reason}. Nothing of it was saved; "
            "free the resource that the reason names and try again."
        )


@attrs.define(slots=False, eq=False, repr=False)
class StaleRevision(StoreError):
    """The row is not at the revision that the writer had read."""

    code = "PV-E202"
    address: Address
    expected: int

    def text(self) -> str:
        return (
            f"{self.address} is no longer at revision {self.expected}: somebody else "
            "saved it. The stale copy was dropped; get the instance again."
        )


@attrs.define(slots=False, eq=False, repr=False)
class StaleOwner(StoreError):
    """Another host has claimed the partition since this one did."""

    code = "PV-E203"
    partition: str
    epoch: int

    def text(self) -> str:
        return (
            f"Partition {self.partition!r} now belongs to another host (this one held "
            f"epoch {self.epoch}). Nothing was saved; send its traffic to the new "
            "owner, or restart this host to claim it again."
        )


@attrs.define(slots=False, eq=False, repr=False)
class StoreClosed(StoreError):
    """The store was used before it was opened or after it was closed."""

    code = "PV-E204"

    def text(self) -> str:
        return "The store is not open. Use it inside `async with Host(...)`."


@attrs.define(slots=False, eq=False, repr=False)
class UnsupportedStore(StoreError, ValueError):
    """A URL that names no usable store."""

    code = "PV-E205"
    url: str
    reason: str

    def text(self) -> str:
        return (
            f"Store URL {self.url!r} is refused: {self.reason}. Use "
            "'sqlite+aiosqlite:///podvisor.db' for a file, "
            "'postgresql+asyncpg://user@host/name' for a server, or 'memory://' for a "
            "test."
        )


@attrs.define(slots=False, eq=False, repr=False)
class SchemaMismatch(StoreError):
    """The tables in the database were made by another release."""

    code = "PV-E206"
    found: str
    wanted: str
    advice: str

    def text(self) -> str:
        return (
            f"The database has podvisor tables of schema {self.found}, this release "
            f"needs {self.wanted}. {self.advice}"
        )


@attrs.define(slots=False, eq=False, repr=False)
class StateTooLarge(StoreError):
    """A record has more bytes than the writer accepts; nothing was saved."""

    code = "PV-E207"
    address: Address
    size: int
    limit: int

    def text(self) -> str:
        return (
            f"The record of {self.address} has {self.size} bytes, the limit is "
            f"{self.limit}. Nothing was saved; keep large content elsewhere and its "
            "reference in the state, or raise CommitPolicy(max_body_bytes=...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class AlreadyAnswered(StoreError):
    """A reply is on record for this idempotency key of the instance."""

    code = "PV-E208"
    address: Address
    request: str

    def text(self) -> str:
        return (
            f"{self.address} has answered the request {shorten(self.request)!r} "
            "already. Nothing was done; ask again to get the reply on record."
        )


@attrs.define(slots=False, eq=False, repr=False)
class LetterGone(StoreError):
    """A letter that was just handled is not stored any more."""

    code = "PV-E209"
    address: Address
    letter: str

    def text(self) -> str:
        return (
            f"The letter {shorten(self.letter)} to {self.address} is gone: it was "
            "handled elsewhere, or the database has lost it. The turn that handled it "
            "was undone; look whether what it was to do has been done."
        )


@attrs.define(slots=False, eq=False, repr=False)
class RecordError(PodsError, ValueError):
    """A stored record that cannot be thawed; its bytes are kept untouched."""

    code = "PV-E210"
    address: Address
    reason: str

    def text(self) -> str:
        return (
            f"The stored record of {self.address} cannot be thawed: {self.reason}. "
            "Its bytes are kept; look at them, then release or discard it."
        )


@attrs.define(slots=False, eq=False, repr=False)
class CorruptRecord(RecordError):
    """The checksum or the shape of the row is wrong."""

    code = "PV-E211"


@attrs.define(slots=False, eq=False, repr=False)
class NewerRecord(RecordError):
    """The record was written by a newer version of the agent's code."""

    code = "PV-E212"


@attrs.define(slots=False, eq=False, repr=False)
class UndecodableState(RecordError):
    """The record does not fit the declared fields."""

    code = "PV-E213"


@attrs.define(slots=False, eq=False, repr=False)
class UnstorableState(PodsError, TypeError):
    """A live state that could be written but never be read back as declared."""

    code = "PV-E220"
    agent: str
    reason: str

    def text(self) -> str:
        return (
            f"The state of {self.agent} cannot be stored: {self.reason}. "
            "The turn was undone; keep every field at its declared type."
        )


@attrs.define(slots=False, eq=False, repr=False)
class UnsupportedField(PodsError, TypeError):
    """A field whose declared type has no JSON form here."""

    code = "PV-E221"
    agent: str
    reason: str

    def text(self) -> str:
        return (
            f"{self.agent} declares state that cannot be stored: {self.reason}. "
            "Use JSON types, attrs classes, enums, datetime, Decimal, UUID, bytes, "
            "and containers of these with str keys."
        )
