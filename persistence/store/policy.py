"""Settings of the stores that have settings."""

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
        max_open: most databases that are open at the same time, from 1 up. Each costs a
            thread and three file handles, and twice that while it is read and written.
        idle_timeout: seconds after its last use until a database is closed; above 0.
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
        connect_timeout: seconds until an attempt to connect fails; above 0.
        statement_timeout: seconds until the server ends a statement, or a transaction
            that is idle; above 0. So the locks of a host that froze are released.
        grace: seconds beyond ``statement_timeout`` until the store stops waiting for a
            server that sends nothing; above 0.
        readers: connections that read, from 1 up; one more writes.
    """

    connect_timeout: float = attrs.field(default=10.0, validator=_SECONDS)
    statement_timeout: float = attrs.field(default=30.0, validator=_SECONDS)
    grace: float = attrs.field(default=5.0, validator=_SECONDS)
    readers: int = attrs.field(default=3, validator=_COUNT)
