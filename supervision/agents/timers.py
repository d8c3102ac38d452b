"""When a timer fires: pure functions of what was asked and the time.

The syntax of cron rules, and what they mean when clocks are put forward or back, is
that of the library ``cronsim``, which follows Debian's cron.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs
from cronsim import CronSim, CronSimError

from persistence import InvalidKey, Key, Letter, check_key

from ..errors import InvalidSchedule

__all__ = ["Schedule", "Timing", "next_due", "schedule_of", "timer_id", "timing"]

_NAMED = "@"
"""Before the names of timers, so that none is called what a letter without is."""

_MAX_SECONDS = timedelta(days=366 * 100).total_seconds()


@attrs.frozen
class Timing:
    """When a letter is due, and by which rule it comes again.

    Attributes:
        due: Unix seconds.
        cron: the rule and its time zone; empty: it does not.
    """

    due: float
    cron: str = ""


@attrs.frozen
class Schedule:
    """A timer that waits, as ``context.schedules()`` lists it.

    Attributes:
        name: what ``unschedule`` calls it.
        manager: the target's manager.
        key: the target's key.
        message: the stored name of the message's class.
        due: when it fires next, in UTC.
        cron: the rule and its time zone; empty: it fires once.
    """

    name: str
    manager: str
    key: Key
    message: str
    due: datetime
    cron: str


def timer_id(name: object) -> str:
    """Return what a timer of this name is called in its target's mail.

    Raises:
        InvalidSchedule: not a name.
    """
    # Takes an object: it is for callers without a type checker.
    try:
        if isinstance(name, str) and check_key(name) == name:
            return f"{_NAMED}{name}"
    except InvalidKey:
        pass
    reason = "a name is a text that could be a key"
    raise InvalidSchedule("name", name, reason)


def schedule_of(letter: Letter) -> Schedule | None:
    """Return a stored letter as a timer; ``None`` when it has no name."""
    if not letter.id.startswith(_NAMED):
        return None
    return Schedule(
        name=letter.id.removeprefix(_NAMED),
        manager=letter.target.manager,
        key=letter.target.key,
        message=letter.message,
        due=datetime.fromtimestamp(letter.due, UTC),
        cron=letter.cron,
    )


def timing(
    *,
    now: float,
    after: float | None = None,
    at: datetime | None = None,
    cron: str | None = None,
    timezone: str = "UTC",
) -> Timing:
    """Read what a caller of ``schedule`` asks for.

    Args:
        now: Unix seconds.
        after: seconds from now.
        at: a moment, with its time zone.
        cron: a rule of five fields.
        timezone: the zone in which the rule is meant, by its IANA name.

    Raises:
        InvalidSchedule: not exactly one of the three, or one that says no time.
    """
    given = {
        name: value
        for name, value in (("after", after), ("at", at), ("cron", cron))
        if value is not None
    }
    if len(given) != 1:
        reason = "say exactly one of after=, at= and cron="
        raise InvalidSchedule("after", tuple(given), reason)
    if cron is not None:
        rule = f"{cron} {timezone}"
        return Timing(next_due(rule, now), rule)
    if at is not None:
        return Timing(_moment(at))
    return Timing(now + _seconds(after))


def next_due(rule: str, after: float) -> float:
    """Return when a rule fires next after a time, both in Unix seconds.

    Args:
        rule: five fields of cron and the name of a time zone, separated by blanks.
        after: Unix seconds.

    Raises:
        InvalidSchedule: the rule or the zone is not known, or it never fires.
    """
    cron, _, name = rule.rpartition(" ")
    zone = _zone(name)
    if zone is None:
        raise InvalidSchedule("timezone", name, "there is no time zone of that name")
    try:
        moment = next(CronSim(cron, datetime.fromtimestamp(after, zone)))
    except CronSimError as error:
        reason = f"it is no cron rule: {error}"
    except StopIteration:
        reason = "it never fires"
    else:
        return moment.timestamp()
    raise InvalidSchedule("cron", cron, reason)


def _zone(name: str) -> tzinfo | None:
    """Find a time zone; one but UTC is read from a small file when it is first used."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _moment(at: object) -> float:
    # Takes an object: it is for callers without a type checker.
    if isinstance(at, datetime) and at.utcoffset() is not None:
        return at.astimezone(UTC).timestamp()
    reason = "it has to be a datetime with a time zone"
    raise InvalidSchedule("at", at, reason)


def _seconds(after: object) -> float:
    match after:
        case bool():
            pass
        case int() | float() if (
            0 <= after <= _MAX_SECONDS
        ):  # no comparison holds of NaN
            return float(after)
        case _:
            pass
    reason = "it has to be a number of seconds from 0 to a hundred years"
    raise InvalidSchedule("after", after, reason)
