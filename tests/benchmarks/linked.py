"""A pod of many linked nodes: ten own ninety, which own nine hundred."""

from __future__ import annotations

from pods import Node, OnParentStop, Pod, eager
from tests.pods.support import Reviewer

__all__ = ["linked"]


def linked(hundreds: int, on_parent_stop: OnParentStop) -> type[Pod]:
    """Make a pod class of so many hundred eager nodes, three levels deep.

    Args:
        hundreds: in each, 1 node owns 9 that own 90; ten of them are 1,000 nodes.
        on_parent_stop: what becomes of each when its parent stops.
    """

    def node(owner: Node[Reviewer] | None) -> Node[Reviewer]:
        return eager(
            Reviewer, manager="workers", owner=owner, on_parent_stop=on_parent_stop
        )

    tops = [node(None) for _ in range(hundreds)]
    middles = [node(tops[n % len(tops)]) for n in range(9 * hundreds)]
    lows = [node(middles[n % len(middles)]) for n in range(90 * hundreds)]
    body: dict[str, object] = {"__module__": __name__}
    for name, members in (("top", tops), ("middle", middles), ("low", lows)):
        body |= {f"{name}{n}": member for n, member in enumerate(members)}
    return type("Linked", (Pod,), body)
