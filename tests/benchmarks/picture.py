"""The picture of the table: a bar for each ratio, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .figures import Row

__all__ = ["draw"]

LEFT, WIDTH, STEP, TOP = 190, 480, 22, 60
DECADES = (-2, 2)
"""The least and the greatest power of ten that is drawn; others end at the edge."""

TITLE = "cost as a multiple of the reference: median, spread, and a mark for the reach"
STYLE = """<style>
text { fill: #333; font: 12px sans-serif }
.yes { fill: #30638e } .no { fill: #d1495b }
.grid { stroke: #ddd } .one { stroke: #888 } .spread { stroke: #333 }
.reach { stroke: #222; stroke-width: 2 }
</style>"""


def draw(rows: Sequence[Row]) -> str:
    """Draw every ratio that is judged: median, spread, and where it should come to.

    To the left of the middle podvisor takes less than what it is held against. Rates,
    of which more is better, are turned over for that.
    """
    judged = [row for row in rows if row.reach is not None]
    height = TOP + STEP * len(judged) + 20
    size = f"0 0 {LEFT + WIDTH + 90} {height}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}">',
        STYLE,
        '<rect width="100%" height="100%" fill="#fff"/>',
        text(LEFT, 18, TITLE, "start"),
    ]
    for power in range(DECADES[0], DECADES[1] + 1):
        x, kind = place(10.0**power), "one" if power == 0 else "grid"
        parts.append(line(x, TOP - 12, x, height - 16, kind))
        parts.append(text(x, TOP - 18, f"{10.0**power:g}", "middle"))
    for n, row in enumerate(judged):
        parts += bar(row, TOP + n * STEP)
    parts.append("</svg>\n")
    return "\n".join(parts)


def bar(row: Row, y: float) -> list[str]:
    """Draw one row."""
    assert row.reach is not None
    least = row.reach.least
    ratios = [1 / ratio for ratio in row.ratios] if least else list(row.ratios)
    median = 1 / row.ratio if least else row.ratio
    goal = 1 / row.reach.limit if least else row.reach.limit
    start, end = sorted((place(1.0), place(median)))
    middle = y + 6
    kind, width = "yes" if row.met else "no", max(end - start, 1)
    box = f'x="{start:.1f}" y="{y}" width="{width:.1f}" height="12"'
    return [
        text(LEFT - 8, y + 10, row.name, "end"),
        f'<rect class="{kind}" {box}/>',
        line(place(min(ratios)), middle, place(max(ratios)), middle, "spread"),
        line(place(goal), y - 3, place(goal), y + 15, "reach"),
        text(LEFT + WIDTH + 8, y + 10, f"{median:.2g}", "start"),
    ]


def place(ratio: float) -> float:
    """Return where a ratio stands."""
    low, high = DECADES
    power = min(max(math.log10(ratio), low), high)
    return LEFT + WIDTH * (power - low) / (high - low)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return (
        f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" '
        f'x2="{x2:.1f}" y2="{y2:.1f}"/>'
    )


def text(x: float, y: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
    )
