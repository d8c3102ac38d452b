"""Timers: letters that are due later, once or by a rule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    Agent,
    AgentNotFound,
    Durability,
    Host,
    HostPolicy,
    InstanceManager,
    InvalidSchedule,
    MailPolicy,
    Message,
    Schedule,
    handler,
)
from supervision.agents.timers import next_due, timing
from tests.support import Declined, MakeStore, ManualClock, answer, eventually

__all__: list[str] = []


class Ring(Message[None]):
    text: str = "ring"


class Heard(Message[tuple[str, ...]]):
    pass


class Set(Message[None]):
    """Call ``schedule`` with these arguments, then end as told."""

    arguments: dict[str, object]
    text: str = "ring"
    fails: bool = False
    to: str = ""


class Unset(Message[None]):
    name: str
    fails: bool = False


class Pause(Message[None]):
    until: asyncio.Event


class Timers(Message[tuple[Schedule, ...]]):
    pass


class Bell(Agent):
    heard: list[str] = attrs.field(factory=list[str])

    @handler
    def ring(self, message: Ring) -> None:
        self.heard.append(message.text)
        if message.text == "poison":
            raise RuntimeError(message.text)

    @handler
    def all_heard(self, message: Heard) -> tuple[str, ...]:
        return tuple(self.heard)

    @handler(raises=(Declined, InvalidSchedule, AgentNotFound))
    def set(self, message: Set) -> None:
        target = self.context.ref("bells", message.to) if message.to else None
        schedule: Callable[..., None] = self.context.schedule
        schedule(Ring(message.text), target=target, **message.arguments)
        if message.fails:
            raise Declined("no")

    @handler(raises=(Declined,))
    def unset(self, message: Unset) -> None:
        self.context.unschedule(message.name)
        if message.fails:
            raise Declined("no")

    @handler
    async def pause(self, message: Pause) -> None:
        await message.until.wait()

    @handler
    async def timers(self, message: Timers) -> tuple[Schedule, ...]:
        return await self.context.schedules()


def bells(
    host: Host, *, durability: Durability = Durability.TURN
) -> InstanceManager[Bell]:
    return host.manager("bells", Bell, durability=durability)


def open_host(make: MakeStore, clock: ManualClock) -> Host:
    policy = HostPolicy(shutdown_timeout=2.0, shutdown_grace=0.1)
    return Host(store=make(), clock=clock, policy=policy)


async def pass_time(
    host: Host, clock: ManualClock, seconds: float, step: float = 30.0
) -> None:
    """Advance the clock in steps, and wait until the due letters are handled."""
    while seconds > 0:
        clock.advance(min(step, seconds))
        seconds -= step
        await eventually(lambda: all_is_quiet(host))


def all_is_quiet(host: Host) -> bool:
    letters = list(host.runtime.mailroom.letters.values())
    return all(
        known.settled is None
        and not known.out
        and not known.staged
        and known.next_due > host.runtime.clock.wall()
        for known in letters
    )


@pytest.mark.parametrize("durability", list(Durability))
async def test_a_timer_fires_once_when_it_is_due(
    host: Host, clock: ManualClock, durability: Durability
) -> None:
    """A9: not before, and not again; with any durability of its agent."""
    bell = await bells(host, durability=durability).get("b", partition="acme")
    await bell.ask(Set({"after": 90.0}))

    await pass_time(host, clock, 89, step=89)
    early = await bell.ask(Heard())
    await pass_time(host, clock, 1)
    due = await bell.ask(Heard())
    await pass_time(host, clock, 3_600)

    assert (early, due) == ((), ("ring",))
    assert await bell.ask(Heard()) == ("ring",)


async def test_a_timer_wakes_an_instance_that_hibernates(
    host: Host, clock: ManualClock
) -> None:
    """A9: nobody has to call ``get``."""
    manager = bells(host)
    bell = await manager.get("b", partition="acme")
    at = datetime.fromtimestamp(clock.wall() + 600, UTC)
    await bell.ask(Set({"at": at}))
    await manager.stop("b", partition="acme")

    await pass_time(host, clock, 599, step=599)
    asleep = manager.lookup("b", partition="acme")
    await pass_time(host, clock, 2)

    assert asleep is None
    assert manager.lookup("b", partition="acme") is not None
    assert await bell.ask(Heard()) == ("ring",)


async def test_a_timer_outlives_its_host(make: MakeStore, clock: ManualClock) -> None:
    """A9: one that falls due while no host runs fires when the next one starts."""
    async with open_host(make, clock) as host:
        bell = await bells(host).get("b", partition="acme")
        await bell.ask(Set({"after": 60.0}))
        await bell.ask(Set({"after": 600.0}, text="later"))
    clock.advance(100)

    async with open_host(make, clock) as host:
        manager = bells(host)
        await eventually(lambda: manager.lookup("b", partition="acme"))
        bell = await manager.get("b", partition="acme")
        await eventually(lambda: all_is_quiet(host))
        first = await bell.ask(Heard())
        await pass_time(host, clock, 500)

        assert first == ("ring",)
        assert await bell.ask(Heard()) == ("ring", "later")


async def test_a_turn_that_is_undone_sets_and_calls_off_nothing(
    host: Host, clock: ManualClock
) -> None:
    """Holds 3: timers take effect with the turn, or not at all."""
    bell = await bells(host).get("b", partition="acme")
    await answer(bell.ask(Set({"after": 10.0}, fails=True)))
    await bell.ask(Set({"after": 20.0, "name": "tea"}, text="tea"))
    await answer(bell.ask(Unset("tea", fails=True)))

    await pass_time(host, clock, 60)

    assert await bell.ask(Heard()) == ("tea",)


async def test_a_timer_can_be_called_off_and_replaced(
    host: Host, clock: ManualClock
) -> None:
    """A9: by its name; one that nobody has set is no error."""
    bell = await bells(host).get("b", partition="acme")
    await bell.ask(Set({"after": 10.0, "name": "tea"}, text="old"))
    await bell.ask(Set({"after": 20.0, "name": "tea"}, text="new"))
    await bell.ask(Set({"after": 10.0, "name": "egg"}, text="egg"))
    await bell.ask(Unset("egg"))
    await bell.ask(Unset("never"))

    await pass_time(host, clock, 15, step=5)
    early = await bell.ask(Heard())
    await pass_time(host, clock, 60)

    assert early == ()
    assert await bell.ask(Heard()) == ("new",)
    known = host.runtime.mailroom.letters["acme"]
    assert (known.letters, known.named) == (0, {})


@pytest.mark.parametrize("name", ["tea", "egg"])
async def test_a_timer_is_called_off_or_replaced_ahead_of_itself_in_a_mailbox(
    host: Host, clock: ManualClock, name: str
) -> None:
    """A9: the message before it, in the same turn, has done so."""
    bell = await bells(host).get("b", partition="acme")
    await bell.ask(Set({"after": 10.0, "name": "tea"}, text="old"))
    known = host.runtime.mailroom.letters["acme"]
    gate = asyncio.Event()
    instead = Set({"after": 20.0, "name": name}, text="new")

    async with asyncio.TaskGroup() as group:
        group.create_task(bell.ask(Pause(gate)))
        await eventually(lambda: bell.instance and bell.instance.running)
        if name != "tea":
            group.create_task(bell.ask(Unset("tea")))
        group.create_task(bell.ask(instead))
        await eventually(lambda: bell.instance and bell.instance.queued)
        clock.advance(10)
        await eventually(lambda: known.out)
        gate.set()
    await pass_time(host, clock, 60)

    assert await bell.ask(Heard()) == ("new",)
    assert known.letters == 0


async def test_a_rule_fires_again_and_again(host: Host, clock: ManualClock) -> None:
    """A9: by cron; what was missed while time stood still is made up for once."""
    bell = await bells(host).get("b", partition="acme")
    await bell.ask(Set({"cron": "*/10 * * * *", "name": "chime"}))

    await pass_time(host, clock, 3_600, step=60)
    hourly = len(await bell.ask(Heard()))
    clock.advance(36_000)
    await pass_time(host, clock, 60)
    missed = len(await bell.ask(Heard())) - hourly
    await bell.ask(Unset("chime"))
    await pass_time(host, clock, 3_600, step=60)

    assert hourly == 6
    assert 1 <= missed <= 2
    assert len(await bell.ask(Heard())) == hourly + missed


async def test_a_rule_goes_on_after_a_restart(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: its next occurrence is in the commit of the last one."""
    for _ in range(3):
        async with open_host(make, clock) as host:
            bell = await bells(host).get("b", partition="acme")
            if not await bell.ask(Timers()):
                await bell.ask(Set({"cron": "* * * * *", "name": "chime"}))
            await pass_time(host, clock, 120, step=20)
            (timer,) = await bell.ask(Timers())

            assert (timer.name, timer.message) == ("chime", "Ring")
            assert timer.due.timestamp() > clock.wall()

    async with open_host(make, clock) as host:
        bell = await bells(host).get("b", partition="acme")
        assert 6 <= len(await bell.ask(Heard())) <= 7


async def test_a_rule_survives_an_occurrence_that_is_poison(
    make: MakeStore, clock: ManualClock
) -> None:
    """P3: that one ends among the dead letters; the rule goes on."""
    policy = HostPolicy(mail=MailPolicy(max_tries=2))
    async with Host(store=make(), clock=clock, policy=policy) as host:
        bell = await bells(host).get("b", partition="acme")
        await bell.ask(Set({"cron": "0 * * * *", "name": "p"}, text="poison"))

        await pass_time(host, clock, 3_700)  # two tries, and the end of the last pause
        dead = await host.partition("acme").dead_letters()
        (timer,) = await bell.ask(Timers())

        assert [letter.tries for letter in dead] == [2]
        assert timer.name == "p"
        assert timer.due.timestamp() > clock.wall()


async def test_the_timers_of_an_instance_are_listed(
    host: Host, clock: ManualClock
) -> None:
    """G7: its own, by when they are due; those of its twins elsewhere are not there."""
    manager = bells(host)
    bell = await manager.get("b", partition="acme")
    own_copy = await manager.get("b", partition="globex")
    await bell.ask(Set({"after": 20.0, "name": "two"}))
    await bell.ask(Set({"after": 10.0, "name": "one"}))
    await bell.ask(Set({"after": 5.0}))
    await own_copy.ask(Set({"after": 10.0, "name": "foreign"}))

    found = await bell.ask(Timers())

    assert [t.name for t in found] == ["one", "two"]
    assert found[0].due == datetime.fromtimestamp(clock.wall() + 10, UTC)


async def test_a_timer_may_be_for_another_instance(
    host: Host, clock: ManualClock
) -> None:
    """Holds 9: of the same partition."""
    manager = bells(host)
    bell = await manager.get("b", partition="acme")
    await bell.ask(Set({"after": 5.0}, to="other"))

    await pass_time(host, clock, 5)

    other = await manager.get("other", partition="acme")
    assert await other.ask(Heard()) == ("ring",)
    assert await bell.ask(Heard()) == ()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"after": 1.0, "cron": "* * * * *"},
        {"after": -1},
        {"after": float("nan")},
        {"after": float("inf")},
        {"after": True},
        {"after": "5"},
        {"at": datetime(2030, 1, 1)},  # noqa: DTZ001  that is the mistake
        {"at": date(2030, 1, 1)},
        {"cron": "* * * * *"},
        {"cron": "not a rule", "name": "x"},
        {"cron": "0 0 31 2 *", "name": "x"},
        {"cron": "* * * * *", "timezone": "Mars/Olympus", "name": "x"},
        {"cron": "* * * * *", "timezone": "../etc/passwd", "name": "x"},
        {"after": 1, "name": ""},
        {"after": 1, "name": 5},
        {"after": 1, "name": "a\0b"},
    ],
    ids=str,
)
async def test_a_timer_that_says_no_time_is_refused(
    host: Host, arguments: dict[str, object]
) -> None:
    """Holds 8: with an error that names the argument; nothing is stored."""
    bell = await bells(host).get("b", partition="acme")

    error = await answer(bell.ask(Set(arguments)))

    assert isinstance(error, InvalidSchedule)
    assert error.argument in str(error)
    assert await bell.ask(Timers()) == ()


def test_a_rule_is_meant_in_its_own_zone() -> None:
    """A9: nine o'clock is nine o'clock, before and after clocks are changed."""
    amsterdam = ZoneInfo("Europe/Amsterdam")
    before = datetime(2026, 3, 28, 12, tzinfo=amsterdam).timestamp()

    first = next_due("0 9 * * * Europe/Amsterdam", before)
    second = next_due("0 9 * * * Europe/Amsterdam", first)

    assert datetime.fromtimestamp(first, amsterdam).hour == 9
    assert datetime.fromtimestamp(second, amsterdam).hour == 9
    assert second - first == 86_400
    assert first - before == 20 * 3_600


@given(st.floats(min_value=0, max_value=4e9), st.sampled_from(["*/5 * * * *"]))
def test_the_next_time_is_always_later(now: float, rule: str) -> None:
    """A9: a rule cannot fire for ever in one moment."""
    due = next_due(f"{rule} UTC", now)

    assert now < due <= now + 300 + 1


def test_a_moment_is_kept_in_any_zone() -> None:
    at = datetime(2026, 6, 1, 12, tzinfo=ZoneInfo("Asia/Tokyo"))

    found = timing(now=0.0, at=at)

    assert found.due == (at - timedelta(0)).timestamp()
    assert found.cron == ""
