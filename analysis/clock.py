"""The clock by which people are told days and hours: that of this machine. What is written for programs is in UTC."""

import os
import time
from pathlib import Path


def zone() -> str:
    """The name of this machine's time zone: `Europe/Berlin` where the system says so, else its letters, `CET`."""
    said = os.environ.get("TZ", "").removeprefix(":")
    if said:
        return said
    try:
        place = Path("/etc/localtime").resolve().parts
    except OSError:
        place = ()
    name = "/".join(place[place.index("zoneinfo") + 1 :]) if "zoneinfo" in place else ""
    return name.removeprefix("Etc/") or time.strftime("%Z")
