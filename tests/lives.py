"""Weeks with ChatGPT, made up: what passes a proxy, one exchange after another, each to be played into any archive.

Conversations go on for several turns in each kind of scene: streamed whole, broken off and resumed, handed off to a
WebSocket, asked again, stopped, refused. Between them the page loads documents and lists, which see answers that are
still growing, were edited or emptied; titles change; images are made, listed and loaded; a browser's HAR holds some of it.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from addon.captures import Surroundings, capture_of
from addon.exchange import Closing
from addon.importing import har
from scripts import scenes
from scripts.scenes.documents import conversation_document, conversation_list, turns_document
from scripts.scenes.scene import Json, Scene
from tests.importing import sent
from tests.receiving import ESTUARY, png, surroundings
from tests.recording import ENDED, STARTED, Archive, opening, request
from tests.sockets import Line

MINUTE = 60_000_000
CUT = Closing("cut")
STEP = 1000


@dataclass(frozen=True, slots=True)
class Happening:
    """One exchange: when it began, and how it passes through a capture into an archive."""

    at: int
    name: str
    play_at: Callable[[Archive, int, str], object]

    def play(self, archive: Archive) -> None:
        """Let it pass."""
        self.play_at(archive, self.at, self.name)


@dataclass(slots=True)
class _Talk:
    """A conversation as the service knows it by now; `altered` messages say something else than they streamed."""

    title: str
    turns: list[Scene] = field(default_factory=list)
    altered: dict[str, Json] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    starred: bool = False

    @property
    def id(self) -> str:
        return self.turns[0].conversation_id


class Life:
    """Draws what happens; `happenings` are in the order of their times."""

    def __init__(self, seed: object, length: int = 14) -> None:
        self._chance = random.Random(str(seed))
        self._seed = seed
        self._at = STARTED
        self._count = 0
        self._talks: list[_Talk] = []
        self._now = _Talk("")
        self.happenings: list[Happening] = []
        while len(self.happenings) < length:
            self._step()

    def _step(self) -> None:
        self._count += 1
        self._at += self._chance.choice([MINUTE, 7 * MINUTE, 24 * 60 * MINUTE])
        talk = self._chance.choice(self._talks) if self._talks else None
        if talk is None or self._chance.random() < 0.1:
            talk = _Talk(f"Title {self._count}")
            self._talks.append(talk)
        if not talk.turns or self._chance.random() < 0.35:
            self._turn(talk)
        else:
            later = (
                self._document, self._document, self._turns, self._list, self._list, self._retitled, self._changed,
                self._altered, self._listed_images, self._file, self._status, self._canvas, self._again, self._updates,
            )  # fmt: skip
            self._chance.choice(later)(talk)

    # -- turns -----------------------------------------------------------------------------------------------------

    def _turn(self, talk: _Talk) -> None:
        known: Any = {"seed": f"{self._seed} {self._count}", "title": talk.title}
        if talk.turns:
            last = talk.turns[-1]
            known |= {"conversation_id": talk.id, "parent_id": last.answer_id}
            if self._chance.random() < 0.25:
                # Asked again: another answer to the same prompt.
                parent = last.messages[last.user_message_id]["metadata"].get("parent_id")
                known |= {"user_message_id": last.user_message_id, "parent_id": parent}
        kind = self._chance.choice(list(scenes.SCENES))
        if kind != "dalle":
            known["encoding"] = self._chance.choice(["v1", "v1", "v0"])
        scene = scenes.SCENES[kind](self._chance.randint(3, 8), **known)
        prompt = request(scene.user_message_id, scene.texts[scene.user_message_id], **self._where(talk))
        ways = (
            self._whole, self._whole, self._in_legs, self._over_socket, self._stopped, self._recorded, self._refused,
        )  # fmt: skip
        self._now = replace(talk, turns=[*talk.turns, scene])
        self._chance.choice(ways)(scene, prompt)
        talk.turns.append(scene)
        talk.pictures += [image.pointer for image in scene.images]

    def _where(self, talk: _Talk) -> Json:
        if not talk.turns:
            return {}
        return {"conversation_id": talk.id, "parent_message_id": talk.turns[-1].answer_id}

    def _add(self, name: str, play: Callable[[Archive, int, str], object], after: int = 0) -> None:
        identity = f"{name} {self._count} {len(self.happenings)}"
        self.happenings.append(Happening(self._at + after, identity, play))

    def _stream(
        self, name: str, events: list[bytes], asked: bytes, closing: Closing = ENDED, *, after: int = 0, **known: Any
    ) -> None:
        def play(archive: Archive, at: int, identity: str) -> None:
            archive.record(
                b"", asked, chunks=events, stream_id=identity, started_at=at, closing=closing,
                clock=lambda place: at + STEP * place, **known,
            )  # fmt: skip

        self._add(name, play, after)

    def _whole(self, scene: Scene, prompt: bytes) -> None:
        events = list(scene.events)
        if self._chance.random() < 0.2:
            # The service takes back what it said, perhaps in favour of something else.
            about = {"type": "moderation", "moderation_response": {"blocked": True}, "message_id": scene.answer_id}
            blocked = b"data: " + json.dumps(about | {"conversation_id": scene.conversation_id}).encode() + b"\n\n"
            events.insert(self._chance.randint(len(events) // 2, len(events) - 1), blocked)
        self._stream("turn", events, prompt)
        if self._chance.random() < 0.3:
            self._look(self._now, after=STEP * len(scene.body) // 2, growing=True)

    def _in_legs(self, scene: Scene, prompt: bytes) -> None:
        """Broken off, then gone on with from an event before."""
        cut = self._chance.randint(3, len(scene.events) - 2)
        self._stream("broken", scene.events[:cut], prompt, CUT)
        offset = self._chance.randint(2, cut)
        asked = json.dumps({"conversation_id": scene.conversation_id, "offset": offset}).encode()
        path = "/backend-api/f/conversation/resume"
        self._stream("resume", scene.events[offset:], asked, after=MINUTE // 2, kind="resume", path=path)
        self._at += MINUTE // 2

    def _stopped(self, scene: Scene, prompt: bytes) -> None:
        """By the person, or by the network; what was answered until then is all that there is, or the page asks anew."""
        cut = self._chance.randint(3, len(scene.events) - 1)
        self._stream("stopped", scene.events[:cut], prompt, CUT)
        if self._chance.random() < 0.5:
            sent_too = {"conversation_id": scene.conversation_id}
            self._load("stop", {"success": True}, sent=sent_too, method="POST", after=MINUTE // 3)
        else:
            self._stream("retry", scene.events, prompt, after=MINUTE // 3)
        self._at += MINUTE // 3

    def _refused(self, scene: Scene, prompt: bytes) -> None:
        """Too many requests; sent again, it is answered."""
        told = [json.dumps({"detail": "Too many requests"}).encode()]
        self._stream("refused", told, prompt, streamed=False, content_type="application/json", status_code=429)
        self._stream("turn", scene.events, prompt, after=MINUTE // 3)
        self._at += MINUTE // 3

    def _over_socket(self, scene: Scene, prompt: bytes) -> None:
        """Handed off; the answer comes on a topic."""
        turn = scenes.topic_of(scene).removeprefix("conversation-turn-")
        about = {"type": "stream_handoff", "turn_exchange_id": turn, "conversation_id": scene.conversation_id}
        handed = [b"data: " + json.dumps(about).encode() + b"\n\n", b"data: [DONE]\n\n"]
        self._stream("handoff", handed, prompt)
        texts = scenes.socket_answer(scene, seed=f"{self._seed} {self._count}")

        def play(archive: Archive, at: int, identity: str) -> None:
            line = Line(archive)
            line.at = at
            page = line.page(identity)
            page.says(scenes.subscribe(scenes.topic_of(scene)))
            page.hears(*texts)
            page.end()

        self._add("socket", play, STEP)

    def _recorded(self, scene: Scene, prompt: bytes) -> None:
        """A browser's recording of an answer, that was captured live as well or not."""
        if self._chance.random() < 0.5:
            self._stream("turn", scene.events, prompt)
        entry = sent("", scene.body)
        entry["request"]["postData"]["text"] = prompt.decode()

        def play(archive: Archive, at: int, identity: str) -> None:
            exchange = har.exchange_of(entry, f"har:{identity}:0", at)
            assert exchange is not None
            known = {name: getattr(exchange.opening, name) for name in ("stream_id", "source", "timed", "content_type")}
            capture = capture_of(opening(started_at=at, **known), exchange.request, Surroundings(legs=archive.legs))
            records = capture.begin()
            for _, chunk in exchange.body.chunks:
                records += capture.feed(chunk, at + STEP)
            archive.store.write([*records, *capture.close(ENDED, at + 2 * STEP)])

        self._add("recorded", play, STEP)

    def _again(self, talk: _Talk) -> None:
        """The page asks for an answer that it has already."""
        scene = talk.turns[-1]
        asked = json.dumps({"conversation_id": talk.id, "offset": 0}).encode()
        self._stream("again", scene.events, asked, kind="resume", path="/backend-api/f/conversation/resume")

    def _updates(self, talk: _Talk) -> None:
        """An image that comes when nobody waits for it, or another title."""
        name = f"{self._seed} {self._count}"
        texts = scenes.image_updates(talk.turns[-1], name)
        if self._chance.random() < 0.5:
            talk.title = f"Updated {self._count}"
            texts = [scenes.title_update(talk.id, talk.title)]

        def play(archive: Archive, at: int, identity: str) -> None:
            line = Line(archive)
            line.at = at
            page = line.page(identity)
            page.hears(*texts)
            page.end()

        self._add("updates", play)

    # -- what the page loads -----------------------------------------------------------------------------------------

    def _load(self, name: str, answer: Any, *, after: int = 0, **known: Any) -> None:
        answer = copy.deepcopy(answer)

        def play(archive: Archive, at: int, identity: str) -> None:
            archive.load(name, answer, at=at, stream_id=identity, **known)

        self._add(name, play, after)

    def _document(self, talk: _Talk) -> None:
        self._look(talk, growing=self._chance.random() < 0.3)
        if self._chance.random() < 0.3:
            self._at += MINUTE // 2
            self.happenings.append(self._repeated(self.happenings[-1]))

    def _repeated(self, before: Happening) -> Happening:
        """Loaded again: nothing is new."""
        return Happening(self._at, f"{before.name} again", before.play_at)

    def _look(self, talk: _Talk, *, after: int = 0, growing: bool) -> None:
        document = conversation_document(talk.turns)
        document |= {"title": talk.title, "is_starred": talk.starred}
        for identity, content in talk.altered.items():
            if identity in document["mapping"]:
                document["mapping"][identity]["message"] = {**document["mapping"][identity]["message"], **content}
        if growing:
            self._growing(document, talk.turns[-1].answer_id)
        path = f"/backend-api/conversation/{talk.id}"
        self._load("conversation", document, after=after, parameters={"conversation_id": talk.id}, path=path)

    def _growing(self, document: Json, answer_id: str) -> None:
        """The answer as it stood while it grew."""
        node = document["mapping"][answer_id]
        content = copy.deepcopy(node["message"]["content"])
        if content.get("parts") and isinstance(content["parts"][0], str):
            content["parts"][0] = content["parts"][0][: self._chance.randint(0, 30)]
            node["message"] = {**node["message"], "content": content, "status": "in_progress", "end_turn": None}

    def _turns(self, talk: _Talk) -> None:
        path = f"/backend-api/conversations/{talk.id}"
        parameters = {"conversation_id": talk.id, "num_turns": "10"}
        self._load("turns", turns_document(talk.turns), parameters=parameters, path=path)

    def _list(self, talk: _Talk) -> None:
        known = [each.turns for each in self._talks if each.turns]
        listed = conversation_list(known)
        for item, each in zip(listed["items"], (each for each in self._talks if each.turns), strict=True):
            item |= {"title": each.title, "is_starred": each.starred}
        path = "/backend-api/conversations"
        self._load("conversations", listed, kind="list", path=path)

    def _retitled(self, talk: _Talk) -> None:
        talk.title = f"Renamed {self._count}"
        asked = {"title": talk.title}
        self._load("change", {"success": True}, sent=asked, method="PATCH", parameters={"conversation_id": talk.id})

    def _changed(self, talk: _Talk) -> None:
        talk.starred = not talk.starred
        asked = {"is_starred": talk.starred}
        self._load("change", {"success": True}, sent=asked, method="PATCH", parameters={"conversation_id": talk.id})

    def _altered(self, talk: _Talk) -> None:
        """A document that says something else of an answer: it was edited, replaced or emptied."""
        scene = self._chance.choice(talk.turns)
        text = self._chance.choice(["", f"Edited {self._count}.", scene.text + " And more.", scene.text])
        talk.altered[scene.answer_id] = {"content": {"content_type": "text", "parts": [text]}}
        self._document(talk)

    def _status(self, talk: _Talk) -> None:
        path = f"/backend-api/conversation/{talk.id}/stream_status"
        self._load("stream_status", {"status": "IS_STREAMING"}, parameters={"conversation_id": talk.id}, path=path)

    def _canvas(self, talk: _Talk) -> None:
        version = self._chance.randint(1, 3)
        document = {"id": f"doc {talk.id}", "version": version, "title": talk.title, "textdoc_type": "document"}
        document["content"] = f"Text {self._chance.randint(1, 2)}"
        path = f"/backend-api/conversation/{talk.id}/textdocs"
        self._load("textdocs", [document], parameters={"conversation_id": talk.id}, path=path)

    # -- images and files --------------------------------------------------------------------------------------------

    def _listed_images(self, talk: _Talk) -> None:
        items = [
            {
                "id": f"s {image.gen_id}", "kind": "image", "asset_pointer": image.pointer, "generation_id": image.gen_id,
                "conversation_id": each.id, "message_id": image.message_id, "width": image.width, "height": image.height,
                "title": each.title, "created_at": 1_790_000_000.5,
            }
            for each in self._talks for scene in each.turns for image in scene.images
        ]  # fmt: skip
        self._load("images", {"items": items, "cursor": None}, kind="list", path="/backend-api/my/recent/image_gen")

    def _file(self, talk: _Talk) -> None:
        """The page asks where a file is, and loads it."""
        pointers = [pointer for each in self._talks for pointer in each.pictures]
        if not pointers:
            return
        identity = self._chance.choice(pointers).partition("://")[2]
        picture = png(self._chance.choice([30, 1024]), 20, identity[:8].encode())
        url = f"https://chatgpt.com{ESTUARY}?id={identity}&sig=canary"
        where = json.dumps({"status": "success", "download_url": url, "file_name": "tide.png"}).encode()
        asked: Json = {"kind": "download", "name": "file", "path": f"/backend-api/files/download/{identity}"}
        asked |= {"parameters": {"file_id": identity}, "content_type": "application/json"}
        loaded: Json = {"kind": "asset", "name": "estuary", "path": ESTUARY, "parameters": {"id": identity}}
        loaded |= {"content_type": "image/png", "content_length": len(picture)}
        for name, body, about in (("where", where, asked), ("file", picture, loaded)):

            def play(archive: Archive, at: int, identity: str, body: bytes = body, about: Json = about) -> None:
                known = opening(streamed=False, method="GET", started_at=at, stream_id=identity, **about)
                capture = capture_of(known, b"", surroundings(archive))
                records = [*capture.begin(), *capture.feed(body, at + 1)]
                archive.store.write([*records, *capture.close(ENDED, at + 2)])

            self._add(name, play, STEP * (name == "file"))


def split(happenings: list[Happening], chance: random.Random) -> Iterator[list[Happening]]:
    """Two halves of what happened; some of it is in both, each in the order of time."""
    sides: tuple[list[Happening], list[Happening]] = ([], [])
    odds = chance.choice([0.0, 0.2, 0.5])
    for happening in happenings:
        both = chance.random() < odds
        side = chance.randrange(2)
        for number in range(2):
            if both or number == side:
                sides[number].append(happening)
    yield from sides
