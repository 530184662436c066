"""Reads JSON-RPC messages as Python's json does, strictly and as lax readers would.

A line in: body in hexadecimal, index in a batch or "-", members of params, "ours" or "client"; separated by tabs.
A line out: the canonical readings of every kind of reader, separated by "|"; they must all be the same.
"""

import json
import sys


class Object(list):
    """Members in their order, repeated ones included."""


class Number(str):
    """A number's digits."""


MISSING = object()


def refuse(name):
    raise ValueError(name)


def canonical(value):
    if value is MISSING:
        return "-"
    if value is None:
        return "z"
    if value is True:
        return "t"
    if value is False:
        return "f"
    if isinstance(value, Number):
        return "#" + value
    if isinstance(value, str):
        return '"' + value.encode("utf-8", "surrogatepass").hex()
    if isinstance(value, Object):
        members = {key.encode("utf-8", "surrogatepass").hex(): member for key, member in value}
        return "{" + ",".join(key + ":" + canonical(members[key]) for key in sorted(members)) + "}"
    return "[" + ",".join(canonical(item) for item in value) + "]"


def same(key):
    return key


def fold(key):
    return key.casefold()  # as Go's encoding/json matches struct fields


def until_nul(key):
    return key.partition("\0")[0]  # as C strings end


def member(value, wanted, alike, first):
    found = MISSING
    if isinstance(value, Object):
        for key, inner in value:
            if alike(key) == alike(wanted):
                found = inner
                if first:
                    break
    return found


def reading(message, members, alike, first):
    params = member(message, "params", alike, first)
    parts = [member(message, "id", alike, first), member(message, "method", alike, first)]
    parts += [member(params, name, alike, first) for name in members]
    return ";".join(canonical(part) for part in parts)


STRICT = [(same, False), (same, True)]
LAX = STRICT + [(fold, False), (until_nul, False)]


def answer(line):
    body, index, members, whose = line.rstrip("\n").split("\t")
    try:
        message = json.loads(
            bytes.fromhex(body),
            object_pairs_hook=Object,
            parse_int=Number,
            parse_float=Number,
            parse_constant=refuse,
        )
    except (ValueError, RecursionError) as error:
        return "unreadable: %s" % error
    if index != "-":
        message = message[int(index)]
    names = members.split(",") if members else []
    readers = LAX if whose == "ours" else STRICT
    return "|".join(reading(message, names, alike, first) for alike, first in readers)


for line in sys.stdin:
    print(answer(line), flush=True)
