"""Scenes: whole answers as chatgpt.com streams them, made up, with the facts a reader of the stream must find.

A scene is written once as a series of messages and changes and comes out as either wire format: "v1" (delta
events, with what repeats left out) or "v0" (the whole message again after each change). A word is an append,
so streams have many events. Everything, ids too, follows from the arguments: the same call gives the same
bytes. Shapes are those of recorded traffic of 2024 to 2026; nothing in them belongs to anyone. What is where:

    scene       Scene and Image, what a scene tells; Exchange, what it is asked for; asked(), the same from a request
    answers     answers in words: plain_answer(), reasoning_answer(), search_answer()
    images      answers that are images: image_answer(), dalle_answer()
    sockets     answers and updates over a WebSocket: socket_answer(), handoff(), image_updates(), and those of 2024
    examples    SCENES: each of them by name, in any length; prose()
    script      the writer with which they are written: Script
    wire        what becomes of a message and its changes in v1 and v0
    documents   what the page loads when a conversation is over: conversation_document(), ..., a Library of them
    pictures    the bytes of the images: picture(), preview()
    pages       what comes instead of a stream: error_403(), challenge_page()

All that is public is imported from here: `from scripts import scenes`.
"""

from scripts.scenes.answers import SOURCES, THOUGHTS, plain_answer, reasoning_answer, search_answer
from scripts.scenes.documents import Library, conversation_document, conversation_list, turns_document
from scripts.scenes.examples import SCENES, prose
from scripts.scenes.images import IMAGE_BYTES, IMAGE_TOOL, dalle_answer, image_answer
from scripts.scenes.pages import Page, challenge_page, error_403
from scripts.scenes.pictures import picture, preview
from scripts.scenes.scene import Encoding, Exchange, Image, Json, Scene, asked
from scripts.scenes.script import EPOCH, words_of
from scripts.scenes.sockets import (
    SOCKET_2024_SECRET,
    SOCKET_2024_URL,
    SOCKET_SECRET,
    SOCKET_URL,
    handoff,
    handoff_2024,
    heartbeat,
    image_updates,
    socket_answer,
    socket_answer_2024,
    subscribe,
    subscribed,
    title_update,
    topic_items,
    topic_of,
    turn_complete,
)

__all__ = [
    "EPOCH",
    "IMAGE_BYTES",
    "IMAGE_TOOL",
    "SCENES",
    "SOCKET_2024_SECRET",
    "SOCKET_2024_URL",
    "SOCKET_SECRET",
    "SOCKET_URL",
    "SOURCES",
    "THOUGHTS",
    "Encoding",
    "Exchange",
    "Image",
    "Json",
    "Library",
    "Page",
    "Scene",
    "asked",
    "challenge_page",
    "conversation_document",
    "conversation_list",
    "dalle_answer",
    "error_403",
    "handoff",
    "handoff_2024",
    "heartbeat",
    "image_answer",
    "image_updates",
    "picture",
    "plain_answer",
    "preview",
    "prose",
    "reasoning_answer",
    "search_answer",
    "socket_answer",
    "socket_answer_2024",
    "subscribe",
    "subscribed",
    "title_update",
    "topic_items",
    "topic_of",
    "turn_complete",
    "turns_document",
    "words_of",
]
