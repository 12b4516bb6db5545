"""`python -m analysis` is `chatgpt-capture`."""

from analysis.cli import main

main()
