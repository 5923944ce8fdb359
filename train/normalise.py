"""What the model sees of a text: the rule that trainer and engine share.

White space here is space, tab, CR and LF, nothing else.

1. CRLF and lone CR become LF.
2. A text is *hard-wrapped* if the mean length of its non-empty lines, in code points and without the
   spaces and tabs at both ends, is below 90.
3. Hard-wrapped: a newline between two non-empty lines becomes a space, blank lines become one newline.
   Otherwise any run of newlines becomes one.
4. Runs of spaces and tabs become one space; none is left beside a newline.
5. Both ends are stripped.

tests/golden/normalise.jsonl holds the vectors that both implementations must reproduce.
"""
import re

WRAPPED_BELOW = 90
_SPACES = re.compile(r"[ \t]+")


def normalise(text):
    """Normalised text of one document."""
    lines = [line.strip(" \t") for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    filled = [line for line in lines if line]
    if sum(map(len, filled)) < WRAPPED_BELOW * len(filled):
        filled = _join_paragraphs(lines)
    return _SPACES.sub(" ", "\n".join(filled))


def _join_paragraphs(lines):
    """Paragraphs of a hard-wrapped text: runs of non-empty lines, joined by a space."""
    paragraphs, current = [], []
    for line in lines + [""]:
        if line:
            current.append(line)
        elif current:
            paragraphs.append(" ".join(current))
            current = []
    return paragraphs
