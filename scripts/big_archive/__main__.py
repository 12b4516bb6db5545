"""The command: `scripts/bigarchive FILE`."""

import argparse
import sys
import time
from pathlib import Path

from scripts.big_archive import build


def main() -> int:
    """Make the archive, and say how far it is."""
    arguments = argparse.ArgumentParser(
        prog="scripts/bigarchive", description="An archive as years of use would leave it, made up from a seed."
    )
    arguments.add_argument("file", type=Path, help="where it goes; must not be there yet")
    arguments.add_argument("--messages", type=int, default=100_000, help="default 100,000")
    arguments.add_argument("--conversations", type=int, help="default one for 20 messages")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    path: Path = given.file
    if path.exists():
        arguments.error(f"{path} exists already: name a new file")
    if not path.absolute().parent.is_dir():
        arguments.error(f"the folder {path.absolute().parent} does not exist")
    began = time.monotonic()

    def progress(done: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{done:,} messages", end="\n" if done == given.messages else "", file=sys.stderr, flush=True)

    conversations = given.conversations or max(1, given.messages // 20)
    try:
        build(path, conversations=conversations, messages=given.messages, seed=given.seed, progress=progress)
    except ValueError as error:
        arguments.error(str(error))
    size = path.stat().st_size / 1e6
    print(f"{path}: {given.messages:,} messages in {conversations:,} conversations, {size:,.0f} MB, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
