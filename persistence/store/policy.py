"""Settings of the stores that have some."""

from __future__ import annotations

import attrs

__all__ = ["FilesPolicy", "PostgresPolicy"]


_SECONDS = attrs.validators.gt(0.0)
_COUNT = attrs.validators.and_(
    attrs.validators.instance_of(int), attrs.validators.ge(1)
)


@attrs.frozen(kw_only=True)
class FilesPolicy:
    """Bounds of a store that keeps a file per partition.

    Attributes:
        max_open: databases that are open at the same time; each costs a thread and
            three file handles, and twice that while it is read and written.
        idle_timeout: seconds after its last use until a database is closed.
    """

    max_open: int = attrs.field(
        default=64,
        validator=[attrs.validators.instance_of(int), attrs.validators.ge(1)],
    )
    idle_timeout: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))


@attrs.frozen(kw_only=True)
class PostgresPolicy:
    """How long the store waits for a server, and how many connections it holds.

    Attributes:
        connect_timeout: seconds until a server that does not answer is given up.
        statement_timeout: seconds until the server ends a statement, and a transaction
            in which nothing happens: a host that froze in one keeps no lock for ever.
        grace: seconds beyond ``statement_timeout`` until the store stops to wait for a
            server that says nothing at all.
        readers: connections that read; one more writes.
    """

    connect_timeout: float = attrs.field(default=10.0, validator=_SECONDS)
    statement_timeout: float = attrs.field(default=30.0, validator=_SECONDS)
    grace: float = attrs.field(default=5.0, validator=_SECONDS)
    readers: int = attrs.field(default=3, validator=_COUNT)
