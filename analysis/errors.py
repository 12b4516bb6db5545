"""The one error that crosses from questions to whoever asks them."""


class Unanswerable(Exception):
    """What was asked cannot be answered: one line that says why, and what to do about it."""
