"""Half a year of ordinary conversations: short, more of them over time, with the models of their month."""

import random

from scripts.showcase.pictures import landscape
from scripts.showcase.talks import draw
from scripts.showcase.writer import Archive, Talk

_DAY = 86_400_000_000
_SUBJECTS = (
    "sourdough that does not rise", "a letter to the landlord", "regular expressions for dates", "knots for a sailing boat",
    "a quiz about rivers", "the plot of a short story", "why bread goes stale", "planting garlic in autumn",
    "a SQL query with a window", "the rules of Go", "shoes for wet grass", "tuning a ukulele", "an excuse for being late",
    "the water cycle for children", "a packing list", "Kalman filters", "names for a boat", "paint for a damp wall",
)  # fmt: skip
_SAID = (
    "Start with the simplest case and see whether it holds. ",
    "There are three usual reasons, and the first is the likeliest. ",
    "Short answer: yes, with one exception. ",
    "Here is a way that needs nothing you do not have already. ",
    "It depends on temperature more than on time. ",
)


def everyday(archive: Archive, end: int, days: int) -> None:
    """Conversations on `days` days before `end` (microseconds)."""
    chance = random.Random(20)
    number = 0
    for back in range(days, 1, -1):
        midnight = (end // _DAY - back) * _DAY
        for _ in range(chance.choices((0, 1, 2, 3), (2, 5, 3, 1 + (back < days / 2)))[0]):
            number += 1
            hour = chance.choices((8, 10, 13, 16, 20, 22), (3, 4, 2, 3, 5, 3))[0] + chance.random()
            _talk(archive, chance, number, midnight + int(hour * 3_600_000_000), back / days)


def _talk(archive: Archive, chance: random.Random, number: int, at: int, age: float) -> None:
    subject = chance.choice(_SUBJECTS)
    models = ("gpt-4o", "gpt-5", "gpt-5-5", "gpt-5-5-thinking")
    weights = (4 * age, 3 * (0.3 + age * (1 - age)), 6 * (1 - age), 2 * (1 - age))
    model = chance.choices(models, weights)[0]
    talk = Talk(archive, f"{subject.capitalize()} ({number})", at, model=model)
    thinking = model.endswith("thinking")
    for turn in range(chance.choices((1, 2, 3, 5, 9), (4, 4, 3, 2, 1))[0]):
        said = "".join(chance.choices(_SAID, k=chance.choice((2, 4, 8, 20))))
        asked = (
            f"Help me with {subject}."
            if turn == 0
            else chance.choice(("And if not?", "Shorter, please.", "Why?", "Show me an example."))
        )
        seconds = chance.randint(3, 60)
        thoughts = {
            "content_type": "thoughts",
            "thoughts": [{"summary": "Weighing it", "content": "What is known, what is not."}],
        }
        steps = [talk.say(thoughts, seconds=seconds, metadata={"finished_duration_sec": seconds})] if thinking else []
        talk.ask(
            asked,
            *steps,
            talk.say(said),
            wait=chance.lognormvariate(-0.2, 0.5) + (1.2 if thinking else 0),
            pace=chance.uniform(50, 130),
            ended="cut" if chance.random() < 0.03 else "end",
            asked_model="auto" if chance.random() < 0.4 else "",
        )
    if chance.random() < 0.14:
        sky = chance.choice(("dawn", "noon", "dusk", "night", "spring"))
        pointer = archive.file(f"everyday {number}", landscape(number, sky, 512, 512))
        draw(
            talk, f"Draw something for {subject}", f"A calm landscape, {sky}, for {subject}", pointer, (512, 512), None
        )
