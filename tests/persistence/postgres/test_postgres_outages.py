"""A server that goes away, hangs, or is lost in the middle of a commit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import anyio
import pytest

from persistence import Claim, PostgresPolicy, Save, Store, StoreUnavailable
from persistence.postgres.server import Server, Undo, Unsettled
from persistence.postgres.statements import LOCK
from persistence.postgres.store import PostgresStore
from persistence.testing import opened, save, state, unit
from supervision import Host
from tests.postgres import fresh_schema, outside
from tests.proxy import MessageCodec, wired
from tests.support import Add, Counter

__all__: list[str] = []

HASTY = PostgresPolicy(connect_timeout=5.0, statement_timeout=0.3, grace=0.3)
PATIENT = PostgresPolicy()


@pytest.fixture
def url() -> Iterator[str]:
    with fresh_schema() as name:
        yield name


@pytest.fixture
async def wire(url: str) -> AsyncGenerator[MessageCodec]:
    async with wired(url) as found:
        yield found


def server_of(store: Store) -> Server:
    assert isinstance(store, PostgresStore)
    assert store.server is not None
    return store.server


async def test_a_broken_connection_is_replaced_unseen(wire: MessageCodec) -> None:
    """P1: a server that was started again meanwhile costs nobody an error."""
    async with opened(lambda: PostgresStore(wire.url), "acme") as store:
        await store.apply([save("k")])
        await store.count("workers", partition="acme")
        wire.cut()

        answers = await store.apply([save("k", 2)])
        wire.cut()
        count = await store.count("workers", partition="acme")

    assert answers == [None]
    assert count == 1


async def test_an_outage_fails_what_is_asked_and_service_resumes(
    wire: MessageCodec,
) -> None:
    """P1: no call hangs, nothing is saved, and nobody has to start anything again."""
    async with opened(lambda: PostgresStore(wire.url), "acme") as store:
        wire.open = False
        wire.cut()
        with pytest.raises(StoreUnavailable):
            await store.apply([save("k")])
        with pytest.raises(StoreUnavailable):
            await store.load("workers", ["k"], partition="acme")
        with pytest.raises(StoreUnavailable):
            await store.claim(["acme"])
        wire.open = True

        answers = await store.apply([save("k")])
        found = await store.load("workers", ["k"], partition="acme")

    assert answers == [None]
    assert found == [(state("k"),)]


async def test_a_server_that_says_nothing_is_given_up(wire: MessageCodec) -> None:
    """P1: a hung server does not hang the host for ever."""
    make = lambda: PostgresStore(wire.url, policy=HASTY)  # noqa: E731  made once
    async with opened(make, "acme") as store:
        await store.count("workers", partition="acme")
        wire.silent = True
        with pytest.raises(StoreUnavailable):
            await store.count("workers", partition="acme")
        wire.silent = False

        count = await store.count("workers", partition="acme")

    assert count == 0


async def test_a_server_that_says_nothing_is_not_waited_for_at_the_start(
    wire: MessageCodec,
) -> None:
    """P1: likewise when the host opens its store."""
    wire.silent = True
    store = PostgresStore(wire.url, policy=PostgresPolicy(connect_timeout=0.2))

    with pytest.raises(StoreUnavailable, match="did not answer"):
        await store.open()


async def test_a_statement_that_waits_too_long_is_ended_by_the_server(
    url: str,
) -> None:
    """P1: somebody else's lock delays us, and ends nothing."""
    async with (
        opened(lambda: PostgresStore(url), "acme") as other,
        opened(lambda: PostgresStore(url, policy=HASTY)) as store,
    ):
        async with server_of(other).transaction() as session:
            await session.run(LOCK, [("acme", {"partition": "acme"})])
            with pytest.raises(StoreUnavailable, match=r"took too long \(57014\)"):
                await store.claim(["acme"])

        (claim,) = await store.claim(["acme"])

    assert claim.epoch == 2


async def test_a_host_that_froze_in_a_transaction_keeps_no_lock(url: str) -> None:
    """A9: the server ends a transaction in which nothing happens."""
    async with (
        opened(lambda: PostgresStore(url, policy=HASTY), "acme") as frozen,
        opened(lambda: PostgresStore(url)) as other,
    ):
        claims: list[Claim] = []

        async def freeze() -> None:
            async with server_of(frozen).transaction() as session:
                await session.run(LOCK, [("acme", {"partition": "acme"})])
                with anyio.fail_after(10):
                    claims.extend(await other.claim(["acme"]))

        with pytest.raises(Unsettled):
            await freeze()

    assert [claim.epoch for claim in claims] == [2]


@pytest.mark.parametrize("where", ["before", "after"])
async def test_what_became_of_a_lost_commit_is_found_out(
    wire: MessageCodec, where: str
) -> None:
    """A9: a commit whose answer is lost is reported as what it was."""
    async with opened(lambda: PostgresStore(wire.url), "acme") as store:
        await store.apply([save("k")])
        wire.cut_at_commit = where
        try:
            outcome: object = await store.apply([save("k", 2, b"new"), save("j", 7)])
        except StoreUnavailable as error:
            outcome = error.reason
        wire.cut_at_commit = ""
        (found,) = await store.load("workers", ["k"], partition="acme")

    committed = found == (state("k", 2, b"new"),)
    assert committed == (where == "after")
    if committed:
        assert isinstance(outcome, list)
        assert outcome[0] is None
    else:
        assert outcome == "the connection broke"


async def test_an_outage_after_half_a_batch_is_told_to_the_other_half(
    wire: MessageCodec,
) -> None:
    """P1: a unit that is saved is not reported as lost with those that are not."""
    record = state("huge")._replace(version=2**70)
    async with opened(lambda: PostgresStore(wire.url), "acme") as store:
        wire.commits_left = 1
        wire.cut_at_commit = "before"
        answers = await store.apply(
            [save("a"), unit(Save(record)), save("b"), save("c")]
        )
        wire.cut_at_commit = ""
        found = await store.load("workers", ["a", "b", "c"], partition="acme")

    assert [bool(one) for one in found] == [True, False, False]
    assert answers[0] is None
    assert {type(answer) for answer in answers[1:]} == {StoreUnavailable}
    assert len({id(answer) for answer in answers}) == 4


async def test_a_lost_commit_that_nobody_can_ask_about_is_called_unknown(
    wire: MessageCodec,
) -> None:
    """A9: no guess; the revision of the row tells later."""
    async with opened(lambda: PostgresStore(wire.url), "acme") as store:
        wire.open = False
        wire.cut_at_commit = "before"
        with pytest.raises(StoreUnavailable, match="its outcome is unknown"):
            await store.apply([save("k")])
        wire.cut_at_commit = ""
        wire.open = True

        assert await store.apply([save("k")]) == [None]


async def test_a_transaction_that_is_undone_keeps_its_connection(url: str) -> None:
    """P1: a stale unit does not cost a new connection."""
    async with opened(lambda: PostgresStore(url), "acme") as store:
        server = server_of(store)
        pids: list[int] = []

        async def note() -> None:
            async with server.transaction() as session:
                pids.append(session.driver.get_server_pid())
                raise Undo

        for _ in range(2):
            with pytest.raises(Undo):
                await note()
            await store.apply([save("k", 7)])

    assert len(set(pids)) == 1


async def test_a_host_outlives_an_outage_of_its_server(
    wire: MessageCodec, url: str
) -> None:
    """A9: what was answered before and after it is there."""
    async with Host(wire.url) as host:
        counters = host.manager("counters", Counter)
        counter = await counters.get("k", partition="acme")
        assert await counter.ask(Add(1)) == 1
        wire.open = False
        wire.cut()
        with pytest.raises(StoreUnavailable):
            await counter.ask(Add(1))
        wire.open = True
        again = await counters.get("k", partition="acme")
        assert await again.ask(Add(1)) == 2

    rows = await outside(
        url,
        "SELECT set_config('podvisor.partition', 'acme', true)",
        "SELECT convert_from(body, 'UTF8') FROM podvisor_records",
    )
    assert rows == [('{"n":2}',)]
