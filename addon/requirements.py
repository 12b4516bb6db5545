"""What this Python must have beside mitmproxy; imports nothing of it."""

import importlib.util
import sys


def missing_packages() -> str:
    """The packages that the recorder needs and this Python lacks, as pip knows them; "" when all are there."""
    needed = {"orjson": "orjson", "brotli": "brotli", "sqlite_utils": "sqlite-utils", "PIL": "pillow"}
    if sys.version_info < (3, 14):
        needed["backports"] = "backports.zstd"
    return " ".join(package for name, package in needed.items() if importlib.util.find_spec(name) is None)
