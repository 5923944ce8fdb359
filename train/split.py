"""Which material is held out for development: a rule on hashes, so that it needs no lists.

Question passages are held out by title (by text where there is none), so that no article is on both
sides; encyclopedia articles by title; books by the first words of their title, so that two editions of
a book fall on the same side.
"""
import hashlib
import re

QUESTIONS_HELD_OUT = 150  # of 1000 titles
ARTICLES_HELD_OUT = 25
BOOKS_HELD_OUT = 20


def key(text):
    """Words of a title in lower case, joined."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def bucket(text):
    """A number from 0 to 999 that depends on the words of `text` alone."""
    return int.from_bytes(hashlib.blake2b(key(text).encode(), digest_size=8).digest(), "little") % 1000


def passage_is_held_out(record):
    """record: `title` and `passage` of a question passage."""
    return bucket(record["title"] or record["passage"]) < QUESTIONS_HELD_OUT


def article_is_held_out(title):
    return bucket(title) < ARTICLES_HELD_OUT


def book_is_held_out(title):
    words = [word for word in key(title).split() if word not in ("the", "a", "an")]
    return bucket(" ".join(words[:3])) < BOOKS_HELD_OUT
