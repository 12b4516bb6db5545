"""The command: `python -m scripts.showcase FILE`."""

import argparse
import sys
from pathlib import Path

from scripts.showcase import build


def main() -> int:
    """Make the archive."""
    arguments = argparse.ArgumentParser(
        prog="python -m scripts.showcase", description="A made-up archive that has one of everything, to look at."
    )
    arguments.add_argument("file", type=Path, help="where it goes; must not be there yet")
    path: Path = arguments.parse_args().file
    if path.exists():
        arguments.error(f"{path} exists already: name a new file")
    if not path.absolute().parent.is_dir():
        arguments.error(f"the folder {path.absolute().parent} does not exist")
    build(path)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
