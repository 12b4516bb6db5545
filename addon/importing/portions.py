"""Many things -> some at once: not too many, and together not too large to be held."""

from collections.abc import Callable, Iterable, Iterator

MOST_CHARACTERS = 2 * 1024 * 1024


def portions[T](things: Iterable[T], most: int, size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Up to `most` of them in their order, and of those with more than `MOST_CHARACTERS` together fewer."""
    portion, size = list[T](), 0
    for thing in things:
        portion.append(thing)
        size += size_of(thing)
        if len(portion) == most or size > MOST_CHARACTERS:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
