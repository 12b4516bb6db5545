"""An archive in which every text that came over the wire tries something."""

import json
from pathlib import Path
from typing import Any

from tests.recording import FINISHED, Archive, envelope, message, request, v0

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" onload="window.pwned=1"><script>window.pwned=1</script></svg>"""

TITLE = '<img src="{trap}/title.png" onerror="window.pwned=1">payload"\'><script>window.pwned=1</script>'

HOSTILE = {
    "script": "<script>window.pwned=1</script><script src='{trap}/s.js'></script>",
    "handler": "<img src=x onerror='window.pwned=1'><b onmouseover='window.pwned=1'>b</b>",
    "image": "<img src='{trap}/html.png'> ![payload]({trap}/markdown.png)",
    "refresh": "<meta http-equiv='refresh' content='0;url={trap}/refresh'>",
    "style": "<style>@import url('{trap}/import.css'); body {{ background: url('{trap}/body.png') }}</style><p style=\"background:url('{trap}/p.png')\">p</p>",
    "frame": "<iframe src='{trap}/frame'></iframe><object data='{trap}/object'></object><embed src='{trap}/embed'>",
    "form": "<form action='{trap}/form'><input name=q><button>go</button></form>",
    "svg": "<svg onload='window.pwned=1'><image href='{trap}/svg.png'/><script>window.pwned=1</script></svg>",
    "links": "[a](javascript:window.pwned=1) [b](data:text/html,<script>window.pwned=1</script>) [c](vbscript:x) <base href='{trap}/'>",
    "video": "<video src='{trap}/video.mp4' autoplay></video><audio src='{trap}/audio.mp3' autoplay></audio><link rel=stylesheet href='{trap}/link.css'>",
    "math": "\\(\\text{{<img src={trap}/math.png onerror=window.pwned=1>}}\\) $$\\href{{javascript:window.pwned=1}}{{x}}$$",
    "code": '```"><img src={trap}/code.png>\n</code></pre><script>window.pwned=1</script>\n```',
    "mark": '\ue200cite\ue202<img src={trap}/mark.png>\ue201 \ue200entity\ue202["x","<img src={trap}/entity.png>"]\ue201',
    "template": "{{{{ 7*7 }}}} {{% include 'x' %}} ${{window.pwned=1}}",
    "early": "<link rel=preload as=image href='{trap}/pre'><link rel=dns-prefetch href='{trap}/'><img srcset='{trap}/a 1x, {trap}/b 2x'><picture><source srcset='{trap}/c'><img></picture><input autofocus onfocus='window.pwned=1'><details open ontoggle='window.pwned=1'>d</details><a ping='{trap}/ping' href='#'>p</a><svg><use href='{trap}/u#x'/><animate onbegin='window.pwned=1'/></svg>",
    "disguised": "[a](JaVaScRiPt:window.pwned=1) [b](java&#115;cript:window.pwned=1) [c](\x01javascript:window.pwned=1) <javascript:window.pwned=1> ![i][r] [![j]({trap}/j.png)]({trap}/l) \n\n[r]: {trap}/r.png 'payload\\\" onerror=window.pwned=1'\n\n| ![t]({trap}/t.png) | x |\n|---|---|\n| <td background='{trap}/td'> | ![]({trap}/e.svg) |",
    "deep": "> " * 2_500 + "- " * 2_500 + "payload",
}


def hostile_archive(database: Path, trap: str) -> Path:
    """Each of the texts as a question, an answer, a thought, a call, an output, a quote, a title, a model, a prompt."""
    archive = Archive(database)
    for name, template in HOSTILE.items():
        text = template.format(trap=trap)
        archive.record(
            v0(
                *_turn(name, text, trap),
                {
                    "type": "title_generation",
                    "title": f"{TITLE.format(trap=trap)} {text}",
                    "conversation_id": f"{name}-'\"><i>",
                },
                {"type": text, "data": text},
            ),
            request(f"u-{name}", text),
            stream_id=f"stream-{name}-'\"><b>",
        )
    archive.store.close()
    return database


def _turn(name: str, text: str, trap: str) -> list[dict[str, Any]]:
    talk, model = f"{name}-'\"><i>", f"model<img src={trap}/model.png onerror=window.pwned=1> {text}"
    call = json.dumps({"prompt": text, "size": "1024x1024", "name": text, "type": "document", "content": text})
    part = {
        "content_type": "image_asset_pointer",
        "asset_pointer": f"sediment://file_{name}<img src={trap}/pointer.png>",
        "width": 1,
        "height": 1,
        "metadata": {
            "generation": {"gen_id": text},
            "dalle": {"prompt": text, "seed": 1, "gen_id": text, "parent_gen_id": text},
        },
    }
    cited = {
        "content_references": [
            {
                "matched_text": "payload",
                "type": "webpage",
                "url": f"{trap}/{name}",
                "title": text,
                "attribution": text,
                "items": [{"url": "javascript:window.pwned=1", "title": text}],
            }
        ],
        "attachments": [{"id": text, "name": text, "mime_type": text}],
    }
    contents: list[tuple[str, Any, dict[str, Any]]] = [
        ("assistant", {"content_type": "text", "parts": [text + " payload"]}, {"metadata": {"model_slug": model, **cited}}),
        ("assistant", {"content_type": "thoughts", "thoughts": [{"summary": text, "content": text}]}, {}),
        ("assistant", {"content_type": "code", "language": text, "text": call}, {"recipient": "canmore.create_textdoc"}),
        ("assistant", {"content_type": "code", "language": text, "text": call}, {"recipient": "t2uay3k.sj1i4kz"}),
        ("tool", {"content_type": "execution_output", "text": text}, {}),
        ("tool", {"content_type": "tether_quote", "url": text, "domain": text, "title": text, "text": text}, {}),
        ("tool", {"content_type": "multimodal_text", "parts": [part, text]}, {"author": {"role": "tool", "name": "t2uay3k.sj1i4kz"}}),
        ("assistant", {"content_type": text, "text": text}, {}),
        ("tool", {"content_type": "system_error", "name": text, "text": text}, {}),
    ]  # fmt: skip
    return [
        envelope(
            message(
                f"{name}-{n}-<b>",
                content=content,
                status=FINISHED,
                **{"author": {"role": role, "name": text if role == "tool" else None}, **fields},
            ),
            talk,
        )
        for n, (role, content, fields) in enumerate(contents)
    ]
