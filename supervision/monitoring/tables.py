"""Tables of reports for a terminal; ``rich`` is imported when one is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from .health import HealthReport, PartitionHealth, Verdict

__all__ = ["affected_table", "health_table"]

_NUMBERS = ("p50", "p95", "p99", "errors", "queued", "seats/cap", "hits")
_WAITS = ("own wait", "shared wait")


def health_table(report: HealthReport, *, limit: int = 20) -> Table:
    """Build the table of the partitions of a report, the affected ones first.

    ::

        rich.print(health_table(host.health()))

    Args:
        report: the result of ``Host.health``.
        limit: rows at most.
    """
    from rich.text import Text  # noqa: PLC0415  it takes long to import

    title = (
        f"{report.verdict} | fairness {report.fairness:.2f} over {report.contending} "
        f"contending | {report.free} of {report.seats} seats free"
    )
    table = _table(title, report.partitions[:limit])
    hidden = len(report.partitions) - limit
    caption = [f"and {hidden} more"] if hidden > 0 else []
    caption += [
        f"{b.waiting} waited {b.seconds:.1f} s for seats that {b.holding} held"
        for b in report.blame
    ]
    table.caption = Text("\n".join(caption)) if caption else None
    return table


def affected_table(verdict: Verdict) -> Table:
    """Build the table of the affected partitions of a verdict."""
    return _table(str(verdict), verdict.affected)


def _table(title: str, partitions: Sequence[PartitionHealth]) -> Table:
    from rich.table import Table  # noqa: PLC0415  it takes long to import
    from rich.text import Text  # noqa: PLC0415  it takes long to import

    table = Table(title=Text(title))
    table.add_column("partition", overflow="fold")
    table.add_column("cause")
    for name in (*_NUMBERS, *_WAITS):
        table.add_column(name, justify="right")
    table.add_column("why", overflow="fold")
    for found in partitions:
        table.add_row(*(Text(cell) for cell in _row(found)))
    return table


def _row(found: PartitionHealth) -> list[str]:
    load, v = found.load, found.load.vitals
    return [
        found.partition,
        "-" if found.cause is None else found.cause.value,
        *(_seconds(s) for s in (v.p50, v.p95, v.p99)),
        f"{v.error_rate:.0%}",
        str(load.queued),
        f"{load.seats}/{load.cap}",
        str(load.cap_hits),
        _seconds(load.waited_own),
        _seconds(load.waited),
        found.why,
    ]


def _seconds(seconds: float) -> str:
    if seconds >= 1.0:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms" if seconds else "-"
