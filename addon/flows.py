"""What a mitmproxy flow says of its exchange: which it is, and the opening of its stream in the journal.

Beside the adaptor the only module that knows mitmproxy. It reads, and changes nothing.
"""

import json
from typing import Any

import orjson
from mitmproxy import http

from addon.endpoints import Endpoint, classify, whole

_LONGEST_LOCATION = 8192


def endpoint_of(flow: http.HTTPFlow, response: http.Response) -> Endpoint | None:
    """What this exchange is, None when it is none of ours."""
    status_code = whole(response.status_code, _header(response, b"content-range"))
    content_type = _header(response, b"content-type")
    return classify(flow.request.method, _host(flow), flow.request.path, content_type, status_code)


def opening_of(flow: http.HTTPFlow, response: http.Response, endpoint: Endpoint, at: int) -> tuple[int, dict[str, Any]]:
    """When a stream began of which the first is seen at `at`, and what its capture must know (`exchange.Opening`)."""
    # A burst of a WebSocket begins with its first message, everything else with its request.
    began = (0 if endpoint.kind == "socket" else microseconds(flow.request.timestamp_start)) or at
    return began, {
        "stream_id": flow.id,
        "source": "live" if flow.live else "flow-file",
        "kind": endpoint.kind,
        "streamed": endpoint.streamed,
        "name": endpoint.name,
        "parameters": dict(endpoint.parameters),
        "host": _host(flow),
        "path": flow.request.path.partition("?")[0],
        "method": flow.request.method,
        "started_at": began,
        "http_version": flow.request.http_version,
        "status_code": response.status_code,
        "content_type": _header(response, b"content-type") or None,
        "content_encoding": _header(response, b"content-encoding"),
        "request_encoding": _header(flow.request, b"content-encoding"),
        **(_file_headers(response) if endpoint.kind == "asset" else {}),
    }


def as_json(value: dict[str, Any]) -> bytes:
    """JSON whatever is in it."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a path may hold bytes that are no text; mitmproxy makes surrogates of them
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _host(flow: http.HTTPFlow) -> str:
    """The host really connected to: the browser's SNI, the server's, or its address. Never the Host header."""
    sni = flow.client_conn.sni or flow.server_conn.sni
    if sni:
        return sni
    address = flow.server_conn.address
    return address[0] if address else flow.request.host


def _header(message: http.Message, name: bytes) -> str:
    """A header's values as one, "" when there is none. Mitmproxy's own lookup takes three times as long."""
    values = [value for key, value in message.headers.fields if key.lower() == name]
    return b", ".join(values).decode("utf-8", "replace")


def _file_headers(response: http.Response) -> dict[str, Any]:
    """What an asset's capture must know of its response (`exchange.Opening`)."""
    disposition = _header(response, b"content-disposition")
    is_redirect = 300 <= response.status_code < 400
    return {
        "content_length": announced_length(response),
        "attachment": disposition.strip().lower().startswith("attachment"),
        "location": _header(response, b"location")[:_LONGEST_LOCATION] if is_redirect else "",
    }


def announced_length(response: http.Response) -> int | None:
    """How many bytes of body are announced."""
    length = _header(response, b"content-length")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None


def microseconds(seconds: float | None) -> int:
    """A time of mitmproxy's as the journal counts it, 0 where there is none."""
    return round((seconds or 0.0) * 1_000_000)
