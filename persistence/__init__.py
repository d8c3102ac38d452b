"""Storage: identities, records, and stores that keep them apart by partition.

SQLAlchemy is imported when the first database is opened, and not before. So are the
drivers: a function that needs one imports it itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from .clock import Clock, Handle, SystemClock
from .codec import Codec, build_codec, is_same
from .errors import (
    AlreadyAnswered,
    CorruptRecord,
    LetterGone,
    NewerRecord,
    RecordError,
    SchemaMismatch,
    StaleOwner,
    StaleRevision,
    StateTooLarge,
    StoreClosed,
    StoreError,
    StoreUnavailable,
    UndecodableState,
    UnstorableState,
    UnsupportedField,
    UnsupportedStore,
)
from .identity import (
    MAX_KEY_CHARS,
    Address,
    InvalidKey,
    InvalidName,
    InvalidPartition,
    Key,
    PodsError,
    check_key,
    check_name,
    check_partition,
    key_from_text,
    key_to_text,
    shorten,
)
from .memory import MemoryStore
from .migration import Migration
from .pipeline import (
    HOST,
    CommitPolicy,
    CommitStatistics,
    Reader,
    ReadPolicy,
    ReadStatistics,
    Writer,
)
from .store import (
    Answer,
    Bury,
    Claim,
    DeadLetter,
    Defer,
    Delete,
    Exhume,
    FilesPolicy,
    ForgetReplies,
    Letter,
    LiftQuarantine,
    Loaded,
    Operation,
    Post,
    PostgresPolicy,
    PutQuarantine,
    Quarantine,
    Record,
    RecordKind,
    Reply,
    Save,
    SpoiledLetter,
    Store,
    StoredBytes,
    Take,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__distribution__ = "podvisor"  # ``pods`` checks that its packages have this line

__all__ = [
    "HOST",
    "MAX_KEY_CHARS",
    "Address",
    "AlreadyAnswered",
    "Answer",
    "Bury",
    "Claim",
    "Clock",
    "Codec",
    "CommitPolicy",
    "CommitStatistics",
    "CorruptRecord",
    "DeadLetter",
    "Defer",
    "Delete",
    "Exhume",
    "FilesPolicy",
    "ForgetReplies",
    "Handle",
    "InvalidKey",
    "InvalidName",
    "InvalidPartition",
    "Key",
    "Letter",
    "LetterGone",
    "LiftQuarantine",
    "Loaded",
    "MemoryStore",
    "Migration",
    "NewerRecord",
    "Operation",
    "PodsError",
    "Post",
    "PostgresPolicy",
    "PutQuarantine",
    "Quarantine",
    "ReadPolicy",
    "ReadStatistics",
    "Reader",
    "Record",
    "RecordError",
    "RecordKind",
    "Reply",
    "Save",
    "SchemaMismatch",
    "SpoiledLetter",
    "StaleOwner",
    "StaleRevision",
    "StateTooLarge",
    "Store",
    "StoreClosed",
    "StoreError",
    "StoreUnavailable",
    "StoredBytes",
    "SystemClock",
    "Take",
    "UndecodableState",
    "Unit",
    "UnstorableState",
    "UnsupportedField",
    "UnsupportedStore",
    "Writer",
    "build_codec",
    "check_key",
    "check_name",
    "check_partition",
    "is_same",
    "key_from_text",
    "key_to_text",
    "migrate_store",
    "migration_script",
    "open_store",
    "shorten",
]


P = TypeVar("P")


def open_store(
    url: str | Path, *, policy: PostgresPolicy | FilesPolicy | None = None
) -> Store:
    """Return the store that a URL names; it connects in its ``open``, not before.

    Args:
        url: ``sqlite+aiosqlite:///FILE``, ``postgresql+asyncpg://HOST/NAME``,
            ``memory://``, or the path of an SQLite file, which may have any characters
            in its name. A URL with ``{partition}`` in it,
            ``sqlite+aiosqlite:///data/{partition}/podvisor.db``, names a file for each
            partition.
        policy: timeouts and connections of a store in PostgreSQL, or bounds of a store
            with a file for each partition.

    Raises:
        UnsupportedStore: the URL names no store that this release can use, or a store
            that does not take the policy.
    """
    url = _text_of(url)
    if url.startswith("postgres"):
        return _postgres(url, _policy_or_default(PostgresPolicy, policy, url))
    if url.startswith("sqlite") and ("{" in url or "}" in url):
        from .files.store import FilesStore  # noqa: PLC0415  it imports SQLAlchemy

        return FilesStore(url, policy=_policy_or_default(FilesPolicy, policy, url))
    if policy is not None:
        reason = f"it takes no {type(policy).__name__}"
        raise UnsupportedStore(url, reason)
    if url == "memory://":
        return MemoryStore()
    from .sqlite.store import SqlStore  # noqa: PLC0415  it imports SQLAlchemy

    return SqlStore(url)


def _postgres(url: str, policy: PostgresPolicy) -> Store:
    from .postgres.url import check_target  # noqa: PLC0415  it imports SQLAlchemy

    check_target(url)  # raises if the driver, which the next line imports, is missing
    from .postgres.store import PostgresStore  # noqa: PLC0415  it imports SQLAlchemy

    return PostgresStore(url, policy=policy)


def _text_of(url: object) -> str:
    # The parameter is an object, for callers without a type checker.
    if isinstance(url, Path):
        return f"sqlite+aiosqlite:///{quote(str(url))}"
    if not isinstance(url, str):
        raise UnsupportedStore(shorten(url), "it is neither a text nor a Path")
    return url


def _policy_or_default(cls: type[P], policy: object, url: str) -> P:
    """Return the policy of a store; the default one if it is ``None``."""
    if policy is None:
        return cls()
    if isinstance(policy, cls):
        return policy
    reason = f"it takes a {cls.__name__}, not a {type(policy).__name__}"
    raise UnsupportedStore(url, reason)


def migrate_store(store: Store, *, dry_run: bool = False) -> AsyncGenerator[Migration]:
    """Bring the databases of a store up to date, each in a transaction of its own.

    A database that cannot be used is reported, and the others are still migrated. Two
    processes may migrate at the same time. A host of an older release that still runs
    loses its partitions.

    Args:
        store: a store from ``open_store``; it need not be open.
        dry_run: whether to report only, and change nothing.

    Returns:
        One report per database, in the order of their partitions.

    Raises:
        UnsupportedStore: the store has no tables, or alembic is not installed.
        StoreError: the databases cannot be listed.
    """
    from .upgrade import upgrade  # noqa: PLC0415  it imports SQLAlchemy

    return upgrade(store, dry_run=dry_run)


def migration_script(url: str, *, since: int = 0) -> str:
    """Return the SQL of a migration; no connection is made.

    Args:
        url: URL of the store; only its kind of database matters.
        since: version of the existing tables; 0 for an empty database.

    Raises:
        UnsupportedStore: the kind of database has no tables, or alembic is not
            installed.
        ValueError: there is no such version.
    """
    from .upgrade import script_since  # noqa: PLC0415  it imports SQLAlchemy

    return script_since(url, since)
