"""Which files are taken for an archive, and that every other is turned down in one line that says why."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from addon import archive
from addon.errors import ArchiveError
from tests.conftest import ROOT


def refusal(path: Path) -> str:
    with pytest.raises(ArchiveError) as refused:
        archive.prepare(path)
    message = str(refused.value)
    assert "\n" not in message
    return message.replace(str(path), "PATH").replace(str(path.parent), "FOLDER")


def test_a_new_archive_is_an_empty_private_file_beside_a_private_folder(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        archive.prepare(tmp_path / "chatgpt.db")
    finally:
        os.umask(before)
    modes = {path.name: (path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()}
    folders = {"chatgpt.db-inflight": (True, 0o700), "chatgpt.db-media": (True, 0o700)}
    assert modes == {"chatgpt.db": (False, 0o600), **folders}
    assert (tmp_path / "chatgpt.db").stat().st_size == 0
    archive.prepare(tmp_path / "chatgpt.db")
    assert archive.inflight_folder(tmp_path / "chatgpt.db") == tmp_path / "chatgpt.db-inflight"
    assert archive.media_folder(tmp_path / "chatgpt.db") == tmp_path / "chatgpt.db-media"


def test_a_folder_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "chatgpt.db").mkdir()
    assert refusal(tmp_path / "chatgpt.db") == "PATH: cannot be written: is a directory"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    assert refusal(tmp_path / "link.db") == "PATH: cannot be written: is a symbolic link"
    assert not (tmp_path / "elsewhere.db").exists()


@pytest.mark.parametrize("companion", ["-wal", "-shm", "-journal"])
def test_a_link_at_the_name_of_the_log_is_refused(tmp_path: Path, companion: str) -> None:
    (tmp_path / f"chatgpt.db{companion}").symlink_to(tmp_path / "elsewhere")
    assert refusal(tmp_path / "chatgpt.db") == f"PATH{companion}: is not a file of this user"
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing" / "chatgpt.db") == "PATH: the folder FOLDER does not exist"
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    assert refusal(tmp_path / "pipe.db") == "PATH: is not a regular file"


@pytest.mark.parametrize(
    "content", [b"a letter to somebody, not a database " * 10, b"SQLite format 3\0 but short", b"\0"]
)
def test_a_file_that_is_no_database_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    assert refusal(path) == "PATH: is not an SQLite database"
    assert (path.read_bytes(), [entry.name for entry in tmp_path.iterdir()]) == (content, ["letter.txt"])


def written(path: Path, *statements: str) -> bytes:
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)
    return path.read_bytes()


@pytest.mark.parametrize("theirs", [[], ["PRAGMA application_id = 5"]])
def test_the_database_of_another_program_stays_as_it_is(tmp_path: Path, theirs: list[str]) -> None:
    path = tmp_path / "places.sqlite"
    before = written(path, *theirs, "CREATE TABLE places (url)")
    assert refusal(path) == "PATH: is a database of another program; choose another file with chatgpt_db"
    assert path.read_bytes() == before


def test_what_a_newer_version_wrote_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "chatgpt.db"
    ours = f"PRAGMA application_id = {archive.APPLICATION_ID}"
    before = written(path, ours, f"PRAGMA user_version = {archive.VERSION + 1}", "CREATE TABLE new (x)")
    expected = f"PATH: was written by a newer version ({archive.VERSION + 1}, this one knows {archive.VERSION}); update"
    assert refusal(path) == expected
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["inflight", "media"])
def test_the_folders_of_the_journal_and_of_files_must_be_folders(tmp_path: Path, name: str) -> None:
    folder = tmp_path / f"chatgpt.db-{name}"
    folder.write_text("in the way")
    assert refusal(tmp_path / "chatgpt.db") == f"PATH-{name}: cannot be written: not a folder of this user"
    folder.unlink()
    folder.symlink_to(tmp_path)
    assert refusal(tmp_path / "chatgpt.db") == f"PATH-{name}: cannot be written: not a folder of this user"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o700, "cannot be written: permission denied"),
        (0o755, "cannot be written: permission denied"),
        (0o777, "belongs"),
    ],
)
def test_what_another_user_may_not_write_is_refused(mode: int, said: str) -> None:
    """As a user without rights: a folder that cannot be entered, one that cannot be written, a file that is root's."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o711)
        folder = Path(parent) / "theirs"
        folder.mkdir()
        if mode == 0o777:
            (folder / "chatgpt.db").touch()
            (folder / "chatgpt.db").chmod(0o666)
        folder.chmod(mode)
        done = prepared_by_nobody(folder / "chatgpt.db")
    assert said in done
    assert done.count("\n") == 1


def prepared_by_nobody(path: Path) -> str:
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[2]); from addon import archive; from addon.errors import ArchiveError;"
        "from pathlib import Path; os.seteuid(65534)\n"
        "try: archive.prepare(Path(sys.argv[1]))\n"
        "except ArchiveError as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(path), str(ROOT)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_what_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert refusal(tmp_path / "chatgpt.db") == "PATH: cannot be written: permission denied"
    tmp_path.chmod(0o700)
    (tmp_path / "chatgpt.db").touch(0o400)
    assert refusal(tmp_path / "chatgpt.db") == "PATH: cannot be written: permission denied"
