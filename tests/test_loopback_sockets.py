import asyncio
import json

import pytest

from scripts import scenes
from scripts.loopback import Answer, Peer, Request, Service, Socket, Text, fetch, open_socket

URL = "wss://ws.chatgpt.com/p24/ws/user/u?verify=x"


async def echo(peer: Peer) -> None:
    async for message in peer.messages():
        await peer.send(message, fragments=3)
        if message == "bye":
            return


def service(socket: Socket) -> Service:
    return Service(lambda request: socket if request.header("upgrade") else Answer(404))


@pytest.mark.parametrize("deflate", [True, False])
def test_messages_of_all_kinds_go_both_ways(deflate: bool) -> None:
    said: list[Text] = ["", "é🚀", b"", b"\x00\xff", "x" * 1_000_000, b"y" * 1_000_000, "bye"]

    async def talk(running: Service) -> list[Text | None]:
        heard = []
        async with open_socket(running.port, running.ca_path, URL, deflate=deflate) as socket:
            for message in said:
                await socket.send(message, fragments=5)
                heard.append(await socket.receive())
            return [*heard, await socket.receive()]

    with service(Socket(echo)) as running:
        assert asyncio.run(talk(running)) == [*said, None]
        (request,) = running.requests
    assert (request.host, request.path, request.http_version) == (
        "ws.chatgpt.com",
        "/p24/ws/user/u?verify=x",
        "HTTP/1.1",
    )


def test_a_socket_may_be_cut_by_either_end() -> None:
    left: list[Text | None] = []

    async def play(peer: Peer) -> None:
        await peer.send("before")
        left.append(await peer.receive())

    async def listen(running: Service, *, leave: bool) -> list[Text]:
        async with open_socket(running.port, running.ca_path, URL) as socket:
            if leave:
                assert await socket.receive() == "before"
                socket.cut()
                return []
            await socket.send("go")
            return [message async for message in socket.messages()]

    with service(Socket(play, end="cut")) as running:
        assert asyncio.run(listen(running, leave=False)) == ["before"]
        assert asyncio.run(listen(running, leave=True)) == []
    assert left[0] == "go"


def test_an_upgrade_that_is_refused_says_so() -> None:
    async def ask(running: Service) -> None:
        async with open_socket(running.port, running.ca_path, URL):
            raise AssertionError("it was accepted")

    with (
        Service(lambda _: Answer(403, [("content-length", "0")])) as running,
        pytest.raises(ConnectionError, match="403"),
    ):
        asyncio.run(ask(running))


def test_over_http2_there_is_no_socket() -> None:
    def respond(_: Request) -> Socket:
        return Socket(echo)

    with Service(respond) as running:
        assert fetch(running.port, running.ca_path, "https://ws.chatgpt.com/", http2=True).status == 501


def test_a_scene_on_a_socket_is_the_scene() -> None:
    scene = scenes.plain_answer("Why?", scenes.prose(30), seed="socket")
    texts = scenes.socket_answer(scene, duplicates=0.9)
    assert texts == scenes.socket_answer(scene, duplicates=0.9)
    items: dict[str, str] = {}
    delivered = 0
    for value in map(json.loads, texts):
        for entry in value if isinstance(value, list) else [value]:
            for item in entry.get("reply", {}).get("catchups", [entry]):
                inner = item.get("payload", {}).get("payload", {})
                if inner.get("type") == "stream-item":
                    delivered += 1
                    items.setdefault(inner["stream_item_id"], inner["encoded_item"])
    assert "".join(items.values()).encode() == scene.body
    assert delivered > 5 * len(items)
