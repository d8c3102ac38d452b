from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import pytest

from persistence import open_store
from pods import Agent, Host, Message, handler

__all__: list[str] = []

KILLS = 3
ACKNOWLEDGED = 25


class Add(Message[int]):
    """Count one up."""


class Meter(Agent):
    total: int = 0
    history: tuple[int, ...] = ()

    @handler
    def add(self, message: Add) -> int:
        self.total += 1
        self.history = (*self.history[-4:], self.total)
        return self.total


class Read(Message[tuple[int, tuple[int, ...]]]):
    """Ask for all there is."""


class Reader(Meter):
    @handler
    def read(self, message: Read) -> tuple[int, tuple[int, ...]]:
        return self.total, self.history


PROGRAM = """
import asyncio, pathlib, sys
from pods import Host
from tests.supervision.test_kill import Add, Meter

async def main():
    async with Host(pathlib.Path(sys.argv[1])) as host:
        meters = host.manager("meters", Meter)
        meter = await meters.get("m", partition="acme")
        while True:
            print(await meter.ask(Add()), flush=True)

asyncio.run(main())
"""


def acknowledged_until_killed(file: Path) -> int:
    """Let a process count, kill it in the middle, return the last number it said."""
    command = [sys.executable, "-c", PROGRAM, str(file)]
    root = Path(__file__).parents[2]
    said = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:  # noqa: S603  our own program
        assert process.stdout is not None
        for _ in range(ACKNOWLEDGED):
            said = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split(b"\n")
    complete = [int(line) for line in rest[:-1] if line]
    return complete[-1] if complete else said


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "meters.db"
    open_store(found)  # imports SQLAlchemy; here no loop runs yet
    return found


async def test_what_was_acknowledged_survives_kill_9(file: Path) -> None:
    """A9: a reply that was seen is in the file, and the state is one turn's, whole."""
    for _ in range(KILLS):
        said = await anyio.to_thread.run_sync(acknowledged_until_killed, file)

        async with Host(file) as host:
            meters = host.manager("meters", Reader)
            meter = await meters.get("m", partition="acme")
            total, history = await meter.ask(Read())

        assert total >= said
        assert history == tuple(range(total - len(history) + 1, total + 1))
