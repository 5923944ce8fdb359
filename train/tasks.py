"""Prompts made by rule: from running text, and from facts written into it.

All tasks can only be answered by finding a block and copying from it, which is what the landmarks are to learn.
Blocks that hold the answer are given as bit masks over the context's blocks.
"""
import numpy as np

from .pack import BLOCK
from .tokenizer import BOS, NEWLINE
from .words import STOP

ROWS = BLOCK + 1
NEAR = 5  # a copy inside a context stands at least this many blocks behind its source: in the far slot


def bits(blocks):
    return sum(1 << int(b) for b in set(blocks))


def unpack(mask, count):
    return np.array([mask >> b & 1 for b in range(count)], bool)


# ---------------------------------------------------------------- from running text


def natural_prompts(maker, rng, tokens):
    """P prompts on different blocks of a natural context."""
    from .data import Prompt
    full = np.flatnonzero((tokens > 5).sum(1) > 40)
    prompts = []
    makers = (quote, asked, span, keywords, cloze, asked, words_question, asked)
    for slot, block in enumerate(rng.permutation(full)[:maker.step.prompts]):
        made = makers[slot % len(makers)](maker, rng, tokens[block])
        if made is not None:
            kind, ids, answer, text, closed = made
            if len(ids) + len(answer) < maker.step.prompt_rows:
                mask = bits([block])
                prompts.append(Prompt(kind, ids, answer, mask if answer else 0, mask, text, closed=closed))
    return prompts


CONTINUE = ("Continue:", "How does it go on:", "What comes next:", "Complete the passage:", "Quote what follows:")


def quote(maker, rng, row):
    """A span of the block, to be continued."""
    starts = np.flatnonzero(maker.starts_word[row[:40]])
    if len(starts) == 0:
        return None
    first = int(rng.choice(starts))
    length = int(rng.integers(7, 15))
    middle = first + length
    ids = [int(i) for i in row[first:middle]]
    answer = [int(i) for i in row[middle:middle + int(rng.integers(6, 11))] if i > 4]
    if not answer or min(ids) <= 4:
        return None
    lead = maker.encode("Question: " + CONTINUE[rng.integers(len(CONTINUE))])
    return "quote", lead + ids + maker.answer, answer, maker.decode(ids), False


def _words(maker, row):
    """Whole words of a block."""
    return maker.decode(row).replace("\n", " ").split(" ")[1:-1]


EDGES = ".,;:!?\"'()[]“”‘’—-_*"


def _bare(word):
    return word.strip(EDGES)


def _telling(word):
    bare = _bare(word)
    return bare if len(bare) > 3 and bare.lower() not in STOP else ""


BLANK = (("Fill in the blank: {} ____ {}", ""), ("{} what {}", "?"), ("Which word is missing: {} ... {}", "?"))


def cloze(maker, rng, row):
    """A stretch of the block with one word left out."""
    words = _words(maker, row)
    choices = [i for i in range(4, len(words) - 3) if _telling(words[i])]
    if not choices:
        return None
    named = [i for i in choices if words[i][0].isupper() or words[i][0].isdigit()]
    at = int(rng.choice(named if named and rng.random() < 0.7 else choices))
    left = " ".join(words[max(0, at - int(rng.integers(4, 10))):at])
    right = " ".join(words[at + 1:at + 1 + int(rng.integers(2, 8))])
    form, end = BLANK[rng.integers(len(BLANK))]
    text = form.format(left, right.strip(".,;:!? ")) + end
    answer = maker.encode(_telling(words[at]))
    return "cloze", maker.prompt_ids(text), answer[:maker.step.answer - 1], f"{left} {right}", True


ENDS = (".", "!", "?", ";", ":")
PLACE = ("in", "at", "from", "to", "near")


def _is_name(word):
    bare = _bare(word)
    return len(bare) > 1 and bare[0].isupper() and bare.lower() not in STOP


def answer_spans(words):
    """(first, behind the last) of what a question could ask for: names of up to four words, and words with digits. Not the
    first word of a sentence, whose capital says nothing."""
    spans, at = [], 1
    while at < len(words) - 1:
        end = at
        while end < len(words) - 1 and end - at < 4 and _is_name(words[end]):
            end += 1
            if not words[end - 1][-1].isalnum():
                break
        if end > at and not words[at - 1].endswith(ENDS):
            spans.append((at, end))
        elif end == at and any(c.isdigit() for c in words[at]) and "_" not in words[at]:
            end = at + 1
            spans.append((at, end))
        at = max(end, at + 1)
    return spans


def question_word(rng, words, first, openings):
    """What asks for the span that begins at `first`: as other questions with this answer begin, where there are such."""
    if openings:
        return str(rng.choice(openings))
    bare = _bare(words[first])
    if bare.isdigit():
        year = len(bare) == 4 and bare[0] in "12"
        return str(rng.choice(("When", "In what year", "In which year") if year else ("How many", "What number", "How much")))
    if not bare[0].isalpha():
        return "What"
    if words[first - 1].lower() in PLACE and rng.random() < 0.7:
        return str(rng.choice(("Where", "In which place", "Where")))
    return str(rng.choice(("Who", "What", "Which", "Who", "What person")))


def noised(rng, words, share):
    """Words of a question as somebody else might put it: some are missing, little ones more often, neighbours swapped."""
    kept = [w for w in words if rng.random() >= (2 * share if w.lower() in STOP else share)]
    for i in range(len(kept) - 1):
        if rng.random() < share:
            kept[i], kept[i + 1] = kept[i + 1], kept[i]
    return kept


def reworded(rng, words, synonyms, share):
    """Words of which some are replaced by others that mean the same."""
    return [str(rng.choice(synonyms[word])) if word in synonyms and rng.random() < share else word for word in words]


def asked(maker, rng, row):
    """A question for a name or a number of the block, made from its sentence: the answer's place is taken by a question
    word, which comes first, with what follows it or what precedes it (as Lewis et al. 2019 make questions from cloze)."""
    words = _words(maker, row)
    spans = answer_spans(words)
    if not spans:
        return None
    first, end = spans[rng.integers(len(spans))]
    left, right = first, end
    while left > 0 and first - left < 12 and not words[left - 1].endswith(ENDS):
        left -= 1
    closed = words[end - 1].endswith(ENDS)
    while right < len(words) and right - end < 10 and not closed:
        closed = words[right].endswith(ENDS)
        right += 1
    before, after = ([_bare(w) for w in part] for part in (words[left:first], words[end:right]))
    if len(before) + len(after) < 4:
        return None
    share = rng.choice((0.0, 0.08, 0.2))
    other = rng.choice((0.0, 0.5))
    before, after = (reworded(rng, noised(rng, part, share), maker.synonyms, other) for part in (before, after))
    rest = after + before if rng.random() < 0.5 else before + after
    answer = " ".join(words[first:end - 1] + [_bare(words[end - 1])]).lstrip(EDGES)
    opening = question_word(rng, words, first, maker.openings.get(answer))
    text = " ".join([opening] + [w for w in rest if w]) + "?"
    text = text.lower() if rng.random() < 0.25 else text
    answer = maker.encode(answer)
    return ("asked", maker.prompt_ids(text), answer, text, True) if len(answer) < maker.step.answer else None


def span(maker, rng, row):
    """A stretch of the block, some of its words dropped or replaced."""
    words = _words(maker, row)
    if len(words) < 10:
        return None
    first = int(rng.integers(len(words) - 8))
    kept = [w for w in words[first:first + int(rng.integers(6, 18))] if rng.random() < 0.75]
    text = " ".join(reworded(rng, kept, maker.synonyms, rng.choice((0.0, 0.5))))
    return "span", maker.prompt_ids(text), [], text, True


def _keys(maker, rng, row, low, high):
    telling = list(dict.fromkeys(w for w in map(_telling, _words(maker, row)) if w))
    if len(telling) < low:
        return None
    names = [w for w in telling if w[0].isupper()]
    chosen = list(rng.permutation(telling)[:int(rng.integers(low, high))])
    if names and not any(w[0].isupper() for w in chosen):
        chosen[0] = str(rng.choice(names))
    return [str(w) for w in chosen]


def keywords(maker, rng, row):
    chosen = _keys(maker, rng, row, 3, 7)
    if chosen is None:
        return None
    text = " ".join(chosen) if rng.random() < 0.5 else " ".join(chosen).lower()
    return "keywords", maker.prompt_ids(text), [], text, True


ABOUT = ("What is said about {}?", "Where are {} mentioned?", "What happened with {}?", "Who has to do with {}?",
         "How are {} connected?", "What does the text say of {}?")


def words_question(maker, rng, row):
    chosen = _keys(maker, rng, row, 2, 5)
    if chosen is None:
        return None
    listed = ", ".join(chosen[:-1]) + " and " + chosen[-1]
    text = ABOUT[rng.integers(len(ABOUT))].format(listed)
    return "keywords", maker.prompt_ids(text), [], text, True


# ---------------------------------------------------------------- facts written into the text

SYLLABLES = "ba be bi bo bu da de di do du ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu ra re ri ro ru " \
            "sa se si so su ta te ti to tu va ve vi vo vu za ze zi zo zu ar el in or us an eth dor mar wen".split()
THINGS = "apple anchor basket bridge candle castle copper cotton dragon engine falcon feather garden hammer harbour honey " \
         "island jacket kettle ladder lantern marble meadow mirror needle orange paper pepper pillow pocket rabbit ribbon " \
         "river saddle shadow silver spider stone sugar temple thunder tiger tower valley velvet violin wagon window " \
         "winter".split()
FACTS = (
    ("The {0} of {1} is {2}.", "What is the {0} of {1}?"),
    ("{1}: {0} {2}.", "Which {0} belongs to {1}?"),
    ("Remember that {1} has the {0} {2}.", "What {0} does {1} have?"),
    ("They gave {1} the {0} {2}.", "Which {0} was given to {1}?"),
    ("For {1} the {0} must be {2}.", "What must the {0} be for {1}?"),
    ("{2} is the {0} of {1}.", "Tell the {0} of {1}."),
)
ATTRIBUTES = "code number key password name sign colour price weight address title token secret symbol mark answer".split()
PASS_KEYS = (
    ("The pass key is {0}. Remember it. {0} is the pass key.", "What is the pass key?"),
    ("Here is the secret number: {0}. Do not forget {0}.", "What is the secret number?"),
    ("The magic word of the day is {0}. Keep it in mind.", "What is the magic word of the day?"),
    ("Note the access code {0}; you will need it later.", "What is the access code?"),
    ("The pass key is {0}. Remember it. {0} is the pass key.", "What is the pass key? The pass key is"),
    ("The pass key is {0}. Remember it. {0} is the pass key.", "The pass key is"),
)
INTRODUCTION = "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz " \
               "you about the important information there."
FILLER = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."


def invented(rng, low=2, high=4):
    return "".join(str(s) for s in rng.choice(SYLLABLES, int(rng.integers(low, high)))).capitalize()


def value(rng):
    kind = rng.random()
    if kind < 0.5:
        return str(rng.integers(10 ** int(rng.integers(1, 5)), 10 ** int(rng.integers(5, 7))))
    return invented(rng) if kind < 0.75 else str(rng.choice(THINGS))


class Page:
    """A context that facts are written into; each block is used once."""

    def __init__(self, rng, tokens):
        self.tokens, self.rng = tokens, rng
        self.free = set(range(len(tokens)))
        self.stream = []

    def take(self, low=0, high=None):
        """A block not used yet, from `low` on and below `high`; None if there is none."""
        choices = [b for b in self.free if low <= b < (len(self.tokens) if high is None else high)]
        if not choices:
            return None
        block = int(self.rng.choice(choices))
        self.free.discard(block)
        return block

    def write(self, block, ids):
        """Overwrites tokens somewhere in a block; -> offset, or None if they do not fit."""
        first = 1 if self.tokens[block, 0] == BOS else 0
        if len(ids) > BLOCK - first:
            return None
        offset = int(self.rng.integers(first, BLOCK - len(ids) + 1))
        self.tokens[block, offset:offset + len(ids)] = ids
        return offset

    def supervise(self, block, first, last, gold):
        """Tokens first .. last - 1 of a block are copies from block `gold`."""
        for offset in range(max(1, first), last):
            self.stream.append((block * ROWS + offset - 1, gold))


def filler_context(maker, shape):
    """The public pass-key test's text."""
    lead, unit = maker.encode(INTRODUCTION), maker.encode(FILLER)
    ids = [BOS] + lead + unit * (shape[0] * shape[1] // len(unit) + 1)
    return np.array(ids[:shape[0] * shape[1]], np.uint16).reshape(shape)


def synthetic(maker, rng, tokens):
    """-> (tokens with tasks written into them, prompts, [(row that predicts, gold block)])"""
    filled = rng.random() < 0.3
    if filled:
        tokens = filler_context(maker, tokens.shape)
    page = Page(rng, np.array(tokens))
    prompts = pass_key(maker, page)
    prompts += [p for i in range(8) for p in [fact(maker, page, asked_inside=i < 3)] if p]
    for _ in range(0 if filled else 4):
        repeat(maker, page)
    if not filled:
        prompts += [p for _ in range(2) for p in [quoted(maker, page)] if p]
    prompts = [p for p in prompts if len(p.ids) + len(p.answer) < maker.step.prompt_rows]
    order = rng.permutation(len(page.stream))
    chosen = [prompts[0]] + [prompts[i] for i in rng.permutation(np.arange(1, len(prompts)))] if prompts else []
    return page.tokens, chosen[:maker.step.prompts], [page.stream[i] for i in order]


def pass_key(maker, page):
    from .data import Prompt
    statement, question = PASS_KEYS[page.rng.integers(len(PASS_KEYS))]
    secret = str(page.rng.integers(10, 10 ** int(page.rng.integers(3, 7)))) if page.rng.random() < 0.8 else value(page.rng)
    block = page.take()
    if page.write(block, maker.encode(statement.format(secret))) is None:
        return []
    mask = bits([block])
    begun = not question.endswith("?")    # a sentence to go on with, as in the public test, and no question to answer
    ids = maker.encode(question) if begun else maker.prompt_ids(question)
    return [Prompt("pass key", ids, maker.encode(secret), mask, mask, near=True, closed=not begun)]


def fact(maker, page, asked_inside):
    """Writes a fact; some are asked for again later in the text. -> Prompt or None"""
    from .data import Prompt
    rng = page.rng
    attribute, name, held = str(rng.choice(ATTRIBUTES)), invented(rng, 2, 4), value(rng)
    if rng.random() < 0.3:
        name = name + " " + invented(rng)
    statement, question = (form.format(attribute, name, held) for form in FACTS[rng.integers(len(FACTS))])
    later = page.take(NEAR) if asked_inside else None
    block = page.take(0, None if later is None else later - NEAR + 1)
    if block is None or page.write(block, maker.encode(statement)) is None:
        return None
    answer = maker.encode(held)
    if later is not None:
        ask = maker.encode(question + " Answer:")
        offset = page.write(later, ask + answer)
        if offset is not None:
            page.supervise(later, offset + len(ask), offset + len(ask) + len(answer), block)
    mask = bits([block])
    return Prompt("fact", maker.prompt_ids(question), answer, mask, mask, question)


def repeat(maker, page):
    """A stretch of running text, or a random string, that comes again later."""
    rng = page.rng
    later = page.take(NEAR)
    if later is None:
        return
    block = page.take(0, later - NEAR + 1)
    if block is None:
        return
    length = int(rng.integers(12, 36))
    if rng.random() < 0.3:
        ids = rng.integers(300, maker.tokenizer.vocab_size(), size=min(length, 20))
        if page.write(block, ids) is None:
            return
    else:
        first = int(rng.integers(0, BLOCK - length + 1))
        ids = page.tokens[block, first:first + length].copy()
        ids[ids == BOS] = NEWLINE
    offset = page.write(later, ids)
    if offset is not None:
        page.supervise(later, offset + 3, offset + len(ids), block)


def quoted(maker, page):
    from .data import Prompt
    block = page.take()
    made = quote(maker, page.rng, page.tokens[block]) if block is not None else None
    if made is None:
        return None
    kind, ids, answer, text, closed = made
    mask = bits([block])
    return Prompt(kind, ids, answer, mask, 0, text, closed=closed) if len(ids) + len(answer) < maker.step.prompt_rows else None
