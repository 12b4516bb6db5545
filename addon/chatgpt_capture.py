"""The entry: `mitmdump -s addon/chatgpt_capture.py`. Loaded by path, so it finds the packages beside itself."""

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from addon.requirements import missing_packages

addons = []
if missing := missing_packages():
    # An error at the start ends mitmdump with this line.
    logging.getLogger(__name__).error("ChatGPT Capture: packages are missing beside mitmproxy: pip install %s", missing)
else:
    from addon.adaptor import ChatGPTCapture

    addons.append(ChatGPTCapture())
