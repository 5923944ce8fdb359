"""Other words for common words, from the files of WordNet (Miller 1995).

    python3 -m train.synonyms --wordnet FOLDER --out FILE.json

FOLDER holds index.*, data.*, *.exc and cntlist.rev (Debian's wordnet-base: /usr/share/wordnet). Writes {word: [other words]}:
single words that share a word's most frequent sense, for nouns and verbs also in their regular inflected forms.
"""
import argparse
import collections
import json

PARTS = {"noun": ("", "s"), "verb": ("", "s", "ed", "ing"), "adj": ("",), "adv": ("",)}
TYPES = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}   # of a sense key


def lines(path):
    """Lines of a file as lists of fields, without the licence at its head."""
    with open(path, encoding="latin-1") as file:
        for line in file:
            if not line.startswith(" "):
                yield line.split()


def parts_of_speech(folder):
    """{word: its most frequent part of speech} of words that the tagged texts have"""
    counts = collections.defaultdict(collections.Counter)
    for key, _, count in lines(f"{folder}/cntlist.rev"):
        word, rest = key.split("%")
        counts[word][TYPES[rest[0]]] += int(count)
    return {word: parts.most_common(1)[0][0] for word, parts in counts.items()}


def groups(folder, part, common):
    """Yields the common single words of each most frequent sense of a common word: (word, others)."""
    words = {}
    for fields in lines(f"{folder}/data.{part}"):
        found = fields[4:4 + 2 * int(fields[3], 16):2]
        words[fields[0]] = [word.split("(")[0] for word in found]                        # adjectives: "(p)", "(a)"
    for fields in lines(f"{folder}/index.{part}"):
        word, pointers = fields[0], int(fields[3])
        if common.get(word) == part and word.isalpha():
            first = fields[6 + pointers]                                                 # senses come by frequency
            others = [other for other in words[first] if other in common and other.isalpha() and other != word]
            if others:
                yield word, others


def inflected(word, ending):
    """A regular form: plural or third person, past, present participle."""
    if not ending:
        return word
    after_consonant = word[-1] == "y" and word[-2:-1] not in "aeiou"
    if ending == "s" and word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if ending in ("s", "ed") and after_consonant:
        return word[:-1] + ("ies" if ending == "s" else "ied")
    if word.endswith("e") and ending in ("ed", "ing"):
        return word[:-1] + ending if not word.endswith("ee") or ending == "ed" else word + ending
    return word + ending


def read(folder):
    """-> {word: [other words]}"""
    common, out = parts_of_speech(folder), collections.defaultdict(set)
    for part, endings in PARTS.items():
        irregular = {base for _, *bases in lines(f"{folder}/{part}.exc") for base in bases} if len(endings) > 1 else set()
        for word, others in groups(folder, part, common):
            for ending in endings:
                regular = [other for other in others if not ending or other not in irregular]
                if not ending or word not in irregular:
                    out[inflected(word, ending)].update(inflected(other, ending) for other in regular)
    return {word: sorted(others - {word}) for word, others in sorted(out.items()) if others - {word}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wordnet", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    found = read(options.wordnet)
    with open(options.out, "w", encoding="utf-8") as out:
        json.dump(found, out, ensure_ascii=False, indent=0)
    print(f"{len(found)} words")


if __name__ == "__main__":
    main()
