from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from persistence.pipeline.fair_queue import RoundRobinQueue

__all__: list[str] = []


@given(st.lists(st.sampled_from("abcd"), max_size=40))
def test_turns_go_round_and_nothing_is_lost(partitions: list[str]) -> None:
    """A6: at any time no partition is served twice while another waits."""
    queue: RoundRobinQueue[tuple[str, int]] = RoundRobinQueue()
    for index, partition in enumerate(partitions):
        queue.put(partition, (partition, index))
    left = {name: partitions.count(name) for name in "abcd"}

    taken: list[tuple[str, int]] = []
    while (item := queue.take_next()) is not None:
        waiting = {name for name, count in left.items() if count}
        recent = {name for name, _ in taken[len(taken) - len(waiting) + 1 :]}
        assert len(waiting) == 1 or item[0] not in recent
        left[item[0]] -= 1
        taken.append(item)

    assert sorted(index for _, index in taken) == list(range(len(partitions)))
    for name in "abcd":
        mine = [index for partition, index in taken if partition == name]
        assert mine == sorted(mine)


def test_a_partition_knows_how_much_waits() -> None:
    """P6: the bound of a partition is asked for before anything is queued."""
    queue: RoundRobinQueue[int] = RoundRobinQueue()
    for item in range(3):
        queue.put("acme", item)
    queue.put("globex", 9)

    assert (queue.depth("acme"), queue.depth("globex"), queue.depth("none")) == (
        3,
        1,
        0,
    )
    assert len(queue) == 4
    assert repr(queue) == "<RoundRobinQueue partitions=2 items=4>"
    assert [queue.take_next() for _ in range(5)] == [0, 9, 1, 2, None]
