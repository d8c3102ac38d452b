from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from persistence.sql.suspects import Suspects

__all__: list[str] = []

NAMES = ("acme", "globex", "umbrella")


def test_nobody_is_suspected_without_a_fault() -> None:
    """P1: batches are shared as a rule."""
    suspects = Suspects()

    assert suspects.count_batch(NAMES) == frozenset()
    assert len(suspects) == 0


def test_a_partition_is_tried_apart_until_it_has_been_good_for_long_enough() -> None:
    """P1: every further fault begins the time anew."""
    suspects = Suspects(batches=2)
    suspects.add("acme")
    seen = [suspects.count_batch(NAMES)]
    suspects.add("acme")

    seen += [suspects.count_batch(NAMES) for _ in range(3)]

    assert seen == [{"acme"}, {"acme"}, {"acme"}, frozenset()]
    assert len(suspects) == 0


def test_batches_without_it_do_not_clear_a_partition() -> None:
    """P1: who waits is not forgiven for the waiting."""
    suspects = Suspects(batches=1)
    suspects.add("acme")

    for _ in range(5):
        assert suspects.count_batch(["globex"]) == frozenset()

    assert suspects.count_batch(["acme", "acme"]) == {"acme"}


def test_suspects_are_bounded() -> None:
    """Holds 8: of too many, the one that was noted longest ago is trusted again."""
    suspects = Suspects(max_partitions=2)
    for name in ("acme", "globex", "acme", "umbrella"):
        suspects.add(name)

    assert len(suspects) == 2
    assert suspects.count_batch(NAMES) == {"acme", "umbrella"}
    assert repr(suspects) == "<Suspects partitions=2>"


@settings(max_examples=25)
@given(
    faults=st.lists(st.sets(st.sampled_from(NAMES)), max_size=30),
    batches=st.integers(1, 9),
)
def test_a_partition_costs_the_others_one_try_in_so_many_batches(
    faults: list[set[str]], batches: int
) -> None:
    """P1: whatever it does, and whenever: it has to be good in between."""
    suspects = Suspects(batches=batches)
    shared: dict[str, list[int]] = {name: [] for name in NAMES}

    for turn, at_fault in enumerate(faults):
        apart = suspects.count_batch(NAMES)
        for name in at_fault:
            suspects.add(name)
            if name not in apart:
                shared[name].append(turn)

    for turns in shared.values():
        gaps = [later - turn for turn, later in pairwise(turns)]
        assert all(gap > batches for gap in gaps)
