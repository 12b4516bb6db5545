"""What comes instead of a stream."""

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Page:
    """An answer that is no stream."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def error_403() -> Page:
    """The service refuses: JSON instead of a stream."""
    detail = {"detail": {"code": "unusual_activity", "message": "Unusual activity has been detected from your device."}}
    return Page(403, (("content-type", "application/json"), ("server", "cloudflare")), json.dumps(detail).encode())


def challenge_page() -> Page:
    """The guard before the service refuses: HTML with cf-mitigated."""
    html = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
    return Page(403, (("content-type", "text/html; charset=UTF-8"), ("cf-mitigated", "challenge")), html)
