"""Durable messages: posted and taken in the commits of the turns at both ends."""

from __future__ import annotations

import asyncio
import functools

import attrs
import pytest

from persistence import DeadLetter, Store
from supervision import (
    Agent,
    AgentRef,
    Durability,
    Host,
    HostPolicy,
    InstanceManager,
    LetterNotFound,
    MailboxFull,
    MailPolicy,
    MailroomFull,
    ManagerPolicy,
    Message,
    NotHandled,
    NotServed,
    PartitionMismatch,
    RestartPolicy,
    TenantDirectory,
    TenantPolicy,
    Unaccounted,
    Unknown,
    UnknownManager,
    UnstorableMessage,
    handler,
)
from tests.persistence.doubles import FaultyStore
from tests.support import (
    Declined,
    MakeStore,
    ManualClock,
    answer,
    eventually,
    offline,
    spin,
)

__all__: list[str] = []


class Deposit(Message[None]):
    amount: int


class Decline(Message[None]):
    """A letter whose handler was declared to refuse."""


class Poison(Message[None]):
    """A letter that crashes its handler."""


class Hold(Message[None]):
    entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)


class Balance(Message[int]):
    pass


class Entries(Message[tuple[int, ...]]):
    pass


class Account(Agent):
    total: int = 0
    entries: list[int] = attrs.field(factory=list[int])

    @handler
    def deposit(self, message: Deposit) -> None:
        self.total += message.amount
        self.entries.append(message.amount)

    @handler
    def balance(self, message: Balance) -> int:
        return self.total

    @handler
    def all_entries(self, message: Entries) -> tuple[int, ...]:
        return tuple(self.entries)

    @handler(raises=(Declined,))
    def decline(self, message: Decline) -> None:
        raise Declined("closed")

    @handler
    def poison(self, message: Poison) -> None:
        raise RuntimeError("boom")

    @handler
    async def hold(self, message: Hold) -> None:
        message.entered.set()
        await message.gate.wait()


class Pay(Message[int]):
    """Send a durable deposit per amount, then end as told."""

    amounts: tuple[int, ...]
    to: str = "savings"
    fails: bool = False


class PayLater(Message[int]):
    amounts: tuple[int, ...]
    to: str = "savings"


class Teller(Agent):
    paid: int = 0

    def _pay(self, amounts: tuple[int, ...], to: str) -> int:
        for amount in amounts:
            target = self.context.ref("accounts", to)
            self.context.tell(target, Deposit(amount), durable=True)
            self.paid += amount
        return self.paid

    @handler(raises=(Declined,))
    def pay(self, message: Pay) -> int:
        paid = self._pay(message.amounts, message.to)
        if message.fails:
            raise Declined("no")
        return paid

    @handler
    async def pay_later(self, message: PayLater) -> int:
        await asyncio.sleep(0)
        return self._pay(message.amounts, message.to)


class Opaque(Message[None]):
    """A message with no stored form."""

    event: asyncio.Event


class Vault(Agent):
    @handler
    def opaque(self, message: Opaque) -> None:
        message.event.set()


FAST = RestartPolicy(max_restarts=100)


def open_host(store: Store, clock: ManualClock, mail: MailPolicy | None = None) -> Host:
    policy = HostPolicy(
        mail=mail or MailPolicy(), shutdown_timeout=2.0, shutdown_grace=0.1
    )
    return Host(store=store, clock=clock, policy=policy)


def declare(
    host: Host,
    *,
    durability: Durability = Durability.TURN,
    mailbox: int = 1_000,
    teller: Durability = Durability.TURN,
) -> tuple[InstanceManager[Account], InstanceManager[Teller]]:
    policy = ManagerPolicy(durability=durability, mailbox=mailbox, restart=FAST)
    accounts = host.manager("accounts", Account, policy=policy)
    tellers = host.manager("tellers", Teller, durability=teller)
    return accounts, tellers


async def dead(host: Host, partition: str = "acme") -> tuple[DeadLetter, ...]:
    return await host.partition(partition).dead_letters()


def buried(host: Host, partition: str = "acme") -> int:
    """Count the letters that were buried since the host started."""
    return host.runtime.catalog.partition(partition).counters.dead_letters


async def busy(
    accounts: InstanceManager[Account], partition: str = "acme"
) -> tuple[AgentRef[Account], Hold]:
    """Start an account that handles a message, and goes on until it is let go."""
    savings = await accounts.get("savings", partition=partition)
    hold = Hold()
    await savings.tell(hold)
    await hold.entered.wait()
    return savings, hold


async def left(store: Store, partition: str = "acme") -> int:
    """Count the letters that are stored."""
    found = await store.letters(
        partition=partition, until=1e15, after=(-1.0, ""), limit=1_000
    )
    return len(found)


def mailroom_is_empty(host: Host, partition: str = "acme") -> bool:
    known = host.runtime.mailroom.letters.get(partition)
    return known is None or (known.letters, known.staged, len(known.out)) == (0, 0, 0)


async def crash(host: Host) -> None:
    """End a host as a process that is killed does: nothing is saved or drained."""
    runtime = host.runtime
    runtime.state.open = False
    runtime.idle.close()
    runtime.mailroom.due_letters.close()
    await runtime.workers.end(0)
    await runtime.background.end(0)
    await runtime.store.close()


@pytest.mark.parametrize("durability", list(Durability))
async def test_a_durable_tell_arrives_once(
    make: MakeStore, clock: ManualClock, durability: Durability
) -> None:
    """A9: whatever the durability of either end, and nothing of it is left."""
    store = make()
    async with open_host(store, clock) as host:
        accounts, tellers = declare(host, durability=durability, teller=durability)
        teller = await tellers.get("t", partition="acme")
        savings = await accounts.get("savings", partition="acme")

        await teller.ask(Pay((1, 2, 3)))
        await eventually(lambda: savings.instance and savings.instance.queued == 0)
        entries = await savings.ask(Entries())
        await eventually(lambda: mailroom_is_empty(host))

        assert entries == (1, 2, 3)
        assert await left(store) == 0


async def test_a_turn_that_fails_sends_nothing(host: Host) -> None:
    """Holds 3: neither in memory nor in the store."""
    accounts, tellers = declare(host)
    teller = await tellers.get("t", partition="acme")
    savings = await accounts.get("savings", partition="acme")

    with pytest.raises(Declined):
        await teller.ask(Pay((5,), fails=True))
    await spin()

    assert await savings.ask(Balance()) == 0
    assert await left(host.runtime.store) == 0


async def test_a_turn_that_is_not_saved_sends_nothing(clock: ManualClock) -> None:
    """A9: the letter is in the same commit as the state, so it fails with it."""
    store = FaultyStore()
    async with open_host(store, clock) as host:
        accounts, tellers = declare(host)
        teller = await tellers.get("t", partition="acme")
        savings = await accounts.get("savings", partition="acme")
        store.fail.append(offline())

        error = await answer(teller.ask(Pay((5,))))
        await teller.ask(Pay((7,)))
        await eventually(lambda: savings.instance and savings.instance.rev)

        assert type(error).__name__ == "StoreUnavailable"
        assert await savings.ask(Entries()) == (7,)


async def test_a_letter_wakes_a_hibernated_instance(host: Host) -> None:
    """A9: the mail is handled without a call of ``get``."""
    accounts, tellers = declare(host)
    teller = await tellers.get("t", partition="acme")
    await accounts.get("savings", partition="acme")
    await accounts.stop("savings", partition="acme")

    await teller.ask(Pay((4,)))
    await eventually(lambda: accounts.lookup("savings", partition="acme"))

    savings = await accounts.get("savings", partition="acme")
    assert await savings.ask(Balance()) == 4


async def test_a_letter_survives_a_crash_of_the_process(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: what was posted and not handled is handled by the next host, unasked."""
    host = open_host(make(), clock)
    await host.__aenter__()
    accounts, tellers = declare(host)
    teller = await tellers.get("t", partition="acme")
    savings, _ = await busy(accounts)
    await teller.ask(Pay((1, 2)))
    await crash(host)

    async with open_host(make(), clock) as again:
        accounts, _ = declare(again)
        await eventually(lambda: accounts.lookup("savings", partition="acme"))
        savings = await accounts.get("savings", partition="acme")

        assert await savings.ask(Entries()) == (1, 2)
        await spin()
        assert await left(again.runtime.store) == 0


async def test_a_tell_from_outside_is_stored_when_it_returns(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: an acknowledged letter outlives the process that took it."""
    host = open_host(make(), clock)
    await host.__aenter__()
    accounts, _ = declare(host)
    savings, _ = await busy(accounts)
    await savings.tell(Deposit(9), durable=True)
    await crash(host)

    async with open_host(make(), clock) as again:
        accounts, _ = declare(again)
        savings = await accounts.get("savings", partition="acme")
        balance = 0
        while not balance:
            balance = await savings.ask(Balance())

        assert balance == 9


async def test_letters_come_in_the_order_of_their_sending(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: per sender and target, from a live host and after a restart."""
    host = open_host(make(), clock)
    await host.__aenter__()
    accounts, tellers = declare(host)
    teller = await tellers.get("t", partition="acme")
    savings, _ = await busy(accounts)
    for start in range(0, 30, 10):
        await teller.ask(PayLater(tuple(range(start, start + 10))))
    await crash(host)

    mail = MailPolicy(page=7)
    async with open_host(make(), clock, mail) as again:
        accounts, tellers = declare(again)
        teller = await tellers.get("t", partition="acme")
        await teller.ask(Pay(tuple(range(30, 40))))
        savings = await accounts.get("savings", partition="acme")
        await eventually(lambda: mailroom_is_empty(again))

        assert await savings.ask(Entries()) == tuple(range(40))


async def test_a_full_mailbox_leaves_letters_in_the_store(
    make: MakeStore, clock: ManualClock
) -> None:
    """Holds 8: durable messages wait where there is room, and come in order."""
    store = make()
    async with open_host(store, clock) as host:
        accounts, tellers = declare(host, mailbox=4)
        teller = await tellers.get("t", partition="acme")
        savings, hold = await busy(accounts)

        await teller.ask(Pay(tuple(range(20))))
        queued = savings.instance.queued if savings.instance else 0
        stored = await left(store)
        refused = await answer(savings.tell(Deposit(99)))
        hold.gate.set()
        for _ in range(400):
            clock.advance(1)
            if not await left(store):
                break

        assert (queued, stored) == (4, 20)
        assert isinstance(refused, MailboxFull)
        assert await savings.ask(Entries()) == tuple(range(20))
        assert await left(store) == 0


async def test_a_partition_has_a_bounded_number_of_letters(
    make: MakeStore, clock: ManualClock
) -> None:
    """Holds 8: overflow is a typed error to the sender, and the turn is undone."""
    store = make()
    async with open_host(store, clock, MailPolicy(max_letters=3)) as host:
        accounts, tellers = declare(host)
        teller = await tellers.get("t", partition="acme")
        other = await tellers.get("t", partition="globex")
        savings, hold = await busy(accounts)
        await teller.ask(Pay((1, 2, 3)))

        error = await answer(savings.tell(Deposit(4), durable=True))
        within = await answer(teller.ask(Pay((4,))))
        foreign = await other.ask(Pay((1,)))
        hold.gate.set()
        await eventually(lambda: mailroom_is_empty(host))
        await savings.tell(Deposit(5), durable=True)

        assert isinstance(error, MailroomFull)
        assert isinstance(within, MailroomFull)
        assert foreign == 1
        assert (error.limit, error.address) == (3, savings.address)


async def test_a_poison_letter_ends_among_the_dead(
    make: MakeStore, clock: ManualClock
) -> None:
    """P3: a bounded number of tries, with pauses; other letters do not wait."""
    store = make()
    async with open_host(store, clock, MailPolicy(max_tries=3)) as host:
        accounts, _ = declare(host)
        savings = await accounts.get("savings", partition="acme")

        await savings.tell(Poison(), durable=True)
        await savings.tell(Deposit(1), durable=True)
        for _ in range(200):
            clock.advance(1)
            await spin()
            if await dead(host):
                break

        clock.advance(60)
        (letter,) = await dead(host)
        found = (letter.tries, letter.message, letter.manager)
        assert found == (3, "Poison", "accounts")
        assert letter.reason == "RuntimeError: boom"
        assert await left(store) == 0
        assert await savings.ask(Entries()) == (1,)
        assert await dead(host, "globex") == ()
        counters = host.runtime.catalog.partition("acme").counters
        assert (counters.dead_letters, counters.quarantines) == (1, 0)


async def test_a_declared_refusal_is_not_tried_again(host: Host) -> None:
    """P3: what a handler was declared to raise is its last word."""
    accounts, _ = declare(host)
    savings = await accounts.get("savings", partition="acme")

    await savings.tell(Decline(), durable=True)
    await eventually(lambda: buried(host))

    (letter,) = await dead(host)
    assert (letter.tries, letter.reason) == (1, "Declined: closed")
    assert savings.incarnation == 1


async def test_a_dead_letter_can_be_sent_again_or_dropped(
    make: MakeStore, clock: ManualClock
) -> None:
    """P2: with an actor and a reason; durable before it takes effect."""
    store = make()
    async with open_host(store, clock) as host:
        accounts, _ = declare(host)
        acme = host.partition("acme")
        savings = await accounts.get("savings", partition="acme")
        for _ in range(2):
            await savings.tell(Decline(), durable=True)
        await eventually(lambda: buried(host) == 2)
        first, second = await dead(host)

        await acme.redeliver(first.stamp, actor="ann", reason="it opened again")
        counters = host.runtime.catalog.partition("acme").counters
        await eventually(lambda: counters.dead_letters == 3)
        after = await dead(host)
        await acme.drop(second.stamp, actor="ann", reason="a duplicate")

        assert after[0].stamp == second.stamp
        assert after[1].stamp > second.stamp
        assert len(await dead(host)) == 1


async def test_remedies_know_their_own_partition_only(host: Host) -> None:
    """B6: absent and foreign dead letters look the same; an actor is needed."""
    accounts, _ = declare(host)
    savings = await accounts.get("savings", partition="acme")
    await savings.tell(Decline(), durable=True)
    await eventually(lambda: buried(host))
    (letter,) = await dead(host)
    globex = host.partition("globex")

    foreign = await answer(globex.drop(letter.stamp, actor="eve", reason="why not"))
    absent = await answer(globex.drop("0", actor="eve", reason="why not"))
    again = await answer(globex.redeliver(letter.stamp, actor="eve", reason="x"))
    nobody = await answer(
        host.partition("acme").drop(letter.stamp, actor="", reason="x")
    )
    mismatch = await answer(globex.dead_letters(partition="acme"))

    assert isinstance(foreign, LetterNotFound)
    assert isinstance(absent, LetterNotFound)
    assert str(foreign).replace(letter.stamp, "0") == str(absent)
    assert isinstance(again, LetterNotFound)
    assert isinstance(nobody, Unaccounted)
    assert isinstance(mismatch, PartitionMismatch)
    assert len(await dead(host)) == 1


async def test_letters_wait_for_a_quarantined_target(
    make: MakeStore, clock: ManualClock
) -> None:
    """P2: they are not lost; a release lets them be handled at once."""
    store = make()
    async with open_host(store, clock) as host:
        policy = ManagerPolicy(restart=RestartPolicy(max_restarts=0))
        accounts = host.manager("accounts", Account, policy=policy)
        tellers = host.manager("tellers", Teller)
        teller = await tellers.get("t", partition="acme")
        savings = await accounts.get("savings", partition="acme")
        await answer(savings.ask(Poison()))
        await eventually(lambda: host.runtime.catalog.partition("acme").quarantined)

        await teller.ask(Pay((6,)))
        await spin()
        waiting = await left(store)
        await accounts.release(
            "savings", partition="acme", actor="ann", reason="mended"
        )
        await eventually(lambda: accounts.lookup("savings", partition="acme"))

        assert waiting == 1
        assert await savings.ask(Balance()) == 6


async def test_letters_wait_for_a_manager_that_is_declared_later(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: a host that does not know the manager yet loses nothing."""
    host = open_host(make(), clock)
    await host.__aenter__()
    accounts, _ = declare(host)
    savings, _ = await busy(accounts)
    await savings.tell(Deposit(2), durable=True)
    await crash(host)

    async with open_host(make(), clock) as again:
        known = again.runtime.mailroom.letters["acme"]
        await eventually(lambda: known.held)
        accounts, _ = declare(again)
        await eventually(lambda: accounts.lookup("savings", partition="acme"))
        savings = await accounts.get("savings", partition="acme")

        assert await savings.ask(Balance()) == 2


async def test_what_has_no_stored_form_is_refused_to_the_sender(host: Host) -> None:
    """Holds 8: before anything changed, and it is no crash."""
    vaults = host.manager("vaults", Vault)
    vault = await vaults.get("v", partition="acme")
    declare(host)

    error = await answer(vault.tell(Opaque(asyncio.Event()), durable=True))
    unknown = await answer(vault.tell(Deposit(1), durable=True))

    assert isinstance(error, UnstorableMessage)
    assert "Opaque" in str(error)
    assert isinstance(unknown, NotHandled)
    assert vault.incarnation == 1
    assert await left(host.runtime.store) == 0


async def test_a_damaged_letter_is_buried_and_harms_no_other(
    clock: ManualClock,
) -> None:
    """P2: one row that cannot be read is set aside; the letters behind it arrive."""
    store = FaultyStore()
    host = open_host(store, clock)
    await host.__aenter__()
    accounts, _ = declare(host)
    savings, _ = await busy(accounts)
    for amount in (1, 2, 3):
        await savings.tell(Deposit(amount), durable=True)
    await crash(host)
    mail = store._partitions["acme"].mail  # pyright: ignore[reportPrivateUsage]  a flipped bit
    place, row = sorted(mail.letters.items(), key=lambda item: item[1].stamp)[1]
    mail.letters[place] = row._replace(body=b'{"amount":9}')

    async with open_host(store, clock) as again:
        accounts, _ = declare(again)
        savings = await accounts.get("savings", partition="acme")
        await eventually(lambda: mailroom_is_empty(again))

        assert await savings.ask(Entries()) == (1, 3)
        (letter,) = await dead(again)
        assert letter.body == b'{"amount":9}'
        assert "checksum" in letter.reason
        reason = await answer(
            again.partition("acme").redeliver(letter.stamp, actor="a", reason="b")
        )
        assert reason is None


async def test_a_host_leaves_the_partitions_of_others_alone(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: with ``serves``, letters of another host's partition do not steal it."""
    host = open_host(make(), clock)
    await host.__aenter__()
    accounts, _ = declare(host)
    savings, _ = await busy(accounts)
    await savings.tell(Deposit(2), durable=True)
    await crash(host)

    policy = HostPolicy(serves=lambda name: name == "globex")
    async with Host(store=make(), clock=clock, policy=policy) as other:
        accounts, _ = declare(other)
        clock.advance(100)
        await spin(200)
        refused = await answer(accounts.get("savings", partition="acme"))
        served = await accounts.get("savings", partition="globex")

        assert isinstance(refused, NotServed)
        assert await served.ask(Balance()) == 0
        assert other.runtime.catalog.partition("acme").claim is None
        assert await left(other.runtime.store) == 1


async def test_a_tenant_that_serves_cannot_judge_delays_no_other(
    make: MakeStore, clock: ManualClock
) -> None:
    """Row 1, A9: it is not served, its letters stay, and the others are woken."""
    host = open_host(make(), clock)
    await host.__aenter__()
    accounts, _ = declare(host)
    for partition in ("acme", "beta", "globex"):
        savings, _ = await busy(accounts, partition)
        await savings.tell(Deposit(2), durable=True)
    await crash(host)

    region = {"acme": "eu", "globex": "eu"}
    policy = HostPolicy(serves=lambda name: region[name] == "eu")
    async with Host(store=make(), clock=clock, policy=policy) as again:
        accounts, _ = declare(again)
        for partition in region:
            look = functools.partial(accounts.lookup, "savings", partition=partition)
            await eventually(look)
        refused = await answer(accounts.get("savings", partition="beta"))

        assert isinstance(refused, NotServed)
        assert isinstance(refused.__cause__, KeyError)
        assert await left(again.runtime.store, "beta") == 1


async def test_letters_of_an_unknown_tenant_delay_nobody(
    make: MakeStore, clock: ManualClock
) -> None:
    """O1, A9: a refused tenant keeps its letters; the next tenant is woken."""
    host = open_host(make(), clock)
    await host.__aenter__()
    accounts, _ = declare(host)
    for partition in ("acme", "globex"):
        savings, _ = await busy(accounts, partition)
        await savings.tell(Deposit(2), durable=True)
    await crash(host)

    known = TenantDirectory({"globex": TenantPolicy()}, unknown=Unknown.REFUSE)
    async with Host(store=make(), clock=clock, tenants=known) as again:
        accounts, _ = declare(again)
        await eventually(lambda: accounts.lookup("savings", partition="globex"))
        savings = await accounts.get("savings", partition="globex")

        assert await savings.ask(Balance()) == 2
        assert await left(again.runtime.store, "acme") == 1

        known.put("acme", TenantPolicy(), actor="ops", reason="signed up")
        await eventually(lambda: accounts.lookup("savings", partition="acme"))
        savings = await accounts.get("savings", partition="acme")

        assert await savings.ask(Balance()) == 2


async def test_dead_letters_of_an_unknown_manager_stay(
    make: MakeStore, clock: ManualClock
) -> None:
    """P2: sending a letter again that this host cannot read changes nothing."""
    store = make()
    host = open_host(store, clock)
    await host.__aenter__()
    accounts, _ = declare(host)
    savings = await accounts.get("savings", partition="acme")
    await savings.tell(Decline(), durable=True)
    await eventually(lambda: buried(host))
    await host.stop()

    async with open_host(make(), clock) as again:
        (letter,) = await dead(again)
        error = await answer(
            again.partition("acme").redeliver(letter.stamp, actor="a", reason="b")
        )

        assert isinstance(error, UnknownManager)
        assert len(await dead(again)) == 1


async def test_a_ref_is_not_needed_to_be_live(host: Host) -> None:
    """A9: a durable tell starts its target only to handle it."""
    accounts, _ = declare(host)
    ref: AgentRef[Account] = await accounts.get("new", partition="acme")
    await accounts.stop("new", partition="acme")

    await ref.tell(Deposit(8), durable=True)

    assert await ref.ask(Balance()) == 8
