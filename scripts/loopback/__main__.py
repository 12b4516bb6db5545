"""A Service as a process of its own, playing scenes: `python -m scripts.loopback --scene search`, from the root."""

import argparse
import itertools
from collections.abc import Callable

from scripts import scenes
from scripts.loopback import answer, by_event, ragged, serve, whole


def main() -> None:
    """Play scenes to every request until standard input ends; the one line printed is JSON and says where."""
    parser = argparse.ArgumentParser(prog="python -m scripts.loopback", description=main.__doc__)
    parser.add_argument("--scene", choices=sorted(scenes.SCENES), default="plain")
    parser.add_argument("--encoding", choices=["v1", "v0"], default="v1")
    parser.add_argument("--words", type=int, default=500, help="length of the answer")
    parser.add_argument("--conversations", type=int, default=1, help="how many different ones take turns")
    parser.add_argument("--coding", default="identity", help="content-encoding, for example br or 'gzip, zstd'")
    parser.add_argument("--cut", choices=["event", "whole", "ragged"], default="event")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="pause between two chunks")
    settings = parser.parse_args()

    build = scenes.SCENES[settings.scene]
    played = [build(settings.words, seed=str(n), encoding=settings.encoding) for n in range(settings.conversations)]
    cut: Callable[[bytes], list[bytes]] = {"whole": whole, "ragged": lambda body: ragged(body, 0)}.get(
        settings.cut, by_event
    )
    answers = [answer(cut(scene.body), coding=settings.coding, delay=settings.delay) for scene in played]
    turns = itertools.cycle(answers)
    serve(lambda _: next(turns), events=len(played[0].events), bytes=len(played[0].body))


if __name__ == "__main__":
    main()
