"""The request-response protocol of the lab, until the telephone service exists.

One ASCII line per message: a UDP payload, or a line of a TCP stream ended by a newline.

    user → terminator → server    KKLAB REQ <user> <seq>
    server → terminator → user    KKLAB ANS <user> <seq> server=<server ip> k=<k> side=<active|spare>
    terminator → server           KKLAB PROBE <number>
    server → terminator           KKLAB ALIVE <number>

<user> is the name of the user terminal's host, <seq> counts its requests from 1. Everything else is not for us and is
answered by nobody.
"""

from __future__ import annotations

from typing import NamedTuple

PORT = 5060
"""Where terminators and servers listen, UDP and TCP."""

_REQUEST = b"KKLAB REQ "
_ANSWER = b"KKLAB ANS "
_PROBE = b"KKLAB PROBE "
_ALIVE = b"KKLAB ALIVE "


class Answer(NamedTuple):
    """What a user terminal learns from an answer."""

    user: str
    seq: int
    server: str
    """Base address of the server that answered."""
    k: int
    """Offset of the terminator that asked it."""
    side: str
    """`active` or `spare`."""


def request(user: str, seq: int) -> bytes:
    return b"%s%s %d" % (_REQUEST, user.encode(), seq)


def request_key(payload: bytes) -> bytes | None:
    """`<user> <seq>` of a request, which its answer repeats; None if the payload is no request."""
    if not payload.startswith(_REQUEST):
        return None
    key = payload[len(_REQUEST) :].strip()
    user, space, seq = key.partition(b" ")
    return key if space and user and seq.isdigit() else None


def answer_suffix(server: str, k: int, side: str) -> bytes:
    """What a server says about itself to the terminator at offset k, the same in every answer."""
    return f" server={server} k={k} side={side}".encode()


def answer(key: bytes, suffix: bytes) -> bytes:
    return _ANSWER + key + suffix


def answer_key(payload: bytes) -> bytes | None:
    """`<user> <seq>` of an answer; None if the payload is no answer."""
    if not payload.startswith(_ANSWER):
        return None
    words = payload.split(b" ", 4)
    return words[2] + b" " + words[3] if len(words) == 5 else None


def parse_answer(payload: bytes) -> Answer | None:
    """Read an answer whole; None if it is not one."""
    words = payload.strip().split(b" ")
    if len(words) != 7 or words[0] != b"KKLAB" or words[1] != b"ANS":
        return None
    fields = dict(word.partition(b"=")[::2] for word in words[4:])
    try:
        return Answer(
            user=words[2].decode(),
            seq=int(words[3]),
            server=fields[b"server"].decode(),
            k=int(fields[b"k"]),
            side=fields[b"side"].decode(),
        )
    except (KeyError, ValueError):
        return None


def probe(number: int) -> bytes:
    return b"%s%d" % (_PROBE, number)


def probe_number(payload: bytes) -> int | None:
    return _number(payload, _PROBE)


def alive(number: int) -> bytes:
    return b"%s%d" % (_ALIVE, number)


def alive_number(payload: bytes) -> int | None:
    return _number(payload, _ALIVE)


def _number(payload: bytes, kind: bytes) -> int | None:
    digits = payload[len(kind) :]
    return int(digits) if payload.startswith(kind) and digits.isdigit() else None
