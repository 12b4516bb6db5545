"""The entry: `mitmdump -s addon/chatgpt_capture.py`. Loaded by path, so it finds the packages beside itself."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from addon.adaptor import ChatGPTCapture

addons = [ChatGPTCapture()]
