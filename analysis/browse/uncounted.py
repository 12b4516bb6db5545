"""Views that are made anew from the whole archive each time: their pages do not count the rows.

Datasette counts what it shows a page of. Of these views that takes as long as all of their rows, seconds with a million
messages, and is given up at the time limit; a page of them is there at once. `?_nocount=` counts all the same.
"""

import re

from analysis.browse.guard import App, Message, Receive, Send

UNCOUNTED = ("daily_activity", "messages_in_parts", "model_usage", "threads", "turn_completeness", "turns")

_PAGE = re.compile(rf"/[^/]+/({'|'.join(UNCOUNTED)})(\.json)?")


def uncounted(app: App) -> App:
    """`app`, asked not to count the rows of such a view, unless the request says something about it."""

    async def ask(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _PAGE.fullmatch(scope["path"]) and b"_nocount=" not in scope["query_string"]:
            scope = {**scope, "query_string": b"&".join(filter(None, (scope["query_string"], b"_nocount=1")))}
        await app(scope, receive, send)

    return ask
