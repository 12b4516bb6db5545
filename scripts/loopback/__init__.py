"""A loopback internet in which chatgpt.com lives, for the tests, the demo and the bench.

`Service` plays the sites: it takes CONNECT like a forward proxy, then speaks TLS and HTTP/2 or HTTP/1.1 as
the host that was asked for, and answers what a function says, cut, paced, encoded and broken as the function
says. `Proxy` is a real mitmdump whose upstream is a Service, so certificates, SNI and CONNECT hosts are real.
`Client` is a browser that keeps the raw bytes and when each arrived. Nothing here leaves 127.0.0.1, and no part
of the product imports it. What is where:

    exchange    Request and Answer, what the function is given and gives; answer(), a stream in a coding
    codings     cutters (whole, every, ragged, by_event) and encoders (gzip, deflate, br, zstd)
    service     Service: sockets, CONNECT, TLS
    http1       its side of an HTTP/1.1 connection
    http2       its side of an HTTP/2 connection
    authority   the certificates it shows
    sockets     Socket, Peer and open_socket(): WebSockets, both ends
    proxy       Proxy: mitmdump as a process
    files       Files and File, what answers for files; URL_SECRETS, what signs their URLs
    client      Client and Received, fetch(), send_turn(), resume_turn()
    apart       service_apart() and serve(): a Service in a process of its own, both ends
    reader      Reader: a client that does as little as can be, for measurements
    turn        the requests that send a prompt and go on with an answer, and the SECRETS in them
    __main__    a Service as a process of its own: python -m scripts.loopback --scene search

All that is public is imported from here: `from scripts import loopback`.
"""

from scripts.loopback.apart import serve, service_apart
from scripts.loopback.authority import HOSTS, Authority
from scripts.loopback.client import Ask, Client, Received, fetch, resume_turn, send_turn
from scripts.loopback.codings import by_event, encode, encode_chunks, every, ragged, whole
from scripts.loopback.exchange import EVENT_STREAM, Answer, End, Header, Request, Respond, answer
from scripts.loopback.files import STORAGE, URL_SECRETS, File, Files
from scripts.loopback.proxy import Proxy, Upstream
from scripts.loopback.reader import Arrivals, Reader
from scripts.loopback.service import Service
from scripts.loopback.sockets import Peer, Socket, Text, open_socket
from scripts.loopback.turn import (
    BROWSER,
    RESUME_URL,
    SECRETS,
    TURN_URL,
    Turn,
    resume_request,
    turn_headers,
    turn_request,
)

__all__ = [
    "BROWSER",
    "EVENT_STREAM",
    "HOSTS",
    "RESUME_URL",
    "SECRETS",
    "STORAGE",
    "TURN_URL",
    "URL_SECRETS",
    "Answer",
    "Arrivals",
    "Ask",
    "Authority",
    "Client",
    "End",
    "File",
    "Files",
    "Header",
    "Peer",
    "Proxy",
    "Reader",
    "Received",
    "Request",
    "Respond",
    "Service",
    "Socket",
    "Text",
    "Turn",
    "Upstream",
    "answer",
    "by_event",
    "encode",
    "encode_chunks",
    "every",
    "fetch",
    "open_socket",
    "ragged",
    "resume_request",
    "resume_turn",
    "send_turn",
    "serve",
    "service_apart",
    "turn_headers",
    "turn_request",
    "whole",
]
