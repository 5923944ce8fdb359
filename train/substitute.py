"""Passages retold with other answers, so that a question's answer can only be read and never be known by heart.

The substitution of answers as Longpre et al. 2021 (Entity-Based Knowledge Conflicts in Question Answering) evaluate with, here
to train: every occurrence of an answer, in passage and questions, becomes another answer of its kind that answers a question
of the same sort. A city stands for a city and a nationality for a nationality: otherwise nothing could be learnt from what a
question asks for.
"""
import collections
import re

from .words import STOP

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WORDS = 6        # of an answer at most
QUESTION_WORDS = {"who": "who", "whom": "who", "whose": "who", "when": "when", "where": "where", "why": "why"}
VERBS = set("is was were are did does do has had have can could would will should might may must am be".split())


def kind(answer):
    """What another answer must have in common with this one: being a number or a name, its length, and the little word that
    it begins with. None for what has no substitute."""
    words = answer.split()
    if not 1 <= len(words) <= WORDS or not answer[0].isalnum() or not answer[-1].isalnum():
        return None
    if NUMBER.fullmatch(answer):
        return "number",
    first = words[0].lower() if words[0].lower() in STOP else ""
    rest = words[1:] if first else words
    named = bool(rest) and all(word[0].isupper() for word in rest if word.lower() not in STOP)
    return "name" if named else "phrase", len(words), first


def asked_for(question):
    """What sort of answer a question wants, by its words: "who", "when", "how many", or the word behind "what" or "which"
    (nationality, city, ...; that behind "what is the" too). "" where nothing tells."""
    words = re.findall(r"[\w'-]+", question.lower())
    at = next((i for i, word in enumerate(words) if word in QUESTION_WORDS or word in ("what", "which", "how")), None)
    if at is None:
        return ""
    word, rest = words[at], words[at + 1:] + [""]
    if word in QUESTION_WORDS:
        return QUESTION_WORDS[word]
    if word == "how":
        return "how" if rest[0] in VERBS else f"how {rest[0]}".strip()
    if rest[0] in VERBS:
        return rest[2] if rest[1] == "the" and len(rest) > 3 else "what"
    return rest[0] or "what"


OPENING = re.compile(r"(?:(?:in|at|on|by|to|from|of|for|with|under|during|after|into) )?"
                     r"(?:whom?|when|where|how (?:many|much|long|old|far|often|high|large|fast)|(?:what|which) (\w+))\b", re.IGNORECASE)
FEWEST = 20      # questions that ask for a sort of thing, for its name to be one


def openings(questions):
    """{answer: [how the questions that it answers begin, as far as that tells what they ask for, such as "In which city"]}"""
    begun, sorts = [], collections.Counter()
    for record in questions:
        for asked in record["qas"]:
            found = OPENING.match(asked["question"])
            if found and (not found[1] or found[1].lower() not in VERBS):
                sorts[(found[1] or "").lower()] += 1
                begun += [(answer, found) for answer in asked["answers"] if kind(answer)]
    out = collections.defaultdict(list)
    for answer, found in begun:
        if sorts[(found[1] or "").lower()] >= FEWEST:
            out[answer].append(found[0])
    return dict(out)


def occurrences(*texts):
    """A pattern for any of the texts as whole words."""
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, texts)) + r")(?!\w)")


class Substitutes:
    def __init__(self, questions):
        """questions: records with `source`, `text` and `qas`, whose answers stand in for each other within a source and a sort
        of question."""
        kinds = collections.defaultdict(set)
        for record in questions:
            for asked in record["qas"]:
                for answer in asked["answers"]:
                    if kind(answer) and answer in record["text"]:
                        kinds[record["source"], asked_for(asked["question"]), kind(answer)].add(answer)
        self.answers = {name: sorted(answers) for name, answers in kinds.items()}

    def another(self, rng, source, question, answer):
        """Another answer of the same kind, of a question of the same sort; None if there is none."""
        like = kind(answer)
        if like == ("number",):
            made = self.number(rng, answer)
            return made if made != answer else None
        others = self.answers.get((source, asked_for(question), like), ())
        if len(others) < 2:
            return None
        at = int(rng.integers(len(others)))
        return others[at] if others[at] != answer else others[at - 1]

    @staticmethod
    def number(rng, answer):
        """Other digits in the same places; a year stays one of the last thousand."""
        if len(answer) == 4 and answer.isdigit() and answer[0] in "12":
            return str(rng.integers(1000, 2030))
        digits = [str(rng.integers(1 if i == 0 else 0, 10)) if c.isdigit() else c for i, c in enumerate(answer)]
        return "".join(digits)

    def retold(self, rng, record, share_of_names):
        """A record like `record` whose questions have other answers, which stand in its text; None if no question's answer can
        be replaced. share_of_names: of the names in questions, how many become others, there and in the text."""
        text, changes, kept = record["text"], [], []
        for index in rng.permutation(len(record["qas"])):
            asked = record["qas"][index]
            answer = next((a for a in asked["answers"] if kind(a) and occurrences(a).search(text)), None)
            new = self.another(rng, record["source"], asked["question"], answer) if answer else None
            taken = [word for pair in changes for word in pair]
            if new is None or occurrences(new).search(text) or any(_overlap(answer, old) or _overlap(new, old) for old in taken):
                continue
            changes.append((answer, new))
            kept.append((asked, answer))
        if not kept:
            return None
        changes += self._other_names(rng, record, kept, changes, share_of_names)
        # One pass, so that nothing new is replaced again.
        new = dict(changes)
        pattern = occurrences(*new)
        replaced = lambda part: pattern.sub(lambda found: new[found.group()], part)
        return {**record, "text": replaced(text), "title": replaced(record["title"]),
                "qas": [{**asked, "question": replaced(asked["question"]), "answers": [new[answer]]} for asked, answer in kept]}

    def _other_names(self, rng, record, kept, changes, share):
        names = {word for asked, _ in kept for word in re.findall(r"\w+", asked["question"])[1:]
                 if len(word) > 2 and word[0].isupper() and word.lower() not in STOP}
        pool, out, text = self.answers.get((record["source"], "who", ("name", 1, "")), ()), [], record["text"]
        for name in sorted(names):
            if rng.random() >= share or not pool or not occurrences(name).search(text):
                continue
            new = pool[rng.integers(len(pool))]
            taken = [word for pair in changes + out for word in pair]
            if not any(_overlap(name, old) or _overlap(new, old) for old in taken) and not occurrences(new).search(text):
                out.append((name, new))
        return out


def _overlap(a, b):
    """Whether two texts share a word."""
    return bool(set(a.lower().split()) & set(b.lower().split()) - STOP)
