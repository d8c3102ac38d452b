"""The part of a store's contract that is about letters, timers and replies."""

from __future__ import annotations

import attrs

from persistence import (
    Address,
    AlreadyAnswered,
    Answer,
    Bury,
    Defer,
    Delete,
    Exhume,
    ForgetReplies,
    Key,
    Letter,
    Post,
    PutQuarantine,
    Quarantine,
    Reply,
    Save,
    StaleOwner,
    Store,
    Take,
)

from .making import Make, opened, state, unit

__all__ = ["LetterConformance", "letter"]

EVER = 1e12
"""Later than any letter of the suite is due, in Unix seconds."""

START = (-1.0, "")


def letter(
    stamp: str, key: Key = "k", *, partition: str = "acme", due: float = 0.0
) -> Letter:
    target = Address(partition, "workers", key)
    return Letter(target, stamp, stamp, "Note", 1, b'{"text":"a"}', due=due, sent=5.0)


async def stamps(
    store: Store, partition: str = "acme", *, until: float = EVER
) -> list[str]:
    found = await store.letters(
        partition=partition, until=until, after=START, limit=100
    )
    return [one.stamp for one in found]


def reply(request: str, body: bytes = b"1", *, expires: float = 10.0) -> Reply:
    return Reply(Address("acme", "workers", "k"), request, b"digest", body, expires)


def bury(one: Letter, reason: str = "why", since: float = 9.0) -> Bury:
    return Bury(
        one.target.partition,
        one.target.manager,
        '"k"',
        one.id,
        one.stamp,
        3,
        reason,
        since,
    )


class LetterConformance:
    """What a store promises about letters."""

    async def test_a_letter_is_read_back_whole(self, make: Make) -> None:
        """A9: a letter keeps every field."""
        whole = Letter(
            target=Address("acme", "workers", ("w", "ü")),
            id="@nightly",
            stamp="0001",
            message="Note",
            version=7,
            body=b'{"a":"\xc3\xbc"}',
            due=1_700_000_000.25,
            sent=1_600_000_000.5,
            tries=2,
            cron="0 9 * * 1 Europe/Amsterdam",
            sender=Address("acme", "pods", ("root", "1")),
        )

        async with opened(make, "acme") as store:
            answers = await store.apply([unit(Post(whole))])
            found = await store.letters(
                partition="acme", until=EVER, after=START, limit=10
            )
            mail = await store.mail(whole.target, limit=10)

        assert answers == [None]
        assert found == [whole]
        assert mail == [whole]

    async def test_letters_outlive_the_store(self, make: Make) -> None:
        """A9: what was posted is there after a new start."""
        async with opened(make, "acme") as store:
            await store.apply([unit(Post(letter("1")))])

        async with opened(make) as store:
            (claim,) = await store.claim(["acme"])
            found = await stamps(store)

        assert found == ["1"]
        assert (claim.letters, claim.next_due) == (1, 0.0)

    async def test_letters_come_by_due_then_by_stamp(self, make: Make) -> None:
        """A9: what is due at the same time keeps the order in which it was posted."""
        async with opened(make, "acme") as store:
            posts = [
                letter("2"),
                letter("1"),
                letter("4", due=7.0),
                letter("3", due=9.0),
            ]
            await store.apply([unit(*map(Post, posts))])

            assert await stamps(store) == ["1", "2", "4", "3"]
            assert await stamps(store, until=7.0) == ["1", "2", "4"]

    async def test_letters_come_in_pages(self, make: Make) -> None:
        """G17: a page begins behind the last letter of the one before."""
        async with opened(make, "acme") as store:
            await store.apply([unit(*[Post(letter(f"{n}")) for n in range(5)])])
            first = await store.letters(
                partition="acme", until=EVER, after=START, limit=3
            )
            last = (first[-1].due, first[-1].stamp)
            second = await store.letters(
                partition="acme", until=EVER, after=last, limit=3
            )

        assert [one.stamp for one in first] == ["0", "1", "2"]
        assert [one.stamp for one in second] == ["3", "4"]

    async def test_letters_stay_in_their_partition(self, make: Make) -> None:
        """G7: neither is read nor taken from another partition."""
        async with opened(make, "acme", "acme-corp") as store:
            await store.apply(
                [
                    unit(Post(letter("1"))),
                    unit(
                        Post(letter("1", partition="acme-corp")), partition="acme-corp"
                    ),
                ]
            )
            await store.apply([unit(Take(letter("1").target, "1", "1"))])

            assert await stamps(store) == []
            assert await stamps(store, "acme-corp") == ["1"]
            assert await store.pending(after=None, limit=10) == [("acme-corp", 0.0)]

    async def test_a_letter_of_the_same_name_replaces(self, make: Make) -> None:
        """A9: a timer that is set again has one row; its old self takes nothing."""
        old = attrs.evolve(letter("1", due=5.0), id="@tea")
        new = attrs.evolve(letter("2", due=8.0), id="@tea")

        async with opened(make, "acme") as store:
            await store.apply([unit(Post(old))])
            await store.apply([unit(Post(new))])
            await store.apply([unit(Take(old.target, "@tea", old.stamp))])
            left = await stamps(store)
            await store.apply([unit(Take(old.target, "@tea", ""))])

            assert left == ["2"]
            assert await stamps(store) == []

    async def test_a_deferred_letter_is_due_later(self, make: Make) -> None:
        """P3: a letter that failed waits, and remembers how often it was tried."""
        later = attrs.evolve(letter("1"), due=20.0, tries=1)

        async with opened(make, "acme") as store:
            await store.apply([unit(Post(letter("1")))])
            await store.apply([unit(Defer(later))])
            await store.apply([unit(Defer(attrs.evolve(later, id="none")))])
            found = await store.letters(
                partition="acme", until=EVER, after=START, limit=10
            )

        assert found == [later]

    async def test_a_buried_letter_is_kept_with_the_reason(self, make: Make) -> None:
        """P2: a letter that cannot be handled disturbs no other and is not lost."""
        async with opened(make, "acme") as store:
            await store.apply([unit(Post(letter("1")), Post(letter("2")))])
            await store.apply([unit(bury(letter("1"), "it cannot be read"))])
            (dead,) = await store.dead(partition="acme", after="", limit=10)
            left = await stamps(store)
            foreign = await store.dead(partition="acme-corp", after="", limit=10)
            await store.apply([unit(Exhume("acme", "1"))])

            assert (dead.reason, dead.tries, dead.since) == ("it cannot be read", 3, 9)
            assert (dead.body, dead.key, dead.sent) == (b'{"text":"a"}', '"k"', 5.0)
            assert left == ["2"]
            assert foreign == []
            assert await store.dead(partition="acme", after="", limit=10) == []

    async def test_a_reason_may_quote_anything(self, make: Make) -> None:
        """P2: what made an instance or a letter fail does not keep it from the mark."""
        why = "a\0b\ud800c"
        mark = PutQuarantine(Quarantine(letter("1").target, why, 1.0))
        async with opened(make, "acme") as store:
            await store.apply([unit(Post(letter("1")))])
            answers = await store.apply([unit(bury(letter("1"), why)), unit(mark)])
            (dead,) = await store.dead(partition="acme", after="", limit=10)
            (kept,) = await store.quarantined(partition="acme")

        assert answers == [None, None]
        assert (dead.reason[0], dead.reason[-1]) == ("a", "c")
        assert kept.reason == dead.reason

    async def test_dead_letters_come_in_pages(self, make: Make) -> None:
        """G17: a page begins behind the last one of the page before."""
        async with opened(make, "acme") as store:
            ones = [letter(f"{n}") for n in range(3)]
            await store.apply([unit(*map(Post, ones)), unit(*map(bury, ones))])
            first = await store.dead(partition="acme", after="", limit=2)
            second = await store.dead(partition="acme", after=first[-1].stamp, limit=2)

        assert [d.stamp for d in (*first, *second)] == ["0", "1", "2"]
        assert len(first) == 2

    async def test_a_unit_with_letters_is_all_or_nothing(self, make: Make) -> None:
        """A9: a refused turn sends nothing and takes nothing."""
        async with opened(make, "acme") as store:
            await store.apply([unit(Save(state("k")), Post(letter("1")))])
            stale = Save(state("k", 5))
            answers = await store.apply(
                [
                    unit(
                        Post(letter("2")),
                        Take(letter("1").target, "1", "1"),
                        bury(letter("1")),
                        Answer(reply("r")),
                        stale,
                    ),
                    unit(Post(letter("3"))),
                ]
            )
            remembered = await store.reply(letter("1").target, "r")

            assert answers[0] is not None
            assert answers[1] is None
            assert await stamps(store) == ["1", "3"]
            assert remembered is None
            assert await store.dead(partition="acme", after="", limit=10) == []

    async def test_a_stale_owner_sends_nothing(self, make: Make) -> None:
        """A9: letters are fenced by the owner epoch like everything else."""
        async with opened(make, "acme") as store:
            await store.apply([unit(Post(letter("1")))])
            await store.claim(["acme"])
            target = letter("1").target
            answers = await store.apply(
                [
                    unit(Post(letter("2"))),
                    unit(Take(target, "1", "1")),
                    unit(Defer(letter("1", due=9.0))),
                    unit(bury(letter("1"))),
                    unit(Answer(reply("r"))),
                    unit(Exhume("acme", "1")),
                    unit(ForgetReplies("acme", 99.0)),
                ]
            )

            assert all(isinstance(one, StaleOwner) for one in answers)
            assert await stamps(store) == ["1"]

    async def test_pending_names_partitions_and_the_first_due(self, make: Make) -> None:
        """G17: the partitions that have letters, by name, a page at a time."""
        names = ["acme", "acme-corp", "globex"]
        async with opened(make, *names, "quiet") as store:
            for number, name in enumerate(names):
                own = [
                    Post(letter("1", partition=name, due=50.0)),
                    Post(letter("2", partition=name, due=float(number))),
                ]
                await store.apply([unit(*own, partition=name)])
            first = await store.pending(after=None, limit=2)
            second = await store.pending(after="acme-corp", limit=2)

        assert first == [("acme", 0.0), ("acme-corp", 1.0)]
        assert second == [("globex", 2.0)]

    async def test_mail_lists_one_target_only(self, make: Make) -> None:
        """G7: the mail of a key is not that of its twin."""
        async with opened(make, "acme") as store:
            await store.apply(
                [unit(Post(letter("1")), Post(letter("2", ("k",))))],
            )
            found = await store.mail(Address("acme", "workers", ("k",)), limit=10)

        assert [one.stamp for one in found] == ["2"]

    async def test_a_removed_instance_leaves_no_mail(self, make: Make) -> None:
        """G15: the mail of a removed node does not bring it back."""
        async with opened(make, "acme") as store:
            await store.apply(
                [
                    unit(Post(letter("1")), Post(letter("2", "j")), Answer(reply("r"))),
                    unit(Delete(letter("1").target)),
                ]
            )

            assert await stamps(store) == ["2"]
            assert await store.reply(letter("1").target, "r") is None

    async def test_a_reply_is_remembered_once(self, make: Make) -> None:
        """A9: the second answer to the same request is refused, and changes nothing."""
        async with opened(make, "acme") as store:
            first = await store.apply([unit(Answer(reply("r")))])
            (second,) = await store.apply(
                [unit(Save(state("k")), Answer(reply("r", b"2")))]
            )
            found = await store.reply(letter("1").target, "r")
            (rows,) = await store.load("workers", ["k"], partition="acme")

        assert first == [None]
        assert isinstance(second, AlreadyAnswered)
        assert found == reply("r")
        assert rows == ()

    async def test_an_absent_reply_is_none(self, make: Make) -> None:
        """B6: absent and foreign look the same."""
        async with opened(make, "acme", "globex") as store:
            await store.apply([unit(Answer(reply("r")))])

            assert await store.reply(letter("1").target, "other") is None
            foreign = Address("globex", "workers", "k")
            assert await store.reply(foreign, "r") is None

    async def test_expired_replies_are_forgotten(self, make: Make) -> None:
        """P6: what may be forgotten does not pile up."""
        async with opened(make, "acme") as store:
            await store.apply(
                [
                    unit(
                        Answer(reply("old", expires=10.0)),
                        Answer(reply("new", expires=11.0)),
                    ),
                    unit(ForgetReplies("acme", 10.0)),
                ]
            )

            assert await store.reply(letter("1").target, "old") is None
            assert await store.reply(letter("1").target, "new") is not None

    async def test_stored_bytes_are_shown_as_they_are(self, make: Make) -> None:
        """P2: the bytes of a quarantined instance can be seen."""
        async with opened(make, "acme") as store:
            await store.apply([unit(Save(state("k", body=b'{"n":1}')))])
            (row,) = await store.inspect(Address("acme", "workers", "k"))
            absent = await store.inspect(Address("acme", "workers", "j"))

        assert (row.kind, row.rev, row.version) == ("state", 1, 1)
        assert (row.body, row.intact) == (b'{"n":1}', True)
        assert absent == []
