"""The tree of the storage errors, under the root of every error of podvisor.

```
PodsError
├── InvalidPartition   PV-E101  ValueError    a partition id outside the allowed set
├── InvalidKey         PV-E102  ValueError    a key that has no canonical form
├── InvalidName        PV-E103  ValueError    a manager or node name that is not allowed
├── StoreError         PV-E200  RuntimeError  the store did not do what was asked
│   ├── StoreUnavailable  PV-E201             I/O error, disk full, locked: try again
│   ├── StaleRevision     PV-E202             the row was saved since it was read
│   ├── StaleOwner        PV-E203             another host has claimed the partition
│   ├── StoreClosed       PV-E204             used before open or after close
│   ├── UnsupportedStore  PV-E205 ValueError  a URL that names no usable store
│   ├── SchemaMismatch    PV-E206             tables of another release
│   ├── StateTooLarge     PV-E207             a record above the size limit
│   ├── AlreadyAnswered   PV-E208             a request that has a remembered reply
│   └── LetterGone        PV-E209             the row of a handled letter is gone
├── RecordError        PV-E210  ValueError    a stored record that cannot be thawed
│   ├── CorruptRecord     PV-E211             its checksum or shape is wrong
│   ├── NewerRecord       PV-E212             written by newer code than this
│   └── UndecodableState  PV-E213             it does not fit the declared fields
├── UnstorableState    PV-E220  TypeError     a state that could not be read back
└── UnsupportedField   PV-E221  TypeError     a declared type that JSON cannot carry
```

Every error takes its facts as fields, makes its own text, and has a stable code. The
``repr`` is that of any exception: each method that attrs generates for one of the many
classes takes time when the package is imported.

The first three are defined in ``persistence.identity``.
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
    """Base of the errors of a store that did not do what was asked."""

    code = "PV-E200"


@attrs.define(slots=False, eq=False, repr=False)
class StoreUnavailable(StoreError):
    """The database failed for a reason that may pass (I/O, full disk, lock)."""

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
    """The row is not at the revision that the save expected."""

    code = "PV-E202"
    address: Address
    expected: int

    def text(self) -> str:
        return (
            f"{self.address} is no longer at revision {self.expected}: it was saved "
            "elsewhere. The stale copy was dropped; get the instance again."
        )


@attrs.define(slots=False, eq=False, repr=False)
class StaleOwner(StoreError):
    """Another host has claimed the partition since this host did."""

    code = "PV-E203"
    partition: str
    epoch: int

    def text(self) -> str:
        return (
            f"Partition {self.partition!r} now belongs to another host (this one has "
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
    """A record has more bytes than the writer accepts; its unit was not saved."""

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
    """The instance has a remembered reply under this idempotency key."""

    code = "PV-E208"
    address: Address
    request: str

    def text(self) -> str:
        return (
            f"{self.address} has already answered the request "
            f"{shorten(self.request)!r}. Nothing was done; ask again to get the "
            "remembered reply."
        )


@attrs.define(slots=False, eq=False, repr=False)
class LetterGone(StoreError):
    """The row of a letter is gone when the turn that handled it is committed."""

    code = "PV-E209"
    address: Address
    letter: str

    def text(self) -> str:
        return (
            f"The letter {shorten(self.letter)} to {self.address} is gone: it was "
            "handled elsewhere, or the database has lost it. The turn that handled it "
            "was undone; check whether its effect has taken place."
        )


@attrs.define(slots=False, eq=False, repr=False)
class RecordError(PodsError, ValueError):
    """A stored record that cannot be thawed; its bytes are kept unchanged."""

    code = "PV-E210"
    address: Address
    reason: str

    def text(self) -> str:
        return (
            f"The stored record of {self.address} cannot be thawed: {self.reason}. "
            "Its bytes are kept; inspect them, then release or discard the instance."
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
    """A live state that could be written but not be read back as declared."""

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
    """A field whose declared type has no JSON form."""

    code = "PV-E221"
    agent: str
    reason: str

    def text(self) -> str:
        return (
            f"{self.agent} declares state that cannot be stored: {self.reason}. "
            "Use JSON types, attrs classes, enums, datetime, Decimal, UUID, bytes, "
            "and containers of these with str keys."
        )
