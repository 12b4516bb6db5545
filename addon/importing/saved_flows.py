"""Flows that mitmproxy saved -> the archive, through mitmdump and the addon: the path that live traffic takes."""

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from addon.errors import ImportFailure
from addon.importing.import_files import ImportFile
from addon.importing.imported import Imported

_ENTRY = Path(__file__).resolve().parent.parent / "chatgpt_capture.py"
_QUIET = ("--set", "termlog_verbosity=alert", "--set", "flow_detail=0")
_STATS = re.compile(rb"(\d+) exchanges? and (\d+) messages? captured into")
_LOSSES = (b" NOT CAPTURED", b" LOST (", b"not everything is stored")
_BLOCK_BYTES = 256 * 1024


def read_flows(file: ImportFile, database: Path, done: Imported) -> None:
    """Let mitmdump read the file and the addon capture what is in it; what came of it goes into `done`."""
    command = [_mitmdump(), "-n", "-r", "-", "-s", str(_ENTRY), "--set", f"chatgpt_db={database}", *_QUIET]
    with tempfile.TemporaryFile() as output:
        status, damage = _run(command, file, output)
        output.seek(0)
        said = output.read()
    found = _STATS.search(said)
    if found is not None:
        done.exchanges, done.messages = int(found[1]), int(found[2])
    if damage is not None:
        done.failures.append(f"{damage}; what stands before that is imported")
    elif status or found is None or b"Flow file corrupted" in said:
        done.failures.append("mitmdump could not read all of it: it is damaged, or of a newer mitmproxy")
    if any(loss in said for loss in _LOSSES):
        done.failures.append("not all of it could be stored: is the disk full?")


def _run(command: list[str], file: ImportFile, output: BinaryIO) -> tuple[int, str | None]:
    """The exit code of a command that is fed the file, and why it was not fed all of it.

    A session of its own: Ctrl-C ends it through us, in order.
    """
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        damage = None
        try:
            assert process.stdin is not None
            # It may end before it has read all, and says why.
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe, file.open() as content:
                try:
                    while block := content.read(_BLOCK_BYTES):
                        pipe.write(block)
                except ImportFailure as error:
                    damage = str(error)
            return process.wait(), damage
        except BaseException:
            process.terminate()
            raise


def _mitmdump() -> str:
    beside = Path(sys.executable).with_name("mitmdump")
    found = str(beside) if beside.is_file() else shutil.which("mitmdump")
    if found is None:
        raise ImportFailure("are flows that mitmproxy saved, and mitmdump, which reads them, was not found")
    return found
