"""SQL texts for letters, dead letters and remembered replies.

As in ``statements``, each text names one partition, except the two that list
partitions. Each text that writes checks the owner epoch.
"""

from __future__ import annotations

from .statements import OWNED

__all__ = [
    "ANSWER",
    "BURY",
    "DEAD",
    "DEFER",
    "DROP_MAIL",
    "DROP_REPLIES",
    "EXHUME",
    "FIRST_DUE",
    "FORGET_REPLIES",
    "INDEXED_LETTERS",
    "LETTERS",
    "LETTER_COUNTS",
    "MAIL",
    "PENDING",
    "PENDING_ROWS",
    "POST",
    "REPLY",
    "TAKE_AWAY",
    "TAKE_CERTAIN",
]

_COLUMNS = """partition, manager, key, id, stamp, message, version, body, due, sent,
    tries, cron, sender_manager, sender_key, checksum"""

POST = f"""
INSERT INTO podvisor_letters ({_COLUMNS})
SELECT :partition, :manager, :key, :id, :stamp, :message, :version, :body, :due, :sent,
    :tries, :cron, :sender_manager, :sender_key, :checksum
WHERE {OWNED}
ON CONFLICT (partition, manager, key, id) DO UPDATE SET
    stamp = excluded.stamp, message = excluded.message, version = excluded.version,
    body = excluded.body, due = excluded.due, sent = excluded.sent,
    tries = excluded.tries, cron = excluded.cron,
    sender_manager = excluded.sender_manager, sender_key = excluded.sender_key,
    checksum = excluded.checksum
"""

_NAMED = "partition = :partition AND manager = :manager AND key = :key AND id = :id"
_PLACE = f"{_NAMED} AND (:stamp = '' OR stamp = :stamp)"
_EXACTLY = f"{_NAMED} AND stamp = :stamp"

TAKE_CERTAIN = f"DELETE FROM podvisor_letters WHERE {_EXACTLY} AND {OWNED}"  # noqa: S608  as above
"""Removes a letter that must exist; the unit is refused if it does not."""

TAKE_AWAY = f"DELETE FROM podvisor_letters WHERE {_PLACE} AND {OWNED}"  # noqa: S608  as above

DEFER = f"""
UPDATE podvisor_letters SET due = :due, tries = :tries, checksum = :checksum
WHERE {_PLACE} AND {OWNED}
"""  # noqa: S608  as above

_TARGET = "partition = :partition AND manager = :manager AND key = :key"

DROP_MAIL = f"DELETE FROM podvisor_letters WHERE {_TARGET} AND {OWNED}"  # noqa: S608  as above
"""Removes the letters of a removed instance, as delivering one would start it again."""

DROP_REPLIES = f"DELETE FROM podvisor_replies WHERE {_TARGET} AND {OWNED}"  # noqa: S608  as above

BURY = f"""
INSERT INTO podvisor_dead_letters (
    partition, stamp, manager, key, id, message, version, body, sent, tries, reason,
    since
)
SELECT partition, stamp, manager, key, id, message, version, body, sent, :tries,
    :reason, :since
FROM podvisor_letters WHERE {_PLACE} AND {OWNED}
ON CONFLICT (partition, stamp) DO NOTHING
"""  # noqa: S608  as above

EXHUME = f"""
DELETE FROM podvisor_dead_letters
WHERE partition = :partition AND stamp = :stamp AND {OWNED}
"""  # noqa: S608  as above

ANSWER = f"""
INSERT INTO podvisor_replies (
    partition, manager, key, request, digest, body, expires, checksum
)
SELECT :partition, :manager, :key, :request, :digest, :body, :expires, :checksum
WHERE {OWNED}
"""

FORGET_REPLIES = f"""
DELETE FROM podvisor_replies
WHERE partition = :partition AND expires <= :before AND {OWNED}
"""  # noqa: S608  as above

LETTERS = f"""
SELECT {_COLUMNS} FROM podvisor_letters
WHERE partition = :partition AND due <= :until AND (due, stamp) > (:due, :stamp)
ORDER BY due, stamp LIMIT :limit
"""  # noqa: S608  as above

_BY_DUE = "INDEXED BY podvisor_letters_by_due"

INDEXED_LETTERS = f"""
SELECT CAST(manager AS BLOB), CAST(key AS BLOB), CAST(id AS BLOB),
    CAST(stamp AS BLOB), due
FROM podvisor_letters {_BY_DUE}
WHERE partition = :partition AND due <= :until AND (due, stamp) > (:due, :stamp)
ORDER BY due, stamp LIMIT :limit
"""  # noqa: S608  as above
"""Reads the index alone, as it holds every selected column."""

LETTER_COUNTS = f"""
SELECT
    (SELECT count(version) FROM podvisor_letters NOT INDEXED
     WHERE partition = :partition),
    (SELECT count(*) FROM podvisor_letters {_BY_DUE} WHERE partition = :partition),
    (SELECT count(*) FROM podvisor_letters AS entry {_BY_DUE}
     WHERE partition = :partition AND EXISTS (
        SELECT 1 FROM podvisor_letters AS letter NOT INDEXED
        WHERE letter.partition = entry.partition AND letter.manager = entry.manager
            AND letter.key = entry.key AND letter.id = entry.id
            AND letter.stamp = entry.stamp AND letter.due = entry.due
            AND letter.version IS NOT NULL
     ))
"""  # noqa: S608  as above
"""Counts ``version``; for ``count(*)`` SQLite would count the index entries instead."""

MAIL = f"""
SELECT {_COLUMNS} FROM podvisor_letters
WHERE partition = :partition AND manager = :manager AND key = :key
ORDER BY due, stamp LIMIT :limit
"""  # noqa: S608  as above

FIRST_DUE = """
SELECT (SELECT count(*) FROM podvisor_letters WHERE partition = :partition),
    (SELECT due FROM podvisor_letters WHERE partition = :partition
     ORDER BY due, stamp LIMIT 1)
"""

PENDING = """
WITH RECURSIVE found (name) AS (
    SELECT min(partition) FROM podvisor_letters WHERE partition > :after
    UNION ALL
    SELECT (SELECT min(partition) FROM podvisor_letters WHERE partition > found.name)
    FROM found WHERE found.name IS NOT NULL
)
SELECT CAST(name AS BLOB), (
    SELECT due FROM podvisor_letters WHERE partition = name ORDER BY due, stamp LIMIT 1
) FROM found WHERE name IS NOT NULL LIMIT :limit
"""
"""Skips from partition to partition; the cost grows with partitions, not letters."""

PENDING_ROWS = """
WITH RECURSIVE found (name) AS (
    SELECT * FROM (
        SELECT partition FROM podvisor_letters NOT INDEXED
        WHERE partition > :after AND version IS NOT NULL
        ORDER BY partition LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT partition FROM podvisor_letters NOT INDEXED
        WHERE partition > found.name AND version IS NOT NULL
        ORDER BY partition LIMIT 1
    )
    FROM found WHERE found.name IS NOT NULL
)
SELECT CAST(name AS BLOB) FROM found WHERE name IS NOT NULL LIMIT :limit
"""
"""Lists partitions from the rows of the table; ``PENDING`` reads the index."""

DEAD = """
SELECT partition, manager, key, id, stamp, message, version, body, sent, tries, reason,
    since
FROM podvisor_dead_letters WHERE partition = :partition AND stamp > :after
ORDER BY stamp LIMIT :limit
"""

REPLY = """
SELECT partition, manager, key, request, digest, body, expires, checksum
FROM podvisor_replies
WHERE partition = :partition AND manager = :manager AND key = :key
    AND request = :request
"""
