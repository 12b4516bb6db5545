"""The errors that cross a module border; any other exception is a bug."""


class StreamError(Exception):
    """The stream broke a limit or a format we rely on: its capture ends as `error`, the raw bytes are kept.

    The message is one line, carries no payload, and becomes `streams.error`.
    """


class ArchiveError(Exception):
    """The database file cannot be used; the message is one line that names the file and the reason."""


class DamagedArchive(ArchiveError):
    """The database is not what we wrote any more: damaged, or gone. Capture goes on in a new one."""


class ImportFailure(Exception):
    """A file, or the rest of it, cannot be imported; the message is one line that says why, without the file's name."""
