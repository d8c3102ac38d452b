"""SQL texts for records, owners and quarantine.

The texts are constants. A batch runs in one call to the driver's thread, where building
and compiling statements would take longer than SQLite takes to run them. Each text
names exactly one partition, except those that list partitions or describe the tables.
Each text that changes a row of a partition checks the owner epoch again.

Listings cast their columns to bytes. The driver would refuse a damaged text, and with
it the whole page.
"""

from __future__ import annotations

__all__ = [
    "CHILDREN",
    "CLAIM",
    "COUNT",
    "DELETE",
    "INDEXED_ROWS",
    "INDEXED_ROWS_JOINED",
    "INSERT",
    "INSPECT",
    "KEYS",
    "LIFT_QUARANTINE",
    "LOAD",
    "MOVE",
    "OWNED",
    "OWNER",
    "PARTITIONS",
    "PUT_QUARANTINE",
    "QUARANTINED",
    "TABLES",
    "UPDATE",
    "VERSION",
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

CLAIM = """
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
"""Saves a record whose parent is unchanged; the index by parent is not written."""

MOVE = f"""
UPDATE podvisor_records SET
    rev = :rev, epoch = :epoch, version = :version, checksum = :checksum, body = :body,
    parent_manager = :parent_manager, parent_key = :parent_key,
    on_parent_stop = :on_parent_stop
{_AT_REVISION}
"""  # noqa: S608  a constant goes in, no value
"""Saves a record whose parent has changed."""

DELETE = f"""
DELETE FROM podvisor_records
WHERE partition = :partition AND manager = :manager AND key = :key AND {OWNED}
"""  # noqa: S608  a constant goes in, no value
"""Removes the state and the topology of one instance."""

PUT_QUARANTINE = f"""
INSERT INTO podvisor_quarantine (partition, manager, key, reason, since)
SELECT :partition, :manager, :key, :reason, :since WHERE {OWNED}
ON CONFLICT (partition, manager, key)
DO UPDATE SET reason = excluded.reason, since = excluded.since
"""

LIFT_QUARANTINE = f"""
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
"""Passes the keys as one JSON array, so the text is the same for any number."""

_FROM_INDEX = """
FROM podvisor_records INDEXED BY podvisor_records_witness
WHERE partition = :partition AND manager = :manager
    AND key IN (SELECT value FROM json_each(:keys))
"""

INDEXED_ROWS = f"SELECT key, kind {_FROM_INDEX}"
"""Reads the index alone, as it holds every selected column."""

INDEXED_ROWS_JOINED = f"SELECT group_concat(key), group_concat(kind) {_FROM_INDEX}"
"""Returns the same in one row, which takes half as long."""

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

QUARANTINED = """
SELECT CAST(manager AS BLOB), CAST(key AS BLOB), CAST(reason AS BLOB), since
FROM podvisor_quarantine WHERE partition = :partition ORDER BY manager, key
"""
