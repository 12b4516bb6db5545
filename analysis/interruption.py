"""Ctrl-C where work must not end in the middle of something: the first asks to stop, the second stops at once."""

import signal
from types import FrameType
from typing import Self


class Interruption:
    """While it is entered, Ctrl-C is only noted: `check` raises the `KeyboardInterrupt` where nothing is begun.

    So what has been done and what was counted of it never part. Where somebody else handles the signal, or it is
    ignored, that stays.
    """

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        self._give_back()
        if error[0] is None:
            self.check()

    def check(self) -> None:
        """Raises `KeyboardInterrupt` when it was asked for."""
        if self._asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        self._give_back()

    def _give_back(self) -> None:
        if signal.getsignal(signal.SIGINT) == self._ask:
            signal.signal(signal.SIGINT, signal.default_int_handler)
