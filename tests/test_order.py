import random

import pytest

from addon.sockets.order import MAX_WAITING, Order
from addon.sockets.pubsub import Piece


def piece(number: int, parent: int | None = None, text: bytes = b"x") -> Piece:
    return Piece("topic", text, f"i{number}", None if parent is None else f"i{parent}", f"o{number}")


CHAIN = [piece(0), *(piece(n, n - 1) for n in range(1, 40))]


def read(order: Order, pieces: list[Piece]) -> list[Piece]:
    return [released for number, one in enumerate(pieces) for released in order.add(one, number)]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_and_however_often_each_piece_comes_out_once_and_in_order(seed: int) -> None:
    chance = random.Random(seed)
    pieces = CHAIN * 3
    chance.shuffle(pieces)
    assert read(Order(), pieces) == CHAIN


def test_a_piece_waits_for_the_one_before_it() -> None:
    order = Order()
    assert order.add(CHAIN[0], 1) == [CHAIN[0]]
    assert order.add(CHAIN[2], 2) == []
    assert order.add(CHAIN[3], 3) == []
    assert (order.waiting, order.waits_since) == (2, 2)
    assert order.add(CHAIN[1], 4) == CHAIN[1:4]
    assert (order.waiting, order.waits_since) == (0, None)


def test_giving_up_says_where_something_is_missing() -> None:
    order = Order()
    read(order, [*CHAIN[:2], *CHAIN[3:5], *CHAIN[6:8]])
    assert order.give_up() == [None, *CHAIN[3:5], None, *CHAIN[6:8]]
    assert order.waiting == 0
    # Late, and out of place by now; it is no repetition either.
    assert order.add(CHAIN[2], 9) == [CHAIN[2]]


def test_a_stream_begins_with_its_encoding_whatever_it_names_before_that() -> None:
    begins = piece(5, 4, b'event: delta_encoding\ndata: "v1"\n\n')
    assert Order().add(begins, 1) == [begins]


def test_the_end_waits_for_what_waits() -> None:
    order, end = Order(), Piece("topic", b"", offset="end", done=True)
    read(order, [CHAIN[0], CHAIN[2]])
    assert order.add(end, 3) == []
    assert order.add(CHAIN[1], 4) == [CHAIN[1], CHAIN[2], end]


def test_the_end_is_not_lost_when_nobody_waits_any_longer() -> None:
    order, end = Order(), Piece("topic", b"", offset="end", done=True)
    read(order, [*CHAIN[:2], CHAIN[3], end])
    assert order.give_up() == [None, CHAIN[3], end]


def test_ids_of_another_kind_do_not_hold_up_a_stream() -> None:
    """When what pieces name before them is never a piece, nothing is missing and after a while nothing waits."""
    order = Order()
    strange = [Piece("topic", b"x", f"i{n}", f"other{n}") for n in range(10)]
    read(order, strange[:3])
    assert order.give_up() == strange[:3]
    assert read(order, strange[3:]) == strange[3:]


def test_pieces_without_ids_are_told_apart_by_their_place() -> None:
    pieces = [Piece("topic", b"x", offset=f"{n}") for n in range(5)]
    assert read(Order(), [*pieces, *pieces]) == pieces


def test_what_was_read_before_is_known() -> None:
    order = Order()
    order.note("i1", "o1")
    assert order.knows(CHAIN[1])
    assert order.knows(CHAIN[2])
    assert not order.knows(CHAIN[3])
    assert read(order, CHAIN[1:3]) == [CHAIN[2]]
    # What was read linked its pieces, so a break is one.
    read(order, CHAIN[4:5])
    assert order.give_up() == [None, CHAIN[4]]


def test_what_waits_is_bounded() -> None:
    order = Order()
    for number in range(MAX_WAITING + 1):
        assert not order.full
        order.add(piece(2 * number, 2 * number - 1), number)
    assert order.full
    large = Order()
    large.add(piece(2, 1, b"x" * 5_000_000), 1)
    assert large.full


def test_pieces_that_wait_for_each_other_are_given_up() -> None:
    order, one, two = Order(), piece(1, 2), piece(2, 1)
    assert order.add(piece(3, 3), 1) == [piece(3, 3)]
    assert order.add(one, 2) + order.add(two, 3) == []
    assert [released for released in order.give_up() if released] == [one, two]
