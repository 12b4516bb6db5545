"""One conversation of each kind. All of it is made up."""

import json
from typing import Any

from scripts.showcase.pictures import landscape, plot
from scripts.showcase.texts import (
    ARABIC,
    CHINESE,
    CODE_REVIEW,
    JAPANESE,
    LISBON,
    NEWS,
    SITES,
    SKY,
    SKY_SHORT,
    TIDE_ANSWER,
    TIDE_CODE,
)
from scripts.showcase.writer import Archive, Json, Talk, identity

IMAGE_TOOL = "t2uay3k.sj1i4kz"


def sky(archive: Archive, at: int) -> None:
    talk = Talk(archive, "Why the sky is blue at noon and red at dusk", at)
    root = identity("root of the sky")
    talk.ask("why is sky blue", talk.say(SKY_SHORT), under=root, wait=0.6)
    question = talk.ask(
        "Why is the sky blue at noon and red at dusk? With the formula, please, and a small table.",
        talk.say(
            {
                "content_type": "thoughts",
                "thoughts": [
                    {"summary": "Recalling Rayleigh scattering", "content": "Intensity goes with the inverse fourth power of the wavelength. The path at sunset is about 38 air masses."},
                    {"summary": "Checking the ratio", "content": "(650/450)^4 = 4.35, so *about four times* is right."},
                ],
            },
            seconds=6.4,
            metadata={"finished_duration_sec": 6},
        ),
        talk.say(SKY),
        under=root,
        wait=1.1,
    )  # fmt: skip
    talk.again(question, talk.say(SKY_SHORT.replace("Because air", "In short: air")), wait=0.5)
    talk.again(question, talk.say(SKY), wait=0.9, pace=110)
    talk.ask(
        "And on Mars?",
        talk.say(
            "The other way round. Martian dust grains are about as large as the wavelength, so they scatter red "
            "everywhere and leave blue near the Sun: the day is **butterscotch**, the sunset **blue**. \U0001f305"
        ),
        asked_model="auto",
    )


def tides(archive: Archive, at: int) -> None:
    talk = Talk(archive, "Tide curve in Python", at)
    drawn = archive.file("tide plot", plot(4))
    output: Json = {"content_type": "execution_output", "text": "range 3.82 m\n"}
    result = {
        "aggregate_result": {"messages": [{"message_type": "image", "image_url": drawn, "width": 960, "height": 540}]}
    }
    talk.ask(
        "Plot two days of tides from the two biggest lunar constituents, and tell me the range.",
        talk.say({"content_type": "code", "language": "unknown", "text": TIDE_CODE}, recipient="python", seconds=2.1),
        talk.say(output, role="tool", name="python", metadata=result, seconds=1.2),
        talk.say(TIDE_ANSWER),
        wait=1.4,
    )
    talk.ask(
        "Is my mean() all right?\n\ndef mean(values):\n    return sum(values) / len(values)",
        talk.say(CODE_REVIEW),
        pace=120,
    )


def pictures(archive: Archive, at: int) -> None:
    talk = Talk(archive, "A valley in spring", at)
    prompts = [
        ("Draw a wide valley at dawn, quiet, in soft colours", "A wide valley at dawn, layered hills in mist, soft pastel colours, no people", "dawn"),
        ("The same in spring, with blossom light", "The same valley in spring light, pink haze over layered hills, calm", "spring"),
        ("Now at dusk", "The same valley at dusk, deep orange horizon, purple hills", "dusk"),
        ("And once by night, with stars", "The same valley by night, stars, a low moon, dark blue hills", "night"),
    ]  # fmt: skip
    parent = None
    for n, (asked, prompt, sky_name) in enumerate(prompts):
        size = (1536, 1024) if n % 2 == 0 else (1024, 1024)
        pointer = archive.file(f"valley {n}", landscape(7, sky_name, *size))
        parent = draw(talk, asked, prompt, pointer, size, parent)


def garden(archive: Archive, at: int) -> None:
    """As in 2024: a prompt that the tool had rewritten, a seed, several images at once."""
    talk = Talk(archive, "Four seasons for a calendar", at, model="gpt-4o")
    parts = []
    for n, sky_name in enumerate(("spring", "noon", "dusk", "night")):
        pointer = archive.file(f"season {n}", landscape(40 + n, sky_name))
        prompt = f"A calm landscape for a calendar page, {sky_name}, layered hills, painterly"
        made = {
            "gen_id": f"season{n}",
            "prompt": prompt,
            "seed": 811_390_200 + n,
            "parent_gen_id": None,
            "edit_op": None,
        }
        parts.append(
            _image(pointer, (1024, 1024), {"dalle": {**made, "serialization_title": "DALL-E generation metadata"}})
        )
    call = json.dumps({"size": "1024x1024", "prompt": "A calm landscape for each season", "n": 4})
    talk.ask(
        "Four landscapes for a calendar, one a season",
        talk.say(call, recipient="dalle.text2im", seconds=11.0),
        talk.say({"content_type": "multimodal_text", "parts": parts}, role="tool", name="dalle.text2im"),
        talk.say("Here they are: spring, summer, autumn and winter."),
    )


def news(archive: Archive, at: int) -> None:
    talk = Talk(archive, "News from the Northern Lens", at)
    call: Json = {
        "content_type": "code",
        "language": "unknown",
        "text": json.dumps({"search_query": [{"q": "Northern Lens Observatory first light"}]}),
    }
    entries = [
        {"type": "search_result", "url": url, "title": title, "snippet": f"{title}. What was said there, in a sentence or two.", "ref_id": f"turn0search{n}", "attribution": site}
        for n, (url, title, site) in enumerate(SITES)
    ]  # fmt: skip
    marks = [
        "\ue200cite\ue202turn0search0\ue201",
        "\ue200cite\ue202turn0search1\ue202turn0search2\ue201",
        "\ue200cite\ue202turn0search2\ue201",
    ]
    cited = [[0], [1, 2], [2]]
    references = [
        {"type": "grouped_webpages", "matched_text": mark, "items": [entries[n] for n in which]}
        for mark, which in zip(marks, cited, strict=True)
    ]
    talk.ask(
        "What is new from the Northern Lens Observatory? Sources, please.",
        talk.say("I will look for recent reports first.", channel="commentary", seconds=0.4, end_turn=False),
        talk.say(call, recipient="web.run", seconds=2.6, metadata={"search_queries": [{"type": "search", "q": "Northern Lens Observatory"}]}),
        talk.say("", role="tool", name="web.run", metadata={"search_result_groups": [{"entries": entries}], "is_visually_hidden_from_conversation": True}),
        talk.say(NEWS, metadata={"content_references": references, "search_result_groups": [{"entries": entries}]}),
        wait=1.9,
    )  # fmt: skip


def languages(archive: Archive, at: int) -> None:
    chinese = Talk(archive, "量子纠缠是什么？", at)
    chinese.ask("用简单的话解释一下量子纠缠，最好有公式。", chinese.say(CHINESE), pace=40)
    japanese = Talk(archive, "俳句の作り方", at + 600_000_000)
    japanese.ask("俳句のきまりを教えてください。例もひとつ。", japanese.say(JAPANESE), pace=40)
    japanese.ask("「月」で一句お願いします 🌕", japanese.say("月あかり 本閉ぢてなほ 文字の影"), pace=30)
    arabic = Talk(archive, "لماذا يحدث المدّ والجزر؟", at + 1_200_000_000)
    arabic.ask("اشرح لي المدّ والجزر باختصار، مع جدول صغير.", arabic.say(ARABIC), pace=60)


def canvas(archive: Archive, at: int) -> None:
    talk = Talk(archive, "Three days in Lisbon", at)
    page = json.dumps({"name": "Lisbon in three days", "type": "document", "content": LISBON}, ensure_ascii=False)
    talk.ask(
        "Plan three days in Lisbon for us, as a document I can edit.",
        talk.say({"content_type": "code", "language": "json", "text": page}, recipient="canmore.create_textdoc", seconds=9.0),
        talk.say("Successfully created text document.", role="tool", name="canmore.create_textdoc", recipient="assistant"),
        talk.say("I have put the plan into a document: one hill a day, and the river in the middle."),
    )  # fmt: skip
    change = json.dumps(
        {"updates": [{"pattern": "Tram 28 from Martim Moniz", "replacement": "On foot from Rossio", "multiple": False}]}
    )
    talk.ask(
        "We would rather walk than take the tram.",
        talk.say({"content_type": "code", "language": "json", "text": change}, recipient="canmore.update_textdoc"),
        talk.say("Done: Friday begins on foot from Rossio."),
    )


def voice(archive: Archive, at: int) -> None:
    talk = Talk(archive, "What bird is that?", at)
    photo = archive.file("bird photo", landscape(77, "noon", 1200, 800))
    recording = "sediment://file_" + identity("recording").replace("-", "")
    spoken: Json = {
        "content_type": "multimodal_text",
        "parts": [
            {"content_type": "audio_transcription", "text": "I hear a bird with two notes, the second one lower. What is it?", "direction": "in"},
            {"content_type": "audio_asset_pointer", "asset_pointer": recording, "format": "wav", "size_bytes": 183_000},
        ],
    }  # fmt: skip
    said: Json = {
        "content_type": "multimodal_text",
        "parts": [{"content_type": "audio_transcription", "text": "That sounds like a great tit, or a cuckoo if it is May. Is it fast or slow?", "direction": "out"}],
    }  # fmt: skip
    talk.ask(spoken, talk.say(said), voice_mode_message=True)
    pointer: Json = {
        "content_type": "image_asset_pointer",
        "asset_pointer": photo,
        "width": 1200,
        "height": 800,
        "size_bytes": 402_113,
    }
    attachments = [
        {"id": photo.partition("://")[2], "name": "valley.png", "mime_type": "image/png", "width": 1200, "height": 800},
        {"id": "file_" + identity("notes").replace("-", ""), "name": "field notes, May.pdf", "mime_type": "application/pdf", "size": 84_213},
    ]  # fmt: skip
    talk.ask(
        {"content_type": "multimodal_text", "parts": [pointer, "This is where I stood. My notes are attached."]},
        talk.say("Open hills with hedges: a **cuckoo** is quite possible. Your notes say three calls a minute, which fits."),
        attachments=attachments,
    )  # fmt: skip


def interrupted(archive: Archive, at: int) -> None:
    talk = Talk(archive, "Answers that were not finished", at)
    long = "The list of lighthouses begins in the north. " * 30
    talk.ask("List every lighthouse of the coast, with years.", talk.say(long), ended="cut", wait=0.7)
    talk.ask(
        "Shorter, please.",
        talk.say("From north to south: Skerry (1871), Hallow (1902), and then", finish="max_tokens", end_turn=False),
    )
    talk.ask("Go on.", talk.say("Gull Rock (1884)", status="finished_partial_completion", finish="interrupted"))
    failed: Json = {
        "content_type": "system_error",
        "name": "ToolRateLimitException",
        "text": "Too many requests in one hour. Try again later.",
    }
    talk.ask("Now draw them all.", talk.say(failed, role="tool", name=IMAGE_TOOL))


def research(archive: Archive, at: int) -> None:
    talk = Talk(archive, "Which harbour for the ferry?", at, model="gpt-5-5-thinking")
    steps: list[Json] = []
    for n, query in enumerate(
        ("harbour depth chart", "ferry draught 6.2 m", "quay length Skerry", "ice days per winter")
    ):
        thought = {
            "summary": f"Looking at {query}",
            "content": "The chart gives the depth at low water; the draught needs a metre more.",
        }
        steps.append(
            talk.say(
                {"content_type": "thoughts", "thoughts": [thought]},
                seconds=8.0,
                metadata={"finished_duration_sec": 8 + n},
            )
        )
        call: Json = {
            "content_type": "code",
            "language": "unknown",
            "text": json.dumps({"search_query": [{"q": query}]}),
        }
        steps.append(talk.say(call, recipient="web.run", seconds=2.0))
        found = f"{query}: three tables, the newest of last year."
        steps.append(
            talk.say(found, role="tool", name="web.run", metadata={"is_visually_hidden_from_conversation": True})
        )
    steps.append(talk.say({"content_type": "reasoning_recap", "content": "Thought for 52s"}))
    steps.append(
        talk.say(
            "**Skerry.** It is the only one of the three that keeps 7 m at low water and is free of ice in most winters."
        )
    )
    talk.ask("Skerry, Hallow or Gull Rock: which harbour suits a ferry with 6.2 m draught all year?", *steps, wait=2.2)


def long_paste(archive: Archive, at: int) -> None:
    talk = Talk(archive, "A log of 100 kB", at)
    lines = "\n".join(
        f"2026-11-{n % 28 + 1:02d}T{n % 24:02d}:00:00Z buoy-{n % 7} height={n % 311 / 100:.2f}m ok"
        for n in range(2_100)
    )
    talk.ask(
        "What is wrong in this log?\n\n" + lines,
        talk.say("Buoy 3 reports a height of `3.10 m` once, 40 cm above all others: look at its mooring."),
        wait=3.1,
    )


def emoji(archive: Archive, at: int) -> None:
    talk = Talk(archive, "Party planning 🎉", at)
    talk.ask("ideas for a 5 year old's birthday?? 🎂🎈", talk.say("## 🎈 Five ideas\n\n- 🦖 **Dinosaur dig**: eggs of sand and flour\n- 🏴‍☠️ **Treasure hunt** with a map burnt at the edges\n- 👩‍🚀 Rockets of bottles and vinegar\n- 🧁 Everybody decorates a cake\n- 🌙 A tent, torches and one long story\n\nShall I write invitations? ✉️"))  # fmt: skip


def draw(talk: Talk, asked: str, prompt: str, pointer: str, size: tuple[int, int], parent: str | None) -> str:
    width, height = size
    made = identity(pointer)[:16]
    arguments = {"prompt": prompt, "size": f"{width}x{height}", "n": 1, "transparent_background": False}
    call: Json = {"content_type": "code", "language": "json", "text": json.dumps(arguments)}
    generation = {
        "gen_id": made, "gen_size": "image", "seed": 1000 + len(prompt), "parent_gen_id": parent, "height": height,
        "width": width, "transparent_background": False, "orientation": "landscape" if width > height else "square",
        "serialization_title": "Image Generation metadata",
    }  # fmt: skip
    talk.ask(
        asked,
        talk.say(call, recipient=IMAGE_TOOL, seconds=14.0),
        talk.say(
            {"content_type": "multimodal_text", "parts": [_image(pointer, size, {"generation": generation})]},
            role="tool",
            name=IMAGE_TOOL,
            metadata={"image_gen_title": prompt.split(",", maxsplit=1)[0]},
        ),
        talk.say("Here it is."),
    )
    return made


def _image(pointer: str, size: tuple[int, int], metadata: dict[str, Any]) -> Json:
    width, height = size
    return {
        "content_type": "image_asset_pointer", "asset_pointer": pointer, "size_bytes": 0, "width": width,
        "height": height, "fovea": width, "metadata": metadata,
    }  # fmt: skip


TALKS = (long_paste, interrupted, languages, voice, garden, canvas, research, emoji, tides, news, pictures, sky)
