"""Synonyms from a small dictionary in WordNet's form."""
import os
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from train import synonyms, tasks  # noqa: E402

FILES = {
    # big and large share a sense; so do carry and bear (irregular), stop and halt (irregular: stopped), cry and weep (irregular)
    "index.adj": "  1 a licence\nbig a 1 1 & 1 1 00000001\nlarge a 1 1 & 1 1 00000001\nhuge a 1 0 1 0 00000002\n",
    "data.adj": "  1 a licence\n00000001 00 a 03 big 0 large(p) 0 very_big 0 001 & 00000002 a 0000 | above average\n"
                "00000002 00 s 01 huge 0 000 | very big\n",
    "index.verb": "aid v 1 0 1 1 00000020\nhelp v 2 1 @ 2 2 00000020 00000021\nhate v 1 0 1 1 00000022\ndetest v 1 0 1 1 00000022\n"
                  "stop v 1 0 1 1 00000023\nhalt v 1 0 1 1 00000023\n",
    "data.verb": "00000020 41 v 02 help 0 aid 0 000 01 + 08 00 | assist\n00000021 41 v 02 help 0 serve 0 000 01 + 08 00 | wait on\n"
                 "00000022 37 v 02 hate 0 detest 0 000 01 + 08 00 | dislike\n00000023 38 v 02 stop 0 halt 0 000 01 + 08 00 | end\n",
    "index.noun": "help n 1 0 1 1 00000030\naid n 1 0 1 1 00000030\nparty n 1 0 1 1 00000031\nfaction n 1 0 1 1 00000031\n"
                  "basis n 1 0 1 1 00000032\nfooting n 1 0 1 1 00000032\n",
    "data.noun": "00000030 04 n 02 aid 0 help 0 000 | what helps\n00000031 14 n 02 party 0 faction 0 000 | people\n"
                 "00000032 14 n 02 basis 0 footing 0 000 | ground\n",
    "index.adv": "", "data.adv": "", "noun.exc": "bases base basis\n", "verb.exc": "stopped stop\n",
    "cntlist.rev": "big%3:00:00:: 1 9\nlarge%5:00:00:: 1 9\nhelp%2:41:00:: 1 5\nhelp%1:04:00:: 1 2\naid%2:41:00:: 1 5\n"
                   "hate%2:37:00:: 1 1\ndetest%2:37:00:: 1 1\nserve%2:41:00:: 1 1\nstop%2:38:00:: 1 1\nhalt%2:38:00:: 1 1\n"
                   "party%1:14:00:: 1 1\nfaction%1:14:00:: 1 1\nbasis%1:14:00:: 1 1\nfooting%1:14:00:: 1 1\n",
}


class Synonyms(unittest.TestCase):
    def test_read(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in FILES.items():
                with open(f"{folder}/{name}", "w", encoding="latin-1") as out:
                    out.write(content)
            found = synonyms.read(folder)
        self.assertEqual(found, {
            "big": ["large"], "large": ["big"],                                        # huge and very_big are no common words
            "help": ["aid"], "helps": ["aids"], "helped": ["aided"], "helping": ["aiding"],   # its first sense, a verb most often
            "aid": ["help"], "aids": ["helps"], "aided": ["helped"], "aiding": ["helping"],
            "hate": ["detest"], "hates": ["detests"], "hated": ["detested"], "hating": ["detesting"],
            "detest": ["hate"], "detests": ["hates"], "detested": ["hated"], "detesting": ["hating"],
            "stop": ["halt"], "halt": ["stop"],                                        # "stoped" is no word
            "basis": ["footing"], "footing": ["basis"],                                # "basises" is none either
            "party": ["faction"], "parties": ["factions"], "faction": ["party"], "factions": ["parties"]})

    def test_inflected(self):
        for word, ending, form in (("box", "s", "boxes"), ("play", "s", "plays"), ("cry", "ed", "cried"), ("agree", "ing", "agreeing"),
                                   ("agree", "ed", "agreed"), ("see", "", "see")):
            self.assertEqual(synonyms.inflected(word, ending), form)

    def test_reworded(self):
        rng, words = np.random.default_rng(0), "the big ship helped".split()
        others = {"big": ["large"], "helped": ["aided", "assisted"]}
        self.assertEqual(tasks.reworded(rng, words, others, 0.0), words)
        made = {" ".join(tasks.reworded(rng, words, others, 1.0)) for _ in range(30)}
        self.assertEqual(made, {"the large ship aided", "the large ship assisted"})


if __name__ == "__main__":
    unittest.main()
