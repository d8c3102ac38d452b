"""The demo does what it prints, and notices when it does not hold."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from examples import workspaces
from examples.workspaces import (
    KEY,
    SLEEPER,
    TENANTS,
    Coordinator,
    Editorial,
    Look,
    Metrics,
    ReadReport,
    Reviewer,
    Workspace,
    Writer,
)
from pods import Host, Pod, Signals, setup_telemetry


@pytest.fixture
def signals() -> Signals:
    return setup_telemetry("test", memory=True)


def _console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=100), text


async def _look_again(database: Path) -> dict[str, tuple[int, int]]:
    """Open what a demo left; return modules left and lines written, by tenant."""
    found: dict[str, tuple[int, int]] = {}
    async with Host(f"sqlite+aiosqlite:///{database}") as host:
        host.manager("coordinators", Coordinator)
        host.manager("reviewers", Reviewer)
        host.manager("writers", Writer)
        host.manager("editorials", Editorial)
        workspaces = host.manager("workspaces", Workspace)
        for tenant in TENANTS:
            pod = await Pod.get(workspaces, KEY, partition=tenant)
            editorial = await pod.ensure_node(Workspace.editorial)
            writer = await editorial.ensure_node(Editorial.writer)
            left = (await pod.ask(Look())).left
            found[tenant] = left, len(await writer.ask(ReadReport()))
    return found


async def test_three_tenants_finish_under_one_key_although_one_was_hibernated(
    tmp_path: Path, signals: Signals
) -> None:
    """G5, G9, G10, G14: same key, one hibernated, thawed, and done with the rest."""
    console, text = _console()

    await workspaces.demo(tmp_path / "demo.db", console, signals, most=4)

    printed = text.getvalue()
    rows = {
        w[1]: w[3:8:2] for line in printed.splitlines() if len(w := line.split()) > 9
    }
    assert rows["globex"][0] == "hibernated"
    assert {rows["acme"][0], rows["initech"][0]} == {"live"}
    looked = await _look_again(tmp_path / "demo.db")
    for tenant, package in TENANTS.items():
        assert f"{tenant}: 4 of 4 modules" in printed
        assert looked[tenant] == (len(workspaces.modules_of(package)) - 4, 4)


async def test_another_run_goes_on_where_the_last_one_ended(
    tmp_path: Path, signals: Signals
) -> None:
    """A9: what a run acknowledged is there for the next host."""
    console, _ = _console()

    await workspaces.demo(tmp_path / "demo.db", console, signals, most=1)
    await workspaces.demo(tmp_path / "demo.db", console, signals, most=2)

    looked = await _look_again(tmp_path / "demo.db")
    assert {lines for _, lines in looked.values()} == {3}


async def test_the_spans_shown_are_those_of_one_tenant(
    tmp_path: Path, signals: Signals
) -> None:
    """G13: every span names its partition, and the attribute tells them apart."""
    console, text = _console()

    await workspaces.demo(tmp_path / "demo.db", console, signals, most=2)

    caption = text.getvalue().strip().splitlines()[-1]
    shown, _, total, _ = caption.split()
    assert 0 < int(shown) < int(total)
    assert f"podvisor.partition.id = {SLEEPER}" in text.getvalue()


async def test_a_row_of_a_neighbour_that_changes_fails_the_demo(
    tmp_path: Path, signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G9: the proof by rows can fail."""
    console, _ = _console()
    looks = iter(range(10))

    def restless(_: Path) -> dict[str, set[tuple[object, ...]]]:
        return {tenant: {("row", next(looks))} for tenant in TENANTS}

    monkeypatch.setattr(workspaces, "rows_on_disk", restless)

    with pytest.raises(AssertionError, match="acme was touched"):
        await workspaces.demo(tmp_path / "demo.db", console, signals, most=2)


def test_a_module_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.py").write_text(
        "def short():\n"
        '    """Say nothing."""\n'
        "async def long(a, b):\n"
        "    for x in a or b:\n"
        "        if x and a and b:\n"
        "            return [y for y in x]\n"
    )
    _put_packages_into(tmp_path, monkeypatch)

    found = workspaces.measure("any", "one.py")

    assert found == Metrics(
        module="one.py", lines=6, functions=2, longest=4, complexity=7, undocumented=1
    )


def test_a_module_without_functions_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none.py").write_text("")
    _put_packages_into(tmp_path, monkeypatch)

    assert workspaces.measure("any", "none.py") == Metrics("none.py", 0, 0, 0, 0, 0)


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match="no package 'absent_package'"):
        workspaces.folder_of("absent_package")


def _put_packages_into(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder_of(_: str) -> Path:
        return folder

    monkeypatch.setattr(workspaces, "folder_of", folder_of)
