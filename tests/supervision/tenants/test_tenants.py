from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import attrs
import pytest

from supervision import (
    BlockingPolicy,
    InvalidArgument,
    InvalidPolicy,
    PolicyChange,
    Setting,
    TenantDirectory,
    TenantPolicy,
    Unknown,
    UnknownTenant,
)
from tests.supervision.tiers import BANK, CREDIT_UNION, STARTUP
from tests.support import ManualClock

FIELDS = {
    "tenant_id",
    "org_id",
    "tier",
    "budget_class",
    "data_residency",
    "allowed_tools",
    "denied_tools",
    "model_tier",
    "concurrency_cap",
    "reviewer_pool",
    "audit_retention",
    "weight",
    "settings",
}


def test_a_policy_has_every_field_that_was_promised() -> None:
    """O1: tenant and organisation, limits, tools, reviewers, retention, the rest."""
    assert {field.name for field in attrs.fields(TenantPolicy)} >= FIELDS


BAD: list[tuple[str, object]] = [
    ("tenant_id", "a\0b"),
    ("version", ""),
    ("org_id", "x" * 256),
    ("tier", 5),
    ("allowed_tools", "search"),
    ("denied_tools", "search"),
    ("denied_tools", {""}),
    ("denied_tools", None),
    ("weight", 0),
    ("weight", math.nan),
    ("weight", math.inf),
    ("weight", True),
    ("concurrency_cap", 0),
    ("hard_cap", 2),
    ("burst", -1.0),
    ("backlog", 0.5),
    ("response_target", 0),
    ("blocking", "warn"),
    ("offload_limit", 0),
    ("audit_retention", timedelta(0)),
    ("settings", {"a": {1, 2}}),
    ("settings", {1: "a"}),
    ("settings", ["a"]),
]


@pytest.mark.parametrize(
    ("field", "value"), BAD, ids=[f"{n}-{field}" for n, (field, _) in enumerate(BAD)]
)
def test_a_bad_field_is_refused_by_its_name(field: str, value: object) -> None:
    """O1: the error says which field, and what belongs there."""
    with pytest.raises(InvalidPolicy) as refused:
        _make(TenantPolicy, field, value)

    assert refused.value.field.startswith(f"TenantPolicy.{field}")
    assert f"TenantPolicy.{field}" in str(refused.value)
    assert "Give " in str(refused.value)


def _make(make: Callable[..., TenantPolicy], field: str, value: object) -> None:
    make(**{field: value})


def test_a_hard_cap_is_not_below_the_cap() -> None:
    """O11: a burst is what lies between the two."""
    with pytest.raises(InvalidPolicy, match="hard_cap=2 is refused"):
        TenantPolicy(concurrency_cap=3, hard_cap=2)


@pytest.mark.parametrize(
    ("allowed", "denied", "tool", "may"),
    [
        (None, (), "wire", True),
        (None, ("wire",), "wire", False),
        (("wire",), ("wire",), "wire", False),
        (("search",), (), "wire", False),
        ((), (), "wire", False),
        (("wire",), (), "wire", True),
    ],
)
def test_a_denied_tool_stays_denied(
    allowed: tuple[str, ...] | None, denied: tuple[str, ...], tool: str, may: bool
) -> None:
    """O1: deny wins."""
    policy = TenantPolicy(allowed_tools=allowed, denied_tools=denied)

    assert policy.allows(tool) is may


def test_nothing_of_a_policy_can_be_changed() -> None:
    """O1: what was handed to a turn stays what it was, at every depth."""
    limits: dict[str, Setting] = {"calls": 500}
    tools = {"search"}
    policy = TenantPolicy(
        allowed_tools=tools, settings={"limits": limits, "tags": ("a",)}
    )

    limits["calls"] = 9
    tools.add("wire")

    assert policy.settings == {"limits": {"calls": 500}, "tags": ("a",)}
    assert not policy.allows("wire")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        policy.weight = 9  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        policy.settings["limits"] = 1  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(TypeError):
        policy.settings["limits"]["calls"] = 1  # type: ignore[index]  # pyright: ignore[reportIndexIssue, reportOptionalSubscript, reportArgumentType]
    assert hash(policy) == hash(attrs.evolve(policy))


def test_a_policy_does_not_say_whose_it_is_when_it_is_printed() -> None:
    """B7: who the tenant is routes work, and has no business in a prompt."""
    policy = TenantPolicy(
        tenant_id="acme", org_id="umbrella", settings={"secret": "xyzzy"}
    )

    shown = f"{policy} {policy!r}"

    assert not any(word in shown for word in ("acme", "umbrella", "xyzzy"))


def test_the_tiers_differ_in_what_they_promise() -> None:
    """O5: bank, credit union, startup."""
    tiers = (BANK, CREDIT_UNION, STARTUP)

    assert [t.concurrency_cap for t in tiers] == [50, 10, 3]
    assert [t.settings["calls_per_hour"] for t in tiers] == [500, 50, 10]
    assert [t.settings["dollars_per_run"] for t in tiers] == ["2.00", "0.50", "0.10"]
    assert [t.response_target for t in tiers] == [4 * 3600.0, 24 * 3600.0, None]
    assert [t.data_residency for t in tiers] == ["us-east-1", "", ""]
    assert [t.weight for t in tiers] == [8, 2, 1]
    assert not BANK.allows("wire")
    assert BANK.reviewer_pool != CREDIT_UNION.reviewer_pool == STARTUP.reviewer_pool


def test_a_directory_answers_with_the_policy_of_exactly_one_partition() -> None:
    """O1: neither a prefix nor a twin gets another one's policy."""
    directory = TenantDirectory({"acme": BANK, "acme-corp": STARTUP})

    assert directory.policy("acme").tier == "bank"
    assert directory.policy("acme-corp").tier == "startup"
    assert directory.policy("acme.").tier == ""
    assert directory.policy("acme").tenant_id == "acme"
    assert len(directory) == 2
    assert "acme" in directory


def test_an_unknown_partition_gets_the_default() -> None:
    """O1: admitted by one setting, under a policy that is somebody's."""
    directory = TenantDirectory(default=STARTUP)

    policy = directory.policy("new")

    assert policy == attrs.evolve(STARTUP, tenant_id="new")


def test_a_removed_partition_is_refused_like_one_that_never_was() -> None:
    """B6: nobody learns whether it was here."""
    directory = TenantDirectory({"gone": BANK}, unknown=Unknown.REFUSE)
    directory.remove("gone", actor="ops", reason="left")

    errors = [_refusal(directory, name) for name in ("gone", "nobody")]

    texts = {str(e).replace(e.partition, "?") for e in errors}
    assert len(texts) == 1
    assert {(type(e), e.code) for e in errors} == {(UnknownTenant, "PV-E351")}


def _refusal(directory: TenantDirectory, partition: str) -> UnknownTenant:
    with pytest.raises(UnknownTenant) as refused:
        directory.policy(partition)
    return refused.value


def test_a_change_says_who_made_it_and_why() -> None:
    """O1: kept per partition, with what was before and what is since."""
    clock = ManualClock()
    directory = TenantDirectory({"acme": STARTUP}, clock=clock)
    heard: list[PolicyChange] = []
    stop = directory.watch(heard.append)

    change = directory.put("acme", BANK, actor="kim", reason="upgrade")
    stop()
    directory.remove("acme", actor="lee", reason="left")

    first, second = directory.history("acme")
    assert heard == [change] == [first]
    assert (first.number, first.at, first.actor, first.reason) == (
        1,
        clock.wall(),
        "kim",
        "upgrade",
    )
    assert first.before is not None
    assert first.after is not None
    assert (first.before.tier, first.after.tier) == ("startup", "bank")
    assert (second.number, second.actor, second.after) == (2, "lee", None)
    assert directory.history("beta") == ()


@pytest.mark.parametrize(("actor", "reason"), [("", "x"), ("x", ""), (" ", "x")])
def test_a_change_without_actor_or_reason_changes_nothing(
    actor: str, reason: str
) -> None:
    """O1: nobody changes a policy unseen."""
    directory = TenantDirectory({"acme": STARTUP})

    with pytest.raises(InvalidArgument):
        directory.put("acme", BANK, actor=actor, reason=reason)
    with pytest.raises(InvalidArgument):
        directory.remove("acme", actor=actor, reason=reason)

    assert directory.policy("acme").tier == "startup"
    assert directory.history("acme") == ()


def test_only_a_policy_is_taken_for_one() -> None:
    directory = TenantDirectory()

    with pytest.raises(InvalidArgument):
        directory.put("acme", {"weight": 5}, actor="a", reason="b")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnknownTenant):
        directory.remove("acme", actor="a", reason="b")
    with pytest.raises(InvalidArgument):
        TenantDirectory(history=0)
    assert len(directory) == 0


def test_the_past_of_a_partition_is_bounded() -> None:
    """Holds 8: the latest changes stay, and their numbers tell how many there were."""
    directory = TenantDirectory({"acme": STARTUP}, history=3)

    for number in range(10):
        policy = TenantPolicy(weight=number + 1)
        directory.put("acme", policy, actor="ops", reason="tuning")

    assert [change.number for change in directory.history("acme")] == [8, 9, 10]


def test_a_blocking_policy_is_part_of_a_tenants_policy() -> None:
    """O13: a tenant may be treated otherwise than its manager says."""
    policy = TenantPolicy(blocking=BlockingPolicy(offences=1))

    assert policy.blocking == BlockingPolicy(offences=1)
