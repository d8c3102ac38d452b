"""Which PostgreSQL database a URL names, and how a connection to it is set up."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

import attrs
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..errors import UnsupportedStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..store import PostgresPolicy

__all__ = ["Target", "check_target"]

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_OPTIONS = ("host", "port", "schema", "ssl", "statement_cache_size")


@attrs.frozen
class Target:
    """A database, the schema in it, and what the driver is told.

    Attributes:
        url: what SQLAlchemy connects to, without the options of podvisor.
        schema: where the tables are; ``None``: where the role's search path says.
        statement_cache_size: prepared statements that the driver keeps; 0 behind a pool
            of connections that cannot carry them, ``None`` for the driver's default.
    """

    url: URL
    schema: str | None = None
    statement_cache_size: int | None = None

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    def connect_args(self, policy: PostgresPolicy) -> dict[str, object]:
        """Return how the driver sets a connection up."""
        milliseconds = str(int(policy.statement_timeout * 1000))
        settings = {
            "application_name": "podvisor",
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
        }
        if self.schema is not None:
            settings["search_path"] = self.schema
        arguments: dict[str, object] = {
            "timeout": policy.connect_timeout,
            "command_timeout": policy.statement_timeout + policy.grace,
            "server_settings": settings,
        }
        if self.statement_cache_size is not None:
            arguments["statement_cache_size"] = self.statement_cache_size
            arguments["prepared_statement_cache_size"] = self.statement_cache_size
        return arguments


def check_target(text: str) -> Target:
    """Read the URL of a PostgreSQL database, or say what to write instead.

    Raises:
        UnsupportedStore: it is no URL, its driver is missing or would block, or it has
            an option that the store does not know.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise UnsupportedStore("postgresql:…", "it is no URL") from error
    options = {**url.query}
    reason = _why_not_usable(url, options)
    if reason is not None:
        raise UnsupportedStore(url.render_as_string(hide_password=True), reason)
    size = options.get("statement_cache_size")
    schema = options.get("schema")
    return Target(
        url.difference_update_query(("schema", "statement_cache_size")),
        str(schema) if schema is not None else None,
        int(str(size)) if size is not None else None,
    )


def _why_not_usable(url: URL, options: Mapping[str, object]) -> str | None:
    if url.drivername != "postgresql+asyncpg":
        return (
            f"{url.drivername!r} is not a driver of this store; "
            "write 'postgresql+asyncpg' for it"
        )
    if not _has_driver():
        return "its driver is not installed; pip install 'podvisor[postgres]'"
    if not url.database:
        return "it names no database"
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        return f"it has the option {unknown[0]!r}; known are {', '.join(_OPTIONS)}"
    return _why_not_these(options)


def _why_not_these(options: Mapping[str, object]) -> str | None:
    schema = options.get("schema", "podvisor")
    if _SCHEMA.fullmatch(str(schema)) is None:
        return "its schema is no plain lower-case name"
    if not str(options.get("statement_cache_size", 0)).isdecimal():
        return "its statement_cache_size is no number"
    return None


def _has_driver() -> bool:
    try:
        import_module("asyncpg")  # it comes with an extra
    except ImportError:
        return False
    return True
