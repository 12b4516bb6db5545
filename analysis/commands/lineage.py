"""`chatgpt-capture lineage`: the images an image was made from, and those made from it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.completing import GENERATION
from analysis.formats import Form, form_options, write_rows
from analysis.options import reading

if TYPE_CHECKING:
    from analysis.queries.images import LineageImage


@click.command("lineage", short_help="Show which images were made from which.")
@click.argument("generation", type=GENERATION, metavar="GEN_ID")
@form_options
@database_option
def command(generation: str, form: Form | None, database: Path) -> None:
    """Show the line of the image whose generation begins with GEN_ID, as a tree. `images` lists the ids.

    \b
    chatgpt-capture lineage f304baa0
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.queries.archive import identify
    from analysis.queries.images import LineageImage, lineage

    with reading(database) as db:
        asked = identify(db, "image_generations", generation, "gen_id")
        rows = lineage(db, asked)
        if form is not None:
            write_rows(form, LineageImage._fields, rows)
        else:
            _print(list(rows), asked)


def _print(rows: "list[LineageImage]", asked: str) -> None:
    from rich.text import Text

    from analysis.terminal import console, is_watched, local_time, one_line, readable_width, shortened

    out = console()
    for place, row in enumerate(rows):
        lead = _lead([later.depth for later in rows[place:]], row.depth)
        line = Text.assemble((lead, "dim"), (row.gen_id, "bold yellow" if row.gen_id == asked else "bold"))
        size = f"{row.width}x{row.height}" if row.width and row.height else ""
        seed = f"seed {row.seed}" if row.seed is not None else ""
        facts = [one_line(row.edit_op), size, seed, local_time(row.created_at), row.status]
        told = " · ".join(filter(None, facts))
        below = lead.replace("├─ ", "│  ").replace("└─ ", "   ")
        if is_watched() and line.cell_len + 2 + len(told) > out.width:
            out.print(line)
            line, told = Text(below, "dim"), shortened(told, out.width - len(below))
        else:
            told = f"  {told}"
        out.print(line.append(told, "dim"))
        words = one_line(row.prompt or row.title)
        room = readable_width(out) - len(below)
        out.print(Text.assemble((below, "dim"), (shortened(words, room) if is_watched() else words, "italic")))


def _lead(depths: list[int], depth: int) -> str:
    """The lines of the tree before a row, from the depths of this row and those after it."""
    lead = ""
    for level in range(1, depth + 1):
        # A line goes on down where something of the same level comes before anything above it.
        after = next((other for other in depths[1:] if other <= level), 0)
        more = after == level
        lead += ("├─ " if more else "└─ ") if level == depth else ("│  " if more else "   ")
    return lead
