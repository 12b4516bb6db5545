"""The sites' side of files: the question where one is, and its bytes, at estuary or on the storage host."""

import dataclasses
import json
from collections.abc import Mapping
from urllib.parse import parse_qs, quote, unquote, urlsplit

from scripts.loopback.codings import content_encoding, encode
from scripts.loopback.exchange import Answer, End, Request

STORAGE = "files.oaiusercontent.com"
URL_SECRETS = ("canary-signature-4f1d90", "canary-expiry-2031-02-03", "canary-start-2030-01-02")
"""What signs a URL; nobody may keep it."""

_SIG, _SE, _ST = URL_SECRETS


@dataclasses.dataclass(frozen=True)
class File:
    """A file and how it is served; `at_storage` on a host of its own, else by estuary."""

    data: bytes
    name: str | None = None
    content_type: str = "image/png"
    at_storage: bool = False
    coding: str = "identity"
    pieces: int = 65536
    delay: float = 0.0
    end: End = "clean"
    with_length: bool = True


class Files:
    """Answers for files by id, as the page writes it in URLs; what is not there is answered as the service does."""

    def __init__(self, files: Mapping[str, File]) -> None:
        self.files = dict(files)

    def answer(self, request: Request) -> Answer | None:
        """None for a request that asks for no file."""
        parts = urlsplit(request.path)
        path = unquote(parts.path)
        if request.host == STORAGE:
            return self._bytes(path.removeprefix("/"), request)
        if path == "/backend-api/estuary/content":
            return self._bytes(parse_qs(parts.query).get("id", [""])[-1], request)
        *_, parent, last = ["", *path.split("/")]
        if path.startswith("/backend-api/files/download/"):
            return self._where(last)
        if (
            path.startswith("/backend-api/")
            and last == "download"
            and not path.startswith("/backend-api/files/download")
        ):
            named = parse_qs(parts.query).get("sandbox_path", [parent])[-1]
            return self._where(named)
        return None

    def _where(self, identity: str) -> Answer:
        identity = identity.replace("#", "*")
        file = self.files.get(identity)
        if file is None:
            said: dict[str, object] = {
                "status": "error",
                "error_code": "file_not_found",
                "error_message": "File not found",
            }
        else:
            named = quote(identity, safe="")
            url = (
                f"https://{STORAGE}/{named}?se={_SE}&sp=r&sv=2024-08-04&sr=b&st={_ST}&sig={_SIG}%3D"
                if file.at_storage
                else f"https://chatgpt.com/backend-api/estuary/content?id={named}&ts=496736&p=fs&cid=1&sig={_SIG}&v=0"
            )
            said = {"status": "success", "download_url": url, "metadata": None, "file_name": file.name}
            said |= {"creation_time": None, "mime_type": None, "file_size_bytes": len(file.data)}
        return Answer(200, [("content-type", "application/json")], [json.dumps(said).encode()])

    def _bytes(self, identity: str, request: Request) -> Answer:
        file = self.files.get(identity.replace("#", "*"))
        if file is None:
            return Answer(404, [("content-type", "application/json")], [b'{"detail":"File not found"}'])
        data, status, headers = file.data, 200, [("content-type", file.content_type), ("accept-ranges", "bytes")]
        asked = (request.header("range") or "").removeprefix("bytes=").partition("-")
        if asked[0]:
            first, last = int(asked[0]), min(int(asked[2] or len(data)), len(data) - 1)
            headers.append(("content-range", f"bytes {first}-{last}/{len(data)}"))
            data, status = data[first : last + 1], 206
        if file.coding != "identity":
            headers.append(("content-encoding", content_encoding(file.coding)))
            data = encode(data, file.coding)
        if file.with_length:
            headers.append(("content-length", str(len(data))))
        sent = data if file.end == "clean" else data[: len(data) // 2]
        chunks = [sent[start : start + file.pieces] for start in range(0, len(sent), file.pieces)]
        return Answer(status, headers, [] if request.method == "HEAD" else chunks, file.delay, file.end)
