"""Checks the JSON objects on standard input, one a line, and prints a view of them.

    members              the names and types of all members, of the first object of each shape
    places               for each passage whether its bytes in the source are its text
    ranking              document and byte range of each passage, one a line
    value NAME...        these members of each object
    same FILE FILE       the rankings of two files, scores compared with a tolerance
Every line must be strict JSON in UTF-8 with `schema` 1.
"""
import json
import os
import sys


def refuse(constant):
    raise ValueError(constant + " is no JSON")


def read(stream):
    objects = [json.loads(line.decode("utf-8"), parse_constant=refuse) for line in stream]
    for item in objects:
        assert item["schema"] == 1, item
    return objects


def type_name(value):
    names = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "")


def members(value, path, lines):
    if isinstance(value, dict):
        for name, inner in value.items():
            members(inner, path + "." + name if path else name, lines)
    elif isinstance(value, list):
        for inner in value:
            members(inner, path + "[]", lines)
    elif path + " " + type_name(value) not in lines:
        lines.append(path + " " + type_name(value))


def show_members(objects):
    lines = []
    for item in objects:
        members(item, "", lines)
    print("\n".join(lines))


def words(text):
    return text.split()


def source_text(passage, start, end):
    path = passage["path"]
    while not os.path.exists(path):  # FILE/NAME, in a file that holds several documents
        path = os.path.dirname(path)
    with open(path, "rb") as file:
        found = file.read()[start:end].decode("utf-8", "replace")
    if passage["path"] != path:  # JSON strings
        found = found.replace('", "text": "', "\n").replace('\\"', '"')
    return found


def places(objects):
    for item in objects:
        for passage in item["passages"]:
            found = source_text(passage, passage["source_start"], passage["source_end"])
            verdict = "right" if words(found) == words(passage["text"]) else "WRONG: " + repr(found)
            mark = passage.get("mark")
            if mark:
                text = passage["text"].encode()[mark["start"]:mark["end"]].decode()
                found = source_text(passage, mark["source_start"], mark["source_end"])
                right = text == mark["text"] and words(found) == words(text)
                verdict += ", mark " + ("right" if right else "WRONG: %r %r" % (text, found))
            print("passage", passage["rank"], verdict)


def ranking(objects):
    return [(p["path"].rsplit("/", 1)[-1], p["source_start"], p["source_end"], p["score"])
            for item in objects for p in item["passages"]]


def same(first, second):
    one, other = (ranking(read(open(name, "rb"))) for name in (first, second))
    assert one and len(one) == len(other), (len(one), len(other))
    for a, b in zip(one, other):
        if a[:3] != b[:3] or abs(a[3] - b[3]) > 1e-3 * max(1, abs(a[3])):
            print("different:", a, b)
            return
    print("the same", len(one), "passages")


view, arguments = sys.argv[1], sys.argv[2:]
if view == "same":
    same(*arguments)
else:
    data = read(sys.stdin.buffer)
    if view == "members":
        show_members(data)
    elif view == "places":
        places(data)
    elif view == "ranking":
        for name, start, end, score in ranking(data):
            print(name, start, end)
    elif view == "value":
        for item in data:
            print(*[item[name] for name in arguments])
    else:
        sys.exit("no such view: " + view)
