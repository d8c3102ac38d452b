"""Every statement that the SQL store runs.

They are text and not built per call: a batch runs in one visit to the driver's thread,
where building and compiling would cost more than SQLite does. Each names exactly one
partition, and each write asks again who owns it.

What a listing shows is cast to bytes: the driver would refuse a damaged text, and with
it the whole page.
"""

from __future__ import annotations

__all__ = [
    "CHILDREN",
    "COUNT",
    "DELETE",
    "INSERT",
    "INSPECT",
    "KEYS",
    "LIFT",
    "LOAD",
    "MARK",
    "MARKS",
    "MOVE",
    "OWNED",
    "OWNER",
    "PARTITIONS",
    "TABLES",
    "TAKE",
    "TESTIMONY",
    "UPDATE",
    "VERSION",
    "WITNESS",
]

OWNED = """EXISTS (
    SELECT 1 FROM podvisor_owners WHERE partition = :partition AND epoch = :epoch
)"""

TABLES = """
SELECT name FROM sqlite_schema
WHERE type = 'table' AND name LIKE 'podvisor!_%' ESCAPE '!'
"""

VERSION = "SELECT version FROM podvisor_schema WHERE partition = ''"

OWNER = "SELECT epoch FROM podvisor_owners WHERE partition = :partition"

TAKE = """
INSERT INTO podvisor_owners (partition, epoch) VALUES (:partition, 1)
ON CONFLICT (partition) DO UPDATE SET epoch = podvisor_owners.epoch + 1
"""

PARTITIONS = """
SELECT CAST(partition AS BLOB) FROM podvisor_owners
WHERE partition > CAST(:after AS TEXT) AND typeof(partition) = 'text'
ORDER BY partition LIMIT :limit
"""

INSERT = f"""
INSERT INTO podvisor_records (
    partition, manager, key, kind, rev, epoch, version,
    parent_manager, parent_key, on_parent_stop, checksum, body
)
SELECT
    :partition, :manager, :key, :kind, :rev, :epoch, :version,
    :parent_manager, :parent_key, :on_parent_stop, :checksum, :body
WHERE {OWNED}
"""

_AT_REVISION = f"""
WHERE partition = :partition AND manager = :manager AND key = :key AND kind = :kind
    AND rev = :rev - 1 AND {OWNED}
"""

UPDATE = f"""
UPDATE podvisor_records SET
    rev = :rev, epoch = :epoch, version = :version, checksum = :checksum, body = :body,
    on_parent_stop = :on_parent_stop
{_AT_REVISION} AND parent_manager = :parent_manager AND parent_key = :parent_key
"""  # noqa: S608  a constant goes in, no value
"""Saves a record whose parent is what it was: an index stays untouched."""

MOVE = f"""
UPDATE podvisor_records SET
    rev = :rev, epoch = :epoch, version = :version, checksum = :checksum, body = :body,
    parent_manager = :parent_manager, parent_key = :parent_key,
    on_parent_stop = :on_parent_stop
{_AT_REVISION}
"""  # noqa: S608  a constant goes in, no value
"""Saves a record whose parent is another one now."""

DELETE = f"""
DELETE FROM podvisor_records
WHERE partition = :partition AND manager = :manager AND key = :key AND {OWNED}
"""  # noqa: S608  a constant goes in, no value
"""Removes the state and the topology of one instance."""

MARK = f"""
INSERT INTO podvisor_quarantine (partition, manager, key, reason, since)
SELECT :partition, :manager, :key, :reason, :since WHERE {OWNED}
ON CONFLICT (partition, manager, key)
DO UPDATE SET reason = excluded.reason, since = excluded.since
"""

LIFT = f"""
DELETE FROM podvisor_quarantine
WHERE partition = :partition AND manager = :manager AND key = :key AND {OWNED}
"""  # noqa: S608  a constant goes in, no value

LOAD = """
SELECT key, kind, rev, version, parent_manager, parent_key, on_parent_stop, body,
    checksum
FROM podvisor_records
WHERE partition = :partition AND manager = :manager
    AND key IN (SELECT value FROM json_each(:keys))
"""
"""The keys are one parameter, a JSON array, so the text is the same for any number."""

_BY_WITNESS = """
FROM podvisor_records INDEXED BY podvisor_records_witness
WHERE partition = :partition AND manager = :manager
    AND key IN (SELECT value FROM json_each(:keys))
"""

WITNESS = f"SELECT key, kind {_BY_WITNESS}"
"""Reads the index alone: it holds every column that is asked for."""

TESTIMONY = f"SELECT group_concat(key), group_concat(kind) {_BY_WITNESS}"
"""The same in one row, which takes half as long."""

INSPECT = """
SELECT partition, manager, key, kind, rev, version, parent_manager, parent_key,
    on_parent_stop, body, checksum
FROM podvisor_records
WHERE partition = :partition AND manager = :manager AND key = :key ORDER BY kind
"""

KEYS = """
SELECT CAST(key AS BLOB) FROM podvisor_records
WHERE partition = :partition AND manager = :manager
    AND key > CAST(:after AS TEXT) AND typeof(key) = 'text'
GROUP BY key ORDER BY key LIMIT :limit
"""

COUNT = """
SELECT count(*) FROM podvisor_records
WHERE partition = :partition AND manager = :manager AND kind = 'state'
"""

CHILDREN = """
SELECT CAST(manager AS BLOB), CAST(key AS BLOB) FROM podvisor_records
WHERE partition = :partition AND parent_manager = :manager AND parent_key = :key
ORDER BY manager, key
"""

MARKS = """
SELECT CAST(manager AS BLOB), CAST(key AS BLOB), CAST(reason AS BLOB), since
FROM podvisor_quarantine WHERE partition = :partition ORDER BY manager, key
"""
