"""A Service in a process of its own, for measurements: in this one it would wait for who measures, and he for it."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.loopback.exchange import Respond
from scripts.loopback.proxy import Upstream
from scripts.loopback.service import Service

ROOT = Path(__file__).resolve().parent.parent.parent


@contextlib.contextmanager
def service_apart(module: str, *arguments: str) -> Iterator[Upstream]:
    """The Service that a module of the repository plays with `serve`, until the context ends or this process does."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            if not said:
                raise RuntimeError(f"{module} plays no service")
            place = json.loads(said)
            yield Upstream(place["port"], Path(place["ca_path"]))
        finally:
            process.stdin.close()


def serve(respond: Respond, **about: object) -> None:
    """Play a Service until standard input ends; the one line printed is JSON, says where it is, and `about`."""
    with Service(respond) as service:
        place = {"port": service.port, "tls_port": service.tls_port, "ca_path": str(service.ca_path)}
        print(json.dumps(place | about), flush=True)
        sys.stdin.read()
