"""A year's figures -> one page that is complete in itself: charts by Observable Plot, which stands in it.

The page's policy lets only the scripts run that are written here, by their digests, and nothing be fetched.
"""

import base64
import json
from hashlib import sha256
from pathlib import Path

from markupsafe import Markup

from analysis.clock import zone
from analysis.exports.media import StoredFiles
from analysis.queries.conversations import UNTITLED
from analysis.rendering import duration
from analysis.report.figures import Year

_HERE = Path(__file__).parent
_VENDORED = _HERE.parent / "browse" / "static" / "vendor"
_CHARTS = (
    ("activity", "Every day"),
    ("models", "Models that answered"),
    ("hours", "When you ask"),
    ("thinking", "How long models thought"),
    ("sites", "Sites that were cited most"),
)


def report_page(year: Year, stored: StoredFiles) -> str:
    """The page."""
    scripts = [(_VENDORED / name).read_text("utf-8") for name in ("d3.min.js", "plot.umd.min.js")]
    scripts.append((_HERE / "report.js").read_text("utf-8"))
    allowed = " ".join(f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    parts = [
        Markup('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'),
        Markup('<meta http-equiv="Content-Security-Policy" content="{}">').format(policy),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup("<title>{0} with ChatGPT</title><style>{1}</style></head><body><h1>{0} with ChatGPT</h1>\n").format(
            year.year, Markup((_HERE / "report.css").read_text("utf-8"))
        ),
        Markup("<p>Days and hours are those of {}.</p>\n").format(zone()),
        _headline(year),
        *(Markup('<section><h2>{}</h2><div id="{}"></div></section>\n').format(title, name) for name, title in _CHARTS),
        _threads(year),
        _wall(year, stored),
        Markup('<script type="application/json" id="figures">{}</script>\n').format(Markup(_data(year))),
        *(Markup("<script>{}</script>\n").format(Markup(script)) for script in scripts),
        Markup("</body></html>\n"),
    ]
    return str(Markup("").join(parts))


def _data(year: Year) -> str:
    """The figures for the charts, as JSON in which no element of the page can begin or end."""
    names = ("year", "days", "models", "hours", "thinking", "sites")
    text = json.dumps({name: getattr(year, name) for name in names}, ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _headline(year: Year) -> Markup:
    facts = {name: f"{year.totals[name]:,}" for name in ("conversations", "prompts", "answers", "images")}
    facts["characters written for you"] = f"{year.totals['characters']:,}"
    facts["active days"] = f"{sum(1 for day in year.days if day['prompts']):,}"
    minutes = sum(month["minutes"] for month in year.thinking)
    if minutes:
        facts["of thinking"] = duration(max(1, round(minutes)) * 60)
    tiles = (Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in facts.items())
    return Markup("<dl>{}</dl>\n").format(Markup("").join(tiles))


def _threads(year: Year) -> Markup:
    line = Markup('<li dir="auto">{} <small>{:,} message{}</small></li>')
    items = Markup("").join(
        line.format(thread["title"] or UNTITLED, thread["messages"], "s" if thread["messages"] != 1 else "")
        for thread in year.threads
    )
    return Markup("<section><h2>Longest conversations</h2><ol>{}</ol></section>\n").format(items) if items else items


def _wall(year: Year, stored: StoredFiles) -> Markup:
    """Images as their thumbnails."""
    shown = []
    for row in year.images:
        file = stored.open(row.thumbnail_path)
        if file is not None:
            with file:
                content = base64.b64encode(file.read()).decode()
            prompt = (row.title or row.tool_prompt or row.user_prompt or "An image")[:300]
            image = Markup('<img src="data:image/webp;base64,{}" alt="{}" title="{}" loading="lazy">')
            shown.append(image.format(content, prompt, prompt))
    if not shown:
        return Markup("")
    return Markup('<section><h2>Images</h2><div class="wall">{}</div></section>\n').format(Markup("").join(shown))
