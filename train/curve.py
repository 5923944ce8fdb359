"""Draws the log of a training run.

    python3 -m train.curve --log RUN/log.jsonl [FURTHER/log.jsonl ...] --out FILE.svg

Four panels over the steps: losses; in-batch accuracy of retrieval; recall at copies (inside contexts, and of answer tokens
by kind of prompt); gate on the gold block by layer and head, as a multiple of uniform. Runs, also those that one log holds
after another, are drawn one behind the other, as each goes on from the last; a vertical line stands where one begins.
"""
import argparse
import json
import math
from xml.sax.saxutils import escape

LOSSES = ("language", "answer", "stream", "contrast", "distillation", "gate", "stream_gate")
WIDTH, HEIGHT, PLOT, LEFT, TOP, GAP = 960, 230, 690, 60, 30, 34   # of a panel; width of its plot; margins
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")


# ---------------------------------------------------------------- what is drawn


def read_logs(paths):
    """-> ([(step counted over all runs, entry)], steps at which a run begins)"""
    entries, begins, last = [], [], 0
    for path in paths:
        offset = last
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                entry = json.loads(line)
                if entry.get("event") == "start":
                    offset = last
                    begins.append(last)
                elif "loss" in entry:
                    last = offset + entry["number"]
                    entries.append((last, entry))
    return entries, begins


def add(lines, name, step, value):
    if value is not None and math.isfinite(value):
        lines.setdefault(name, []).append((step, value))


def add_gates(lines, name, step, by_layer, uniform):
    for layer, by_head in enumerate(by_layer):
        for head, gate in enumerate(by_head):
            if uniform:
                add(lines, (f"{name}, memory layer {layer + 1}", head), step, gate / uniform)


def panels(entries):
    """-> [(title, {name: [(step, value)]})]; lines whose name is a pair (name, member) share a colour"""
    losses, accuracy, recall, gates = {}, {}, {}, {}
    for step, entry in entries:
        for name in LOSSES:
            add(losses, name.replace("_", " "), step, entry.get(name))
        add(accuracy, "accuracy", step, entry.get("accuracy"))
        add(recall, "inside contexts", step, entry.get("stream_recall"))
        for kind, (share, _, _) in entry.get("by_kind", {}).items():
            add(recall, kind, step, share)
        add_gates(gates, "answers", step, entry.get("gate_by_head", []), entry.get("gate_uniform"))
        add_gates(gates, "inside contexts", step, entry.get("stream_gate_by_head", []), entry.get("stream_uniform"))
    return [("losses", losses), ("in-batch accuracy", accuracy), ("recall at copies", recall),
            ("gate on the gold block, times uniform, by head", gates)]


# ---------------------------------------------------------------- how it is drawn


def ticks(low, high, count=5):
    """Round values between low and high."""
    width = (high - low) / count or 1.0
    power = 10 ** math.floor(math.log10(width))
    width = next(m * power for m in (1, 2, 5, 10) if m * power >= width)
    first = math.ceil(low / width)
    return [i * width for i in range(first, math.floor(high / width + 1e-9) + 1)]


def text(x, y, content, anchor="start", colour="#333", size=11):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{escape(content)}</text>'


def stroke(x1, y1, x2, y2, colour):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def panel(title, lines, begins, last, top):
    """SVG elements of one panel whose upper edge is at `top`."""
    values = [value for points in lines.values() for _, value in points]
    high = max(values, default=1) * 1.05 or 1
    low = min(0, min(values, default=0))
    bottom, height = top + HEIGHT - GAP, HEIGHT - GAP - TOP

    def x(step):
        return LEFT + PLOT * step / max(1, last)

    def y(value):
        return bottom - height * (value - low) / (high - low)

    out = [text(LEFT, top + 18, title, size=13)]
    for value in ticks(low, high):
        out += [stroke(LEFT, y(value), LEFT + PLOT, y(value), "#ddd"), text(LEFT - 6, y(value) + 4, f"{value:g}", "end")]
    out += [text(x(step), bottom + 16, f"{step:g}", "middle") for step in ticks(0, last)]
    out += [stroke(x(step), bottom, x(step), top + TOP, "#aaa") for step in begins[1:]]
    groups = []
    for name, points in lines.items():
        group = name[0] if isinstance(name, tuple) else name
        if group not in groups:
            groups.append(group)
            colour = COLOURS[groups.index(group) % len(COLOURS)]
            out.append(text(LEFT + PLOT + 12, top + TOP + 15 * len(groups), group, colour=colour))
        colour = COLOURS[groups.index(group) % len(COLOURS)]
        path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
        out.append(f'<polyline fill="none" stroke="{colour}" points="{path}"/>')
    return out


def picture(entries, begins):
    """-> text of an SVG file"""
    drawn = panels(entries)
    last = max((step for step, _ in entries), default=1)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT * len(drawn) + 10}" '
           'font-family="sans-serif">', '<rect width="100%" height="100%" fill="white"/>']
    for index, (title, lines) in enumerate(drawn):
        out += panel(title, lines, begins, last, HEIGHT * index)
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", nargs="+", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    entries, begins = read_logs(options.log)
    if not entries:
        parser.error(f"no step has been logged in {', '.join(options.log)}")
    with open(options.out, "w", encoding="utf-8") as out:
        out.write(picture(entries, begins))


if __name__ == "__main__":
    main()
