"""The contract of a store as a suite of tests, for authors of stores.

::

    # conftest.py
    pytest.register_assert_rewrite("persistence.testing")

    # test_my_store.py
    from persistence.testing import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def make(self, tmp_path):
            return lambda: MyStore(tmp_path)

It needs pytest and anyio's plugin, which podvisor does not install for its users.
"""

from __future__ import annotations

from .letters import LetterConformance, letter
from .listings import ListingConformance
from .making import Make, opened, save, state, unit
from .records import RecordConformance
from .relay import RelayStore
from .takes import TakeConformance

__all__ = [
    "LetterConformance",
    "ListingConformance",
    "Make",
    "RecordConformance",
    "RelayStore",
    "StoreConformance",
    "TakeConformance",
    "letter",
    "opened",
    "save",
    "state",
    "unit",
]


class StoreConformance(
    RecordConformance, ListingConformance, LetterConformance, TakeConformance
):
    """The whole contract; subclass it and give it a ``make`` fixture."""
