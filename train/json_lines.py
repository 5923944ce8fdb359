"""Files of JSON lines: a record a line, UTF-8; empty lines are passed over."""
import json


def each_line(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def read_lines(path):
    return list(each_line(path))


def write_lines(path, records):
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
