"""Legs in memory: found while they are young, few and small."""

from dataclasses import replace

from addon.answers.legs import Leg
from addon.answers.recent_legs import LONGEST_MICROSECONDS, RecentLegs
from tests.recording import STARTED
from tests.test_legs import leg

SIZE = len(leg(b"data: 1\n\n").body or b"") + len(leg(b"data: 1\n\n").arrivals or b"")


def ended(number: int) -> Leg:
    return leg(b"data: 1\n\n", number=number)


def names(recent: RecentLegs, at: int = STARTED) -> list[str]:
    return [leg.stream_id for leg in recent.at(at)]


def test_the_oldest_give_way_when_there_are_too_many() -> None:
    recent = RecentLegs(most=2)
    for number in (1, 2, 3):
        recent.keep(ended(number), STARTED)
    assert names(recent) == ["leg 2", "leg 3"]


def test_the_oldest_give_way_when_they_are_too_large() -> None:
    recent = RecentLegs(most_bytes=2 * SIZE)
    for number in (1, 2, 3):
        recent.keep(ended(number), STARTED)
    assert names(recent) == ["leg 2", "leg 3"]
    recent.keep(replace(ended(4), body=bytes(3 * SIZE)), STARTED)
    assert names(recent) == []
    recent.keep(ended(5), STARTED)
    recent.keep(ended(6), STARTED)
    assert names(recent) == ["leg 5", "leg 6"]


def test_a_leg_that_is_read_again_is_one() -> None:
    recent = RecentLegs(most_bytes=2 * SIZE)
    for number in (1, 2, 1, 1):
        recent.keep(ended(number), STARTED)
    assert names(recent) == ["leg 2", "leg 1"]


def test_none_is_held_for_longer_than_a_page_resumes() -> None:
    recent = RecentLegs()
    recent.keep(ended(1), STARTED)
    recent.keep(ended(2), STARTED + 1)
    assert names(recent, STARTED + LONGEST_MICROSECONDS) == ["leg 1", "leg 2"]
    assert names(recent, STARTED + LONGEST_MICROSECONDS + 1) == ["leg 2"]
    recent.keep(ended(3), STARTED + 2 * LONGEST_MICROSECONDS)
    assert names(recent, STARTED) == ["leg 3"]
