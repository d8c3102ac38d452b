"""The results as a file, as a table to read, and as a part of the docs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from rich.table import Table

from .figures import Row, as_json, from_json
from .picture import draw

__all__ = ["Report", "load", "table", "write_docs"]


@attrs.frozen(kw_only=True)
class Report:
    """One run.

    Attributes:
        about: machine, versions, command and date, in words.
        rows: what was measured.
        absent: peers that were not measured, and why.
    """

    about: Mapping[str, str]
    rows: Sequence[Row]
    absent: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def as_text(self) -> str:
        whole = {
            "about": dict(self.about),
            "absent": dict(self.absent),
            "results": {row.name: as_json(row) for row in self.rows},
        }
        return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def load(text: str) -> Report:
    """Read what ``Report.as_text`` wrote."""
    whole = json.loads(text)
    return Report(
        about=whole["about"],
        absent=whole["absent"],
        rows=[from_json(name, found) for name, found in whole["results"].items()],
    )


def table(rows: Sequence[Row]) -> Table:
    """Lay results out for a terminal."""
    made = Table(title="podvisor beside what it is held against")
    made.add_column("case")
    for title in ("podvisor", "reference", "", "ratio, min", "median", "max", "reach"):
        made.add_column(title, justify="right")
    made.add_column("met")
    for row in rows:
        made.add_row(*_cells(row))
    return made


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        number(row.ours),
        number(row.theirs),
        row.unit,
        ratio(min(row.ratios)),
        ratio(row.ratio),
        ratio(max(row.ratios)),
        "" if row.reach is None else str(row.reach),
        verdict(row),
    )


def verdict(row: Row) -> str:
    return {None: "", True: "yes", False: "no"}[row.met]


def number(value: float) -> str:
    """Write a figure with three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def ratio(value: float) -> str:
    if value < 0.01:
        return "<0.01"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def write_docs(report: Report, root: Path) -> None:
    """Write the results into the docs: tables, picture, and lines of the README.

    What an earlier run has written of the other systems stays, with its date, if this
    one left them out.
    """
    page = root / "docs" / "benchmarks.md"
    _replace(page, "machine", _machine(report.about))
    _replace(page, "table", _markdown(report.rows, peer=False))
    if report.absent or any(row.peer for row in report.rows):
        when = "Measured on {date}, load {load}.\n\n".format_map(report.about)
        peers = _markdown(report.rows, peer=True) + _absent(report.absent)
        _replace(page, "peers", when + peers)
    page.with_suffix(".svg").write_text(draw(report.rows), encoding="utf-8")
    _replace(root / "README.md", "figures", _headlines(report))


def _replace(file: Path, name: str, text: str) -> None:
    """Put a text between the two marks of a name."""
    begin, end = f"<!-- {name}: written by tests.benchmarks -->", f"<!-- end {name} -->"
    whole = file.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    changed, found = pattern.subn(lambda _: f"{begin}\n{text.strip()}\n{end}", whole)
    if found != 1:
        msg = f"{file.name} has {found} places for {name!r}, and needs one"
        raise ValueError(msg)
    file.write_text(changed, encoding="utf-8")


_MACHINE = """
- **{date}**, `{command}`
- {cpu}, {cores} cores, {memory} of memory, load {load}
- {system}, Python {python}, SQLite {sqlite}
- {packages}
"""


def _machine(about: Mapping[str, str]) -> str:
    return _MACHINE.format_map(about)


def _markdown(rows: Sequence[Row], *, peer: bool) -> str:
    lines = [
        "| case | podvisor | reference | ratio, min | median | max | reach | met |",
        "|---|---|---|---:|---:|---:|---|---|",
    ]
    for row in rows:
        if row.peer is not peer:
            continue
        name, ours, theirs, unit, *judged = _cells(row)
        note = f" ({row.note})" if row.note else ""
        lines.append(
            f"| `{name}` | {row.what}{note}: **{ours} {unit}** "
            f"| {row.reference}: {theirs} {unit} | {' | '.join(judged)} |"
        )
    return "\n".join(lines)


def _absent(absent: Mapping[str, str]) -> str:
    if not absent:
        return ""
    lines = [f"- {name}: {why}" for name, why in absent.items()]
    return "\n\nNot measured:\n\n" + "\n".join(lines)


_HEADLINES = """
- an `ask` takes {ask} µs: {ask_ratio} times what two tasks need to exchange a message
  through `asyncio.Queue`;
- {rows} replies a second leave after their commit, `synchronous=FULL`: {rows_ratio}
  of what `sqlite3` by itself writes in transactions of that size;
- an idle instance takes {idle} bytes: {idle_ratio} of a waiting task and its queue; a
  hibernated one leaves {hibernated} behind.
"""


def _headlines(report: Report) -> str:
    rows = {row.name: row for row in report.rows}
    ask, stored, idle = (
        rows[name] for name in ("ask_sequential", "durable_ask", "idle_memory")
    )
    return _HEADLINES.format(
        ask=number(ask.ours),
        ask_ratio=ratio(ask.ratio),
        rows=number(stored.ours),
        rows_ratio=ratio(stored.ratio),
        idle=number(idle.ours),
        idle_ratio=ratio(idle.ratio),
        hibernated=number(rows["hibernated_memory"].ours),
    )
