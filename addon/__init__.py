"""The capture: from the bytes mitmproxy hands over to rows in SQLite.

The line to read first: `adaptor` (tap) -> `journal` -> `recorder` -> `capture` -> `store`.
"""
