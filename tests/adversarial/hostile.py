"""Values that have broken tenancy elsewhere, for each kind of argument."""

from __future__ import annotations

import unicodedata

from pods import Key, Pod, eager, lazy
from tests.pods.support import Reviewer, Workspace

__all__ = [
    "KEYS",
    "LIMITS",
    "MESSAGES",
    "NAMES",
    "NODES",
    "PARTITIONS",
    "VICTIMS",
    "VICTIM_KEYS",
    "WRONG_TYPES",
    "Liar",
]

VICTIMS = ("umbrella", "acme-corp", "acme.corp", "a")
"""Partitions that the attacker, in ``acme``, must not notice."""


class Liar(str):
    """A text that says it equals everything, and hashes like the one it stands for."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return str.__hash__(self)


class Sneak(tuple[str, ...]):
    """A tuple that is none exactly."""

    __slots__ = ()


COMPOSED = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
WRONG_TYPES: dict[str, object] = {
    "None": None,
    "number": 1,
    "zero": 0,
    "float": 1.0,
    "nan": float("nan"),
    "bool": True,
    "bytes": b"victim",
    "list": ["victim"],
    "dict": {"victim": 1},
    "set": {"victim"},
    "object": object,
    "class": Reviewer,
}
BAD_TEXTS: dict[str, object] = {
    "empty": "",
    "10,000 characters": "x" * 10_000,
    "NUL": "victim\0",
    "lone surrogate": "victim\ud800",
    "liar": Liar("victim"),
    "liar of a partition": Liar("umbrella"),
    "decomposed": unicodedata.normalize("NFD", COMPOSED),
    "path": "../umbrella/victim",
    "url": "umbrella%2Fvictim",
    "quote": "' OR 'a'='a",
    "wildcard": "%",
    "newline": "victim\n",
}
VICTIM_KEYS: tuple[Key, ...] = (
    "victim",
    "user_1",
    COMPOSED,
    "admin",
    ("workspaces", "victim", "coordinator"),
)
"""Keys that the victims have; the same ones are tried in ``acme``."""

KEYS: dict[str, object] = {
    **WRONG_TYPES,
    **BAD_TEXTS,
    "foreign": "victim",
    "underscore": "user_1",
    "its twin": "userX1",
    "composed": COMPOSED,
    "latin": "admin",
    "cyrillic": "\N{CYRILLIC SMALL LETTER A}dmin",
    "upper case": "VICTIM",
    "prefix": "acme-corp",
    "address": "umbrella/workers/victim",
    "address tuple": ("umbrella", "workers", "victim"),
    "node of a foreign pod": ("workspaces", "victim", "coordinator"),
    "text of a tuple": '["workspaces","victim","coordinator"]',
    "one-tuple": ("victim",),
    "empty tuple": (),
    "tuple of a number": ("victim", 1),
    "tuple of an empty text": ("victim", ""),
    "deep": ("a", ("b", ("c", ("d", ("e", ("f",)))))),
    "tuple subclass": Sneak(("victim",)),
    "list inside": ("victim", ["x"]),
}
PARTITIONS: dict[str, object] = {
    **WRONG_TYPES,
    **BAD_TEXTS,
    "prefix": "acm",
    "case twin": "Acme",
    "unknown": "nobody",
    "cyrillic": "\N{CYRILLIC SMALL LETTER A}cme",
    "dots": "acme..corp",
    "trailing dot": "acme.",
    "joined": "acme/umbrella",
    "joined by a colon": "acme:umbrella",
    "tuple": ("acme", "workers"),
    "64 characters": "a" * 64,
    "leading dash": "-acme",
}
NAMES: dict[str, object] = {
    **WRONG_TYPES,
    **BAD_TEXTS,
    "unknown": "nobody",
    "case twin": "WorkerPool",
    "joined": "umbrella/workers",
    "dunder": "__class__",
    "cyrillic": "w\N{CYRILLIC SMALL LETTER O}rkers",
}


class Outsider(Pod):
    """A pod class that the pods of these tests know nothing of."""

    coordinator = eager(Reviewer, manager="workers")
    reviewer = lazy(Reviewer, manager="workers")


NODES: dict[str, object] = {
    **WRONG_TYPES,
    **BAD_TEXTS,
    "unknown": "nobody",
    "case twin": "Coordinator",
    "key of the victim": ("workspaces", "victim", "coordinator"),
    "node of another class": Outsider.coordinator,
    "undeclared node": eager(Reviewer, manager="workers"),
    "its own": Workspace.coordinator,
    "its own by name": "reviewer",
}
MESSAGES: dict[str, object] = {**WRONG_TYPES, **BAD_TEXTS}
LIMITS: dict[str, object] = {
    **WRONG_TYPES,
    "negative": -1,
    "enormous": 2**70,
    "text": "10",
}
