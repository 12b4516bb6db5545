"""A short seed of `scripts/chaos`, and the attacks of `scripts/hostile` that are quick to make."""

import sys
from pathlib import Path

import pytest

from scripts.experiments import attacks, bystanders, chaos, hostile

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found through /proc")


@pytest.mark.parametrize("seed", [3, 4])
def test_disasters_harm_no_stream_and_lose_no_byte(tmp_path: Path, seed: int) -> None:
    world = chaos.run(tmp_path, rounds=3, seed=seed)
    assert world.streams > 12  # a proxy that is killed early leaves some without an answer
    assert world.disasters.total() >= 3


@pytest.mark.parametrize(
    ("attack", "state", "error"),
    [
        ("bomb-gzip", "error", "an event exceeds 16777216 bytes"),
        ("bomb-brotli", "error", "an event exceeds 16777216 bytes"),
        ("bomb-stacked", "error", "an event exceeds 16777216 bytes"),
        ("deep", "interrupted", "ended without [DONE]"),
        ("far-index", "interrupted", "ended without [DONE]"),
        ("truncations", "interrupted", "ended without [DONE]"),
        ("odd-values", "interrupted", "ended without [DONE]"),
        ("growing-to-50-mb", "error", "its messages are larger than any answer's"),
        ("append-and-truncate", "error", "its edits cost more than any answer's"),
        ("many-messages", "error", "more than 10000 messages"),
        ("document-of-lists", "complete", None),
        ("document-of-more-lists", "error", "the document exceeds 50331648 bytes"),
        ("document-of-texts", "complete", None),
    ],
)
def test_an_attack_is_marked_and_costs_neither_memory_nor_the_answer_beside_it(
    tmp_path: Path, attack: str, state: str, error: str | None
) -> None:
    coding, chunks = attacks.ATTACKS[attack]
    got = hostile.read(coding, chunks(), tmp_path, **(attacks.DOCUMENT if attack.startswith("document") else {}))
    assert (got.state, got.error, got.honest) == (state, error, True)
    assert 0 < got.megabytes < hostile.LIMIT_MEGABYTES


@pytest.mark.parametrize("attack", ["odd-values", "document-of-lists"])
def test_answers_beside_an_attack_that_passes_are_whole_and_recorded(attack: str) -> None:
    waits = bystanders.run(attack, ours=True, attacked=True)
    assert waits.whole
    for prompt in (bystanders.SHARED, bystanders.APART):
        assert 0 < waits.heard.longest(prompt) < bystanders.LONGEST_SECONDS * 1000
