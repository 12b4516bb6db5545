"""Who may read the archive that `chatgpt-capture browse` serves: whoever has opened the address it printed.

The address has a token that is made anew at each start and works as long as the server runs. Opening it leaves a
cookie that later starts know again, because they sign with one secret, kept in the person's own folder.
"""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasette.utils.asgi import Forbidden, Request, Response

if TYPE_CHECKING:
    from datasette.app import Datasette

ACTOR = "root"
ALLOW = {"id": ACTOR}
"""Who is let in, as Datasette's metadata says it."""

_COOKIE_SECONDS = 90 * 24 * 3600


def secret_path() -> Path:
    """Where the secret is kept."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "chatgpt-capture" / "browse-secret"


def kept_secret(path: Path) -> str:
    """The secret of this person, made when there is none; one for this start alone where none can be kept."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return _read(path)
        secret = secrets.token_hex(32)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret)
        return secret
    except OSError:
        return secrets.token_hex(32)


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor) as file:
        status = os.fstat(descriptor)
        secret = file.read(200).strip()
    # One that others can read or have written is none.
    private = status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return secret if private and len(secret) >= 64 else secrets.token_hex(32)


class Door:
    """The login by token, as often as it is given."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def view(self, request: Request, datasette: "Datasette") -> Response:
        """Let in who has the token."""
        given = request.args.get("token") or ""
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            raise Forbidden("The token of this address is not that of the server that runs now.")
        answer: Any = Response.redirect("/")
        signed = datasette.sign({"a": {"id": ACTOR}}, "actor")
        answer.set_cookie("ds_actor", signed, max_age=_COOKIE_SECONDS, httponly=True, samesite="lax")
        return answer
