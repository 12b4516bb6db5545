"""Times as people read them. The server runs on the machine of who reads: its time zone is theirs."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache


@lru_cache(maxsize=16_384)
def moment(stored: str | None) -> datetime | None:
    """A time of the archive, in the zone of this machine; None where it is none."""
    if not stored:
        return None
    try:
        parsed = datetime.fromisoformat(stored)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone()


def clock(stored: str | None) -> str:
    """The time of day, `14:03`."""
    at = moment(stored)
    return f"{at:%H:%M}" if at else ""


def day(stored: str | None, today: date | None = None) -> str:
    """The day: Today, Yesterday, else in words."""
    at = moment(stored)
    if at is None:
        return "Unknown day"
    today = today or datetime.now().astimezone().date()
    if at.date() == today:
        return "Today"
    if at.date() == today - timedelta(days=1):
        return "Yesterday"
    return f"{at.day} {at:%B}" if at.year == today.year else f"{at.day} {at:%B %Y}"


def full(stored: str | None) -> str:
    """Day and time, `21 September 2026, 14:03`."""
    at = moment(stored)
    return f"{at.day} {at:%B %Y, %H:%M}" if at else ""


def day_begins(day: str) -> str:
    """The first moment of a day of this machine's clock, as the archive has times; "" of what is no day."""
    return _stored(day, timedelta())


def day_ends(day: str) -> str:
    """The last moment of it."""
    return _stored(day, timedelta(days=1) - timedelta(microseconds=1))


def _stored(day: str, into: timedelta) -> str:
    try:
        at = (datetime.fromisoformat(day) + into).astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Seconds from one time of the archive to another; None when either is unknown or they are in the wrong order."""
    begun, ended = moment(start), moment(end)
    if begun is None or ended is None or ended < begun:
        return None
    return (ended - begun).total_seconds()
