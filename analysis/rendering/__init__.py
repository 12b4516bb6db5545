"""Messages -> safe HTML, for the pages of the browser and for exports. No database, no server, nothing fetched.

messages    render(): a row of `messages`, whatever its content type
markdown    markdown(): a text of the model; plain(): one of the person
sources     citation marks as chips, source_cards() under an answer
formulas    LaTeX as MathML        code    source code in colours
media       images and files       calls   what tools were asked and answered
"""

from analysis.rendering.calls import document
from analysis.rendering.markdown import markdown, plain
from analysis.rendering.media import Media, byte_count
from analysis.rendering.messages import LONGEST, Rendered, duration, render
from analysis.rendering.sources import Row, source_cards, web_address, without_marks

__all__ = [
    "LONGEST",
    "Media",
    "Rendered",
    "Row",
    "byte_count",
    "document",
    "duration",
    "markdown",
    "plain",
    "render",
    "source_cards",
    "web_address",
    "without_marks",
]
