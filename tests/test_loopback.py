import asyncio
import contextlib
import json
import random
import re
import signal
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest

from scripts import loopback, paced_benchmark, scenes
from scripts.loopback import Answer, Client, End, Proxy, Received, Request, Service, answer, fetch, send_turn
from tests.reference import decode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CODINGS = ["identity", "gzip", "deflate", "deflate-raw", "br", "zstd", "gzip, br", "zstd, gzip"]
TIDES = scenes.plain_answer("Why are there tides?", scenes.prose(40))
SITE = "https://chatgpt.com"

both_versions = pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])
every_scene = pytest.mark.parametrize("name", scenes.SCENES)
both_encodings = pytest.mark.parametrize("encoding", ["v1", "v0"])


def decoders(coding: str) -> list[Callable[[bytes], bytes]]:
    """Incremental decoders in the order of decoding, made of the libraries' decompressors alone."""
    make: dict[str, Callable[[], Any]] = {
        "gzip": lambda: zlib.decompressobj(31).decompress,
        "deflate": lambda: zlib.decompressobj(15).decompress,
        "deflate-raw": lambda: zlib.decompressobj(-15).decompress,
        "br": lambda: brotli.Decompressor().process,
        "zstd": lambda: zstd.ZstdDecompressor().decompress,
        "identity": lambda: lambda data: data,
    }
    return [make[name.strip()]() for name in reversed(coding.split(","))]


def decoded(chunk: bytes, chain: list[Callable[[bytes], bytes]]) -> bytes:
    for decoder in chain:
        chunk = decoder(chunk)
    return chunk


def play(request: Request) -> Answer:
    """Answers by path: /coding/<coding>, /end/<end>, /slow/<seconds>, /large/<bytes>."""
    kind, _, value = request.path.removeprefix("/").replace("%20", " ").partition("/")
    match kind:
        case "coding":
            return answer(TIDES.events, coding=value)
        case "end":
            ends: dict[str, End] = {"reset": "reset", "cut": "cut", "hang": "hang"}
            return answer(TIDES.events[:5], end=ends[value])
        case "slow":
            return answer(TIDES.events[:10], delay=float(value))
        case "large":
            return answer([random.Random(int(value)).randbytes(int(value))])
        case "sized":
            return Answer(200, [("content-length", "10")], [b"01234", b"56789"])
        case "broken":
            raise ValueError("the test's own mistake")
        case _:
            return answer(TIDES.events)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service(play) as running:
        yield running


@pytest.fixture
def get(service: Service, http2: bool) -> Callable[[str], Received]:
    return lambda path: fetch(service.port, service.ca_path, SITE + path, http2=http2)


@pytest.mark.parametrize("cut", [loopback.whole, lambda body: loopback.every(body, 3), loopback.by_event])
@pytest.mark.parametrize("body", [b"", b"a", b"data: 1\n\ndata: 2\r\n\r\n: c\rdata: 3\r\rdata: 4", TIDES.body])
def test_a_cut_loses_nothing(cut: Callable[[bytes], list[bytes]], body: bytes) -> None:
    assert b"".join(cut(body)) == body


def test_events_are_cut_after_their_blank_line() -> None:
    assert loopback.by_event(b"data: 1\n\ndata: 2\r\n\r\n: c\rdata: 3\r\rdata: 4") == [
        b"data: 1\n\n",
        b"data: 2\r\n\r\n",
        b": c\rdata: 3\r\r",
        b"data: 4",
    ]
    assert loopback.by_event(TIDES.body) == TIDES.events


def test_ragged_chunks_have_1_to_7_bytes_and_follow_from_the_seed() -> None:
    chunks = loopback.ragged(TIDES.body, seed=4)
    assert b"".join(chunks) == TIDES.body
    assert {len(chunk) for chunk in chunks[:-1]} == set(range(1, 8))
    assert chunks == loopback.ragged(TIDES.body, seed=4) != loopback.ragged(TIDES.body, seed=5)


@pytest.mark.parametrize("coding", CODINGS)
def test_each_event_can_be_decoded_as_soon_as_its_bytes_are_there(coding: str) -> None:
    chain = decoders(coding)
    chunks = loopback.encode_chunks(TIDES.events, coding)
    assert [decoded(chunk, chain) for chunk in chunks] == TIDES.events
    assert decoded(loopback.encode(TIDES.body, coding), decoders(coding)) == TIDES.body


def test_a_whole_encoded_body_is_a_finished_stream_of_its_coding() -> None:
    gzip, deflate = zlib.decompressobj(31), zlib.decompressobj(15)
    zstandard = zstd.ZstdDecompressor()
    gzip.decompress(loopback.encode(b"tide", "gzip"))
    deflate.decompress(loopback.encode(b"tide", "deflate"))
    zstandard.decompress(loopback.encode(b"tide", "zstd"))
    assert (gzip.eof, deflate.eof, zstandard.eof) == (True, True, True)
    assert brotli.decompress(loopback.encode(b"tide", "br")) == b"tide"


@both_versions
@pytest.mark.parametrize("coding", CODINGS)
def test_an_answer_arrives_in_its_coding(get: Callable[[str], Received], coding: str) -> None:
    received = get(f"/coding/{coding}")
    label = None if coding == "identity" else coding.replace("-raw", "")
    assert (received.status, received.error) == (200, "")
    assert received.header("content-encoding") == label
    assert received.body == b"".join(loopback.encode_chunks(TIDES.events, coding))
    assert decoded(received.body, decoders(coding)) == TIDES.body


@both_versions
def test_a_request_is_seen_whole(service: Service, http2: bool) -> None:
    url = "https://files.oaiusercontent.com/file-1?sig=x"
    body = b"z" * 200_000  # more than an HTTP/2 stream's first window
    fetch(service.port, service.ca_path, url, http2=http2, method="PUT", headers=[("X-Tide", "low")], body=body)
    request = service.requests[-1]
    assert (request.host, request.method, request.path) == ("files.oaiusercontent.com", "PUT", "/file-1?sig=x")
    assert (request.header("x-tide"), request.body) == ("low", body)
    assert request.http_version == ("HTTP/2" if http2 else "HTTP/1.1")


@pytest.mark.parametrize("host", ["chatgpt.com", "ws.chatgpt.com", "chat.openai.com", "example.org", "a.example.org"])
def test_any_host_asked_for_has_a_certificate(service: Service, host: str) -> None:
    assert fetch(service.port, service.ca_path, f"https://{host}/").status == 200
    assert service.requests[-1].host == host


def test_tls_without_connect_is_served_too(service: Service) -> None:
    context = ssl.create_default_context(cafile=service.ca_path)
    with httpx.Client(verify=context, trust_env=False) as client:
        direct = httpx.Request("GET", f"https://127.0.0.1:{service.tls_port}/", headers={"host": "chatgpt.com:443"})
        direct.extensions = {"sni_hostname": "chatgpt.com"}
        assert client.send(direct).content == TIDES.body
    assert service.requests[-1].host == "chatgpt.com"


def test_private_files_are_private(service: Service) -> None:
    files = list(service.ca_path.parent.iterdir())
    assert len(files) > 1
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert service.ca_path.parent.stat().st_mode & 0o777 == 0o700


@both_versions
def test_chunks_arrive_one_by_one_when_they_are_paced(get: Callable[[str], Received]) -> None:
    received = get("/slow/0.02")
    assert received.chunks == tuple(TIDES.events[:10])
    assert received.times[-1] - received.times[0] >= 0.05
    assert received.times == tuple(sorted(received.times))


@both_versions
def test_bodies_far_beyond_the_flow_control_window_arrive_whole(service: Service, http2: bool) -> None:
    sizes = [1_000_000, 1_000_001, 1_000_002, 65_535, 65_536, 0]

    async def run() -> list[Received]:
        async with Client(service.port, service.ca_path, http2=http2) as client:
            return await asyncio.gather(*(client.fetch(f"{SITE}/large/{size}") for size in sizes))

    assert [one.body for one in asyncio.run(run())] == [random.Random(size).randbytes(size) for size in sizes]


def test_http2_streams_share_one_connection_and_interleave(service: Service) -> None:
    async def run() -> list[Received]:
        async with Client(service.port, service.ca_path, http2=True) as client:
            return await asyncio.gather(*(client.fetch(f"{SITE}/slow/0.03") for _ in range(8)))

    before = service.connections
    received = asyncio.run(run())
    assert service.connections == before + 1
    assert all(one.chunks == tuple(TIDES.events[:10]) for one in received)
    assert max(one.times[0] for one in received) < min(one.times[-1] for one in received)


def test_an_http1_connection_is_used_again(service: Service) -> None:
    async def run() -> list[Received]:
        async with Client(service.port, service.ca_path, http2=False) as client:
            return [await client.fetch(SITE + path) for path in ("/", "/sized", "/coding/br")]

    before = service.connections
    streamed, sized, _ = asyncio.run(run())
    assert service.connections == before + 1
    assert (streamed.header("transfer-encoding"), streamed.body) == ("chunked", TIDES.body)
    assert (sized.header("transfer-encoding"), sized.body) == (None, b"0123456789")


@both_versions
@pytest.mark.parametrize("end", ["reset", "cut"])
def test_a_broken_answer_gives_what_was_sent_and_an_error(get: Callable[[str], Received], end: str) -> None:
    received = get(f"/end/{end}")
    assert received.body == b"".join(TIDES.events[:5])
    assert received.error != ""


@both_versions
def test_an_answer_that_hangs_ends_with_the_service(http2: bool) -> None:
    async def run(stack: contextlib.ExitStack) -> Received:
        service = stack.enter_context(Service(play))
        async with Client(service.port, service.ca_path, http2=http2) as client:
            hanging = asyncio.create_task(client.fetch(f"{SITE}/end/hang"))
            while not service.requests:
                await asyncio.sleep(0.01)
            done, _ = await asyncio.wait({hanging}, timeout=0.2)
            assert not done
            await asyncio.to_thread(stack.close)
            return await hanging

    with contextlib.ExitStack() as stack:
        received = asyncio.run(run(stack))
    assert received.body == b"".join(TIDES.events[:5])
    assert received.error != ""


@both_versions
def test_an_answer_that_hangs_ends_with_the_client(http2: bool) -> None:
    async def run(service: Service) -> Received:
        async with Client(service.port, service.ca_path, http2=http2, timeout=0.2) as client:
            return await client.fetch(f"{SITE}/end/hang")

    with Service(play) as service:
        received = asyncio.run(run(service))
    assert received.error.startswith("ReadTimeout")


@both_versions
def test_a_client_may_leave_in_mid_stream_without_harm(
    service: Service, http2: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> tuple[Received, Received, Received]:
        async with Client(service.port, service.ca_path, http2=http2) as client:
            other = asyncio.create_task(client.fetch(f"{SITE}/slow/0.03"))
            left = await client.fetch(f"{SITE}/slow/0.02", abort_after=1)
            large = await client.fetch(f"{SITE}/large/3000000", abort_after=1_000_000)
            assert large.error == "aborted"
            return left, await other, await client.fetch(f"{SITE}/large/1000000")

    before = service.connections
    left, other, later = asyncio.run(run())
    assert (service.connections == before + 1) == http2
    assert (left.error, left.chunks) == ("aborted", (TIDES.events[0],))
    assert (other.error, other.chunks) == ("", tuple(TIDES.events[:10]))
    assert len(later.body) == 1_000_000
    assert caplog.records == []


@both_versions
def test_a_failing_respond_is_a_500_and_logged(
    get: Callable[[str], Received], caplog: pytest.LogCaptureFixture
) -> None:
    assert get("/broken").status == 500
    assert "the test's own mistake" in caplog.text


def test_a_turn_is_sent_as_the_web_page_sends_it(service: Service) -> None:
    send_turn(service.port, service.ca_path, "Why?", message_id="m-1", conversation_id="c-1", parent_message_id="p-1")
    request = service.requests[-1]
    body = json.loads(request.body)
    assert (request.method, request.host, request.path) == ("POST", "chatgpt.com", "/backend-api/f/conversation")
    assert request.header("accept") == "text/event-stream"
    assert (body["action"], body["conversation_id"], body["parent_message_id"]) == ("next", "c-1", "p-1")
    assert (body["messages"][0]["id"], body["messages"][0]["content"]["parts"]) == ("m-1", ["Why?"])
    assert all(any(secret in value for _, value in request.headers) for secret in loopback.SECRETS)
    assert scenes.asked(request.body) == (
        "Why?",
        {"seed": "m-1", "user_message_id": "m-1", "encoding": "v1", "conversation_id": "c-1", "parent_id": "p-1"},
    )


def test_a_first_turn_names_no_conversation_and_no_encoding_means_v0() -> None:
    _, sent = loopback.turn_request("Why?", encoding="v0")
    body = json.loads(sent)
    assert "conversation_id" not in body
    assert "supported_encodings" not in body
    assert scenes.asked(sent)[1]["encoding"] == "v0"


def test_the_command_says_where_it_listens_and_ends_with_its_input() -> None:
    options = ["--scene", "search", "--words", "30", "--coding", "zstd"]
    command = [sys.executable, "-m", "scripts.loopback", *options]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        place = json.loads(process.stdout.readline())
        received = send_turn(place["port"], Path(place["ca_path"]), "Why?")
        process.stdin.close()
        assert process.wait(10) == 0
    assert len(zstd.decompress(received.body)) == place["bytes"]
    assert not Path(place["ca_path"]).exists()


def test_a_service_apart_plays_what_its_module_serves_and_is_gone_with_its_context() -> None:
    with loopback.service_apart("scripts.benchmark", "--serve") as upstream:
        received = send_turn(upstream.port, upstream.ca_path, "words=30")
    assert received.body.endswith(b"data: [DONE]\n\n")
    assert not upstream.ca_path.exists()


def test_paced_answers_keep_to_their_windows() -> None:
    with loopback.service_apart("scripts.benchmark", "--serve") as upstream:
        starts = time.monotonic() + 0.3
        asked = f"words=4 starts={starts} windows=0,2"
        received = send_turn(upstream.port, upstream.ca_path, asked)
    written = [int(stamp) / 1e9 - starts for stamp in re.findall(rb": t=(\d+)\n", received.body)]
    assert len(written) == 20
    assert all(0 <= at < 1.5 for at in written[:10])
    assert all(2 <= at < 3.5 for at in written[10:])
    arrivals = [(starts + at + 0.007, b": t=%d\n" % round((starts + at) * 1e9)) for at in (0.1, 0.3, 1.2, 2.9)]
    assert paced_benchmark.counted(arrivals, starts) == pytest.approx([0.007, 0.007])


def test_windows_are_shared_out_a_round_at_a_time() -> None:
    owned = paced_benchmark.windows(3, 5)
    for number in range(5):
        assert sorted(own[number] for own in owned) == [3 * number, 3 * number + 1, 3 * number + 2]


def test_a_module_that_serves_nothing_says_so() -> None:
    with pytest.raises(RuntimeError, match="plays no service"), loopback.service_apart("scripts.scenes"):
        pass


@every_scene
@both_encodings
@pytest.mark.parametrize("later", [{}, {"conversation_id": "c-1", "parent_id": "p-1", "user_message_id": "u-1"}])
def test_a_scene_says_what_it_claims(name: str, encoding: str, later: dict[str, str]) -> None:
    scene = scenes.SCENES[name](30, encoding=encoding, **later)
    read = decode(scene.body)
    assert read.messages == scene.messages
    assert read.conversation_id == scene.conversation_id
    assert (read.titles[-1] if read.titles else None) == scene.title
    assert (read.done, read.unterminated, read.unparsable, read.damaged) == (True, False, 0, set())
    assert (scene.body.startswith(b"event: delta_encoding\n")) == (encoding == "v1" and name != "dalle")
    assert all(secret in scene.body.decode() for secret in scene.secrets)
    assert scene.messages[scene.answer_id]["end_turn"] is True


@every_scene
def test_the_same_arguments_make_the_same_bytes(name: str) -> None:
    build = scenes.SCENES[name]
    assert build(30, seed="a").body == build(30, seed="a").body
    assert not set(build(30, seed="a").messages) & set(build(30, seed="b").messages)


def test_a_word_is_an_event() -> None:
    shorter, longer = (scenes.plain_answer("Why?", " ".join(["tide"] * n)) for n in (10, 100))
    assert len(longer.events) - len(shorter.events) == 90
    assert longer.text == " ".join(["tide"] * 100)


def test_an_image_changes_its_pointer_until_it_is_done() -> None:
    scene = scenes.image_answer("Draw", "A tide", "Here it is.", previews=2)
    (image,) = scene.images
    part = scene.messages[image.message_id]["content"]["parts"][0]
    assert part["asset_pointer"] == image.pointer
    assert [scene.body.count(pointer.encode()) for pointer in (*image.previews, image.pointer)] == [1, 1, 1]
    assert any(json.loads(text)["prompt"] == "A tide" for text in scene.texts.values() if text.startswith("{"))


def test_a_citation_is_marked_in_the_text_and_explained_by_a_reference() -> None:
    scene = scenes.search_answer("Why?", "The Moon [2] and the Sun [1].")
    assert scene.text == "The Moon \ue200cite\ue202turn0search1\ue201 and the Sun \ue200cite\ue202turn0search0\ue201."
    second, first, footnote = scene.messages[scene.answer_id]["metadata"]["content_references"]
    assert [scene.text[one["start_idx"] : one["end_idx"]] for one in (second, first)] == [
        second["matched_text"],
        first["matched_text"],
    ]
    assert footnote["type"] == "sources_footnote"


def test_refusals_are_pages() -> None:
    assert json.loads(scenes.error_403().body)["detail"]["code"] == "unusual_activity"
    assert dict(scenes.challenge_page().headers)["cf-mitigated"] == "challenge"


PASS_ON = "def responseheaders(flow):\n    flow.response.stream = True\n"


@pytest.fixture(scope="module")
def proxy(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A mitmdump that streams, and records nothing."""
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "pass_on.py").write_text(PASS_ON, encoding="utf-8")
    with Proxy(service, confdir=folder, scripts=[folder / "pass_on.py"]) as running:
        yield running


@both_versions
@pytest.mark.parametrize("coding", CODINGS)
def test_bytes_through_mitmdump_are_the_bytes_sent(proxy: Proxy, http2: bool, coding: str) -> None:
    received = fetch(proxy.port, proxy.ca_path, f"{SITE}/coding/{coding}", http2=http2)
    assert (received.status, received.error) == (200, "")
    assert received.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    assert received.body == b"".join(loopback.encode_chunks(TIDES.events, coding))


def test_a_bare_mitmdump_passes_the_same_bytes_and_ends_with_0(service: Service, tmp_path: Path) -> None:
    with Proxy(service, confdir=tmp_path) as proxy:
        for http2 in (True, False):
            received = send_turn(proxy.port, proxy.ca_path, "Why?", http2=http2)
            assert received.body == TIDES.body
            assert service.requests[-1].host == "chatgpt.com"
        assert "listening at" in proxy.log[0]
        with pytest.raises(TimeoutError, match="did not print 'flood'"):
            proxy.wait_for_log("flood", timeout=0.01)
        assert proxy.stop(signal.SIGINT) == 0


@both_versions
def test_chunks_through_mitmdump_arrive_one_by_one(proxy: Proxy, http2: bool) -> None:
    received = fetch(proxy.port, proxy.ca_path, f"{SITE}/slow/0.02", http2=http2)
    assert received.chunks == tuple(TIDES.events[:10])


@both_versions
@pytest.mark.parametrize("end", ["reset", "cut"])
def test_faults_reach_the_client_through_mitmdump(proxy: Proxy, http2: bool, end: str) -> None:
    received = fetch(proxy.port, proxy.ca_path, f"{SITE}/end/{end}", http2=http2)
    assert received.body == b"".join(TIDES.events[:5])
    assert received.error != ""


@both_versions
def test_concurrent_and_abandoned_streams_pass_mitmdump(proxy: Proxy, http2: bool) -> None:
    async def run() -> list[Received]:
        async with Client(proxy.port, proxy.ca_path, http2=http2) as client:
            kept = [client.fetch(f"{SITE}/slow/0.01") for _ in range(5)]
            left = [client.fetch(f"{SITE}/slow/0.01", abort_after=1) for _ in range(3)]
            return await asyncio.gather(*kept, *left)

    received = asyncio.run(run())
    assert [one.error for one in received] == [""] * 5 + ["aborted"] * 3
    assert all(one.chunks == tuple(TIDES.events[:10]) for one in received[:5])


def test_a_proxy_that_cannot_start_says_why(service: Service, tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="no_such_mode"),
        Proxy(service, confdir=tmp_path, args=["--mode", "no_such_mode"]),
    ):
        pass
