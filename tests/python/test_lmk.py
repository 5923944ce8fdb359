"""The Python module, against the C header, the program, and its own promises. BUILD: the folder of the library."""
import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(REPO, os.environ.get("BUILD", "build"))
TINY = os.path.join(REPO, "tests", "golden", "tiny-slot.gguf")
sys.path.insert(0, os.path.join(REPO, "python"))
os.environ["LMK_LIBRARY"] = os.path.join(BUILD, "liblmk.so")
os.environ["LMK_MODEL"] = TINY
import lmk


def read(path):
    with open(path) as file:
        return file.read()


HEADER = read(os.path.join(REPO, "include", "lmk.h"))


def compile_and_run(folder, program):
    source, binary = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
    with open(source, "w") as file:
        file.write("#include <lmk.h>\n#include <stdio.h>\nint main(void)\n{\n%s\nreturn 0;\n}\n" % program)
    subprocess.run(["cc", "-I", os.path.join(REPO, "include"), "-o", binary, source], check=True)
    return subprocess.run([binary], check=True, capture_output=True, text=True).stdout.split("\n")


class Header(unittest.TestCase):
    """What the module says of lmk.h, the compiler says too."""

    def test_structures(self):
        lines, program = [], ""
        for name, structure in lmk.STRUCTURES.items():
            lines.append("%s %d" % (name, ctypes.sizeof(structure)))
            program += 'printf("%s %%zu\\n", sizeof(struct %s));\n' % (name, name)
            for field, kind in structure._fields_:
                place = getattr(structure, field)
                lines.append("%s.%s %d %d" % (name, field, place.offset, ctypes.sizeof(kind)))
                program += 'printf("%s.%s %%zu %%zu\\n", offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));\n' % (
                    name, field, name, field, name, field)
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(lines, compile_and_run(folder, program)[:-1])

    def test_enumerations(self):
        names = {"LMK_" + ("TIER_" if kind is lmk.Tier else "") + member.name: int(member)
                 for kind in (lmk.Status, lmk.Mode, lmk.Granularity, lmk.Tier) for member in kind}
        program = "".join('printf("%s %%d\\n", (int)%s);\n' % (name, name) for name in names)
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(["%s %d" % item for item in names.items()], compile_and_run(folder, program)[:-1])
        enumerations = re.findall(r"^enum \w+ \{([^}]*)\}", HEADER, re.M)
        in_header = set(re.findall(r"\bLMK_\w+", re.sub(r"/\*.*?\*/", "", "".join(enumerations), flags=re.S)))
        self.assertEqual(set(names), in_header)

    def test_parts(self):
        parts = lmk.parts()
        self.assertEqual(parts["lmk"], re.search(r'LMK_VERSION "(.*)"', HEADER)[1])
        self.assertRegex(parts["SQLite"], r"^3\.\d+")


class Queries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.books = os.path.join(cls.folder.name, "books")
        cls.path = os.path.join(cls.folder.name, "a.lmk")
        os.mkdir(cls.books)
        for number, animal in enumerate(("zebra", "giraffe", "walrus")):
            with open(os.path.join(cls.books, animal + " tale.txt"), "w") as file:
                file.write("Once upon a time there was a %s. It was caf\u00e9-brown and slept all day.\n\n" % animal +
                           "%d patient foxes watched the old river. " % number * 20)
        lmk.set_threads(1)
        with lmk.Collection(cls.path, write=True, create=True, tier="f16") as collection:
            cls.report = collection.index([cls.books])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def program(self, command, *arguments):
        environment = dict(os.environ, XDG_CONFIG_HOME=self.folder.name)
        run = subprocess.run([os.path.join(BUILD, "lmk"), command, "-q", "--json", "-c", self.path, *arguments],
                             capture_output=True, env=environment)
        result = [json.loads(line) for line in run.stdout.splitlines()]
        found = all(item.get("support", {"found": True})["found"] for item in result)
        self.assertEqual(run.returncode, 0 if found else lmk.Status.NOT_FOUND)
        return result

    def test_index(self):
        self.assertEqual((self.report.files, self.report.documents_added, self.report.files_skipped), (3, 3, 0))
        self.assertGreater(self.report.tokens, 2000)
        with lmk.Collection(self.path, write=True) as collection:
            report = collection.index(self.books, prune=True)
            self.assertEqual((report.documents_unchanged, report.documents_pruned), (3, 0))

    def test_index_callbacks(self):
        stages, left_out = [], []
        path = os.path.join(self.folder.name, "callbacks.lmk")
        broken = os.path.join(self.folder.name, "broken.txt")
        with open(broken, "wb") as file:
            file.write(bytes(range(256)) * 20)
        with lmk.Collection(path, write=True, create=True, tier=lmk.Tier.F16) as collection:
            collection.index([self.books, broken], progress=lambda now: stages.append(now.stage),
                             skipped=lambda file, error: left_out.append((file, error.status)))
            self.assertIn("indexing", stages)
            self.assertEqual(left_out, [(broken, lmk.Status.INPUT)])
        with lmk.Collection(path + "2", write=True, create=True, tier="f16") as collection:
            with self.assertRaises(lmk.Error) as caught:
                collection.index(self.books, progress=lambda now: False)
            self.assertEqual(caught.exception.status, lmk.Status.INTERRUPTED)
            with self.assertRaises(ZeroDivisionError):
                collection.index(self.books, progress=lambda now: 1 / 0)

    def test_search_is_the_program_s(self):
        with lmk.Collection(self.path) as collection:
            for query, options, words in (("zebra", {"mode": "lexical"}, ["--mode", "lexical"]),
                                          ("What slept?", {"top": 2, "per_document": 1, "merge": False},
                                           ["--top", "2", "-p", "1", "--no-merge"])):
                ours, (theirs,) = collection.search(query, **options), self.program("search", *words, query)
                self.assertEqual(len(ours), len(theirs["passages"]))
                for passage, other in zip(ours, theirs["passages"]):
                    self.assertAlmostEqual(passage.score, other["score"], 4)
                    for name in ("document", "block", "path", "title", "text", "source_start", "source_end"):
                        self.assertEqual(getattr(passage, name), other[name], name)
                    self.assertEqual(passage.mark, other.get("mark", {"text": ""})["text"])
            results = collection.results("zebra")
            self.assertEqual((results.documents, results.documents_words), (3, 3))
            self.assertGreater(results.timing.total, 0)

    def test_where(self):
        with lmk.Collection(self.path) as collection:
            for where in ("path~giraffe", ["path~giraffe"], ("path~tale", "path~GIRAFFE")):
                found = collection.search("slept all day", where=where)
                self.assertEqual({os.path.basename(passage.path) for passage in found}, {"giraffe tale.txt"})
            self.assertEqual(collection.search("zebra", where="author=nobody"), [])
            with self.assertRaises(lmk.Error) as caught:
                collection.search("zebra", where="colour=red")
            self.assertEqual(caught.exception.status, lmk.Status.USAGE)

    def test_marks_count_bytes(self):
        with lmk.Collection(self.path) as collection:
            passage = max(collection.search("brown"), key=lambda found: "\u00e9" in found.text)
        with open(passage.path, "rb") as file:
            content = file.read()
        self.assertIn("\u00e9", passage.text)
        self.assertEqual(content[passage.mark_source_start:passage.mark_source_end].decode().split(),
                         passage.mark.split())

    def test_close_waits(self):
        reading, may_go_on = threading.Event(), threading.Event()

        def wait(now):
            reading.set()
            may_go_on.wait(60)

        collection = lmk.Collection(os.path.join(self.folder.name, "closed.lmk"), write=True, create=True, tier="f16")
        indexing = threading.Thread(target=collection.index, args=(self.books, wait))
        closing = threading.Thread(target=collection.close)
        indexing.start()
        self.assertTrue(reading.wait(60))
        closing.start()
        closing.join(0.2)
        self.assertTrue(closing.is_alive())
        may_go_on.set()
        indexing.join()
        closing.join()
        with self.assertRaises(ValueError):
            collection.info()

    def test_nothing_found(self):
        with lmk.Collection(self.path) as collection:
            self.assertEqual(collection.search("xylophone", mode="lexical"), [])
            self.assertEqual(collection.results("xylophone", mode="lexical").passages, [])

    def test_ask(self):
        pieces = []
        with lmk.Collection(self.path) as collection:
            quiet = collection.ask("Who slept?", blocks=3)
            spoken = collection.ask("Who slept?", blocks=3, generate=True, max_tokens=12, stream=pieces.append)
            self.assertIsNone(quiet.text)
            self.assertEqual({p.block for p in quiet.passages}, {p.block for p in spoken.passages})
            self.assertAlmostEqual(sum(p.share for p in quiet.passages), 1, 5)
            self.assertEqual("".join(pieces), spoken.text)
            self.assertLessEqual(spoken.tokens, 12)
            (theirs,) = self.program("ask", "--k", "3", "--generate", "--max-tokens", "12", "Who slept?")
            self.assertEqual(spoken.text, theirs["answer"])
            self.assertTrue(quiet.found)
            self.assertEqual(theirs["support"]["found"], spoken.found)
            self.assertAlmostEqual(theirs["support"]["confidence"], spoken.confidence, 4)
            self.assertEqual({p.title for p in collection.ask("Who slept?", where="path~walrus").passages},
                             {p.title for p in collection.search("walrus", mode="lexical")})
            pieces.clear()
            again = collection.ask("Who slept?", blocks=3, generate=True, max_tokens=12, texts=2, stream=pieces.append)
            (theirs,) = self.program("ask", "--k", "3", "--generate", "--max-tokens", "12", "--texts", "2", "Who slept?")
            self.assertEqual((again.text, again.source + 1), (theirs["answer"], theirs["source"]))
            self.assertEqual(pieces, [again.text])
            self.assertIsNone(spoken.source)
            first = []
            stopped = collection.ask("Who slept?", generate=True, stream=lambda text: first.append(text) or False)
            self.assertEqual("".join(first), stopped.text)
            with self.assertRaises(KeyboardInterrupt):
                collection.ask("Who slept?", generate=True, stream=interrupt)
            self.assertEqual(len(collection.search("zebra", mode="lexical")), 1)

    def test_reader(self):
        port, requests = (os.path.join(self.folder.name, name) for name in ("port", "requests"))
        server = subprocess.Popen([sys.executable, os.path.join(REPO, "tests", "cli", "reader-server.py"), port, requests])
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        for _ in range(500):
            if os.path.exists(port):
                break
            time.sleep(0.02)
        url, pieces = "http://127.0.0.1:" + read(port).strip(), []
        with lmk.Collection(self.path) as collection:
            answer = collection.ask("Who slept?", reader=url, stream=pieces.append, blocks=2)
            self.assertEqual(answer.text, "The caf\u00e9 was closed [2].\nA fox slept [1, 3] [x] [2] there.")
            self.assertEqual("".join(pieces), answer.text)
            self.assertEqual(len(answer.passages), 2)
            collection.ask("Who slept?", reader={"url": url, "model": "m", "key": "k", "max_tokens": 5})
            request = json.loads(read(requests).splitlines()[-1])
            self.assertEqual((request["key"], request["body"]["model"], request["body"]["max_tokens"]), ("Bearer k", "m", 5))
            with self.assertRaises(lmk.Error) as caught:
                collection.ask("Who slept?", reader=url + "/401")
            self.assertIs(caught.exception.status, lmk.Status.READER)
            stopped = collection.ask("Who slept?", reader=url, stream=lambda text: False)
            self.assertEqual(stopped.text, pieces[0])

    def test_documents_and_info(self):
        with lmk.Collection(self.path, model=False) as collection:
            documents, info = collection.documents(), collection.info()
            self.assertEqual(sorted(os.path.basename(d.path) for d in documents),
                             ["giraffe tale.txt", "walrus tale.txt", "zebra tale.txt"])
            self.assertEqual([d.hash for d in documents], [line["hash"] for line in self.program("list")])
            self.assertEqual(info.documents, 3)
            self.assertEqual(info.tokens, sum(d.tokens for d in documents))
            self.assertEqual(info.bytes_file, self.program("info")[0]["bytes"]["file"])
            for query in (collection.search, collection.ask):
                with self.assertRaises(ValueError):
                    query("zebra")

    def test_remove(self):
        path = os.path.join(self.folder.name, "remove.lmk")
        with lmk.Collection(path, write=True, create=True, tier="f16") as collection:
            collection.index(self.books)
            self.assertEqual(collection.remove(collection.documents()[0].id), 1)
            self.assertEqual(len(collection.documents()), 2)
            with self.assertRaises(lmk.Error) as caught:
                collection.remove("no such book")
            self.assertEqual(caught.exception.status, lmk.Status.NOT_FOUND)

    def test_refusals(self):
        for status, call in (
                (lmk.Status.COLLECTION, lambda: lmk.Collection(os.path.join(self.folder.name, "none.lmk"))),
                (lmk.Status.MODEL, lambda: lmk.Collection(self.path, model=__file__)),
                (lmk.Status.USAGE, lambda: lmk.Collection(self.path).search("")),
                (lmk.Status.USAGE, lambda: lmk.Collection(self.path).ask("x", blocks=0))):
            with self.assertRaises(lmk.Error) as caught:
                call()
            self.assertIs(caught.exception.status, status)
            self.assertRegex(str(caught.exception), r"^[A-Z/\"].*[.]$|^/.*")
        with lmk.Collection(self.path) as collection:
            with self.assertRaises(TypeError):
                collection.search("zebra", tops=3)
            with self.assertRaises(ValueError):
                collection.search("zebra", mode="words")
        with self.assertRaises(ValueError):
            collection.search("zebra")

    def test_trec_run(self):
        queries = os.path.join(self.folder.name, "queries.tsv")
        with open(queries, "w") as file:
            file.write("q1\twalrus\nq2\ta zebra tale\n")
        script = [sys.executable, os.path.join(REPO, "python", "trec_run.py"), self.path]
        run = subprocess.run(script + [queries, "--mode", "lexical", "--top", "2", "--tag", "test"], check=True,
                             capture_output=True, text=True).stdout
        rows = [line.split() for line in run.splitlines()]
        self.assertEqual(rows[0][:4] + rows[0][5:], ["q1", "Q0", "walrus_tale.txt", "1", "test"])
        self.assertEqual([row[:4] for row in rows if row[0] == "q2"][0], ["q2", "Q0", "zebra_tale.txt", "1"])
        for query in ("q1", "q2"):
            scores = [float(row[4]) for row in rows if row[0] == query]
            self.assertEqual(scores, sorted(scores, reverse=True))
            self.assertLessEqual(len(scores), 2)
        with open(queries, "w") as file:
            file.write("a line without a tab\n")
        failed = subprocess.run(script + [queries], capture_output=True, text=True)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("line 1", failed.stderr)


def interrupt(text):
    raise KeyboardInterrupt


if __name__ == "__main__":
    unittest.main()
