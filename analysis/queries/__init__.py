"""What is asked of an archive, one typed function a question: the command line, the browser and notebooks ask alike.

Reads only, while the capture writes. A row is a named tuple that documents its columns; columns named `..._at` are UTC
in ISO 8601, `seconds...` are seconds, sizes are bytes, flags are 0 or 1, unknown is None. What can be long is an
iterator: rows come as SQLite finds them.

archive          open_archive(), identify(): which file, which row a beginning of an id means
search           find(): messages that hold words
named            QUESTIONS, answers(): questions with a title, for charts and for everybody's own SQL
conversations    conversations(): what there is, the last active first
threads          branch(), Thread: one conversation as it reads
images           images(), lineage()
live             what is growing now
usage            models, times to the first token, days, tools, sizes
sources          cited pages
exchanges        exchanges, their events, raw bodies and timelines
health           what of the capture to look at
tables           whole tables by month

Nothing else in `analysis` asks a database: what a person is told in two places is one function here. The tree of a
conversation is `analysis.tree`.
"""

from analysis.errors import Unanswerable
from analysis.queries.archive import open_archive

__all__ = ["Unanswerable", "open_archive"]
