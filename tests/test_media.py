import fcntl
import hashlib
import os
import stat
from pathlib import Path

import pytest

from addon.files.media import MediaFolder, StoredFile, thumbnail_path

TIDE = hashlib.sha256(b"a tide").hexdigest()


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def media(tmp_path: Path) -> MediaFolder:
    return MediaFolder(tmp_path / "chatgpt.db-media")


def test_a_file_lies_under_its_digest_whatever_the_pieces(media: MediaFolder) -> None:
    for pieces in ([b"a tide"], [b"a", b" ti", b"", b"de"]):
        incoming = media.receive()
        for piece in pieces:
            incoming.write(piece)
        assert incoming.keep("txt") == StoredFile(TIDE, f"{TIDE[:2]}/{TIDE}.txt", 6)
        incoming.discard()
    assert files(media.folder) == [f"{TIDE[:2]}/{TIDE}.txt"]
    assert (media.folder / TIDE[:2] / f"{TIDE}.txt").read_bytes() == b"a tide"


def test_a_file_shows_its_head_and_its_tail(media: MediaFolder) -> None:
    incoming = media.receive()
    for number in range(100):
        incoming.write(bytes([number]) * 10_000)
    assert (incoming.size, len(incoming.head), bytes(incoming.tail)) == (1_000_000, 262_144, b"\x63" * 4096)
    assert incoming.head[-1] == 26
    incoming.discard()


def test_folders_and_files_are_the_persons_alone_whatever_the_umask(media: MediaFolder) -> None:
    before = os.umask(0)
    try:
        kept, left = media.receive(), media.receive()
        kept.write(b"a tide")
        stored = kept.keep("txt")
        thumbnail_path(media.folder, stored.sha256)
    finally:
        os.umask(before)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in [media.folder, *media.folder.rglob("*")]}
    assert modes == {True: 0o700, False: 0o600}
    left.discard()


def test_what_is_discarded_leaves_nothing_behind(media: MediaFolder) -> None:
    incoming = media.receive()
    incoming.write(b"half")
    assert len(files(media.folder)) == 1
    incoming.discard()
    incoming.discard()
    assert files(media.folder) == []


def test_what_a_killed_recorder_left_is_removed_and_what_a_living_one_writes_is_not(media: MediaFolder) -> None:
    living = media.receive()
    living.write(b"still coming")
    abandoned = media.folder / "incoming" / "1-dead.part"
    abandoned.write_bytes(b"half")
    new, old = media.folder / "incoming" / "2-new.part", media.folder / "incoming" / "3-old.part"
    for path in (new, old):
        path.touch()
    os.utime(old, (1_790_000_000, 1_790_000_000))
    elsewhere = media.folder.parent / "elsewhere"
    elsewhere.write_bytes(b"somebody's")
    (media.folder / "incoming" / "4-link.part").symlink_to(elsewhere)
    media.sweep()
    assert not abandoned.exists()
    assert not old.exists()
    assert new.exists()  # it may have been made just now, and be locked next
    assert elsewhere.read_bytes() == b"somebody's"
    assert living.keep("txt").size == 12
    fcntl.flock(os.open(new, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_sweeping_where_nothing_is_does_nothing(media: MediaFolder) -> None:
    media.sweep()
    assert not media.folder.exists()


@pytest.mark.parametrize("name", ["", "incoming", TIDE[:2]])
def test_a_link_in_place_of_a_folder_is_refused(media: MediaFolder, name: str) -> None:
    target = media.folder.parent / "target"
    target.mkdir()
    if name:
        media.folder.mkdir(0o700)
    (media.folder / name).symlink_to(target)
    with pytest.raises(OSError, match="not a folder of this user"):
        receive(media)
    assert list(target.iterdir()) == []


def receive(media: MediaFolder) -> None:
    incoming = media.receive()
    try:
        incoming.write(b"a tide")
        incoming.keep("txt")
    finally:
        incoming.discard()


def test_a_folder_that_went_is_made_again(media: MediaFolder) -> None:
    receive(media)
    for path in sorted(media.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    media.folder.rmdir()
    receive(media)
    assert files(media.folder) == [f"{TIDE[:2]}/{TIDE}.txt"]


def test_a_missed_file_is_told_once(media: MediaFolder) -> None:
    assert media.take_missed() is False
    media.missed()
    assert [media.take_missed(), media.take_missed()] == [True, False]
