"""lmk from Python: search and ask whole libraries through the attention of a landmark model.

One file over the C library, through ctypes: nothing is compiled, nothing else is imported.

    import lmk

    with lmk.Collection("library.lmk", write=True, create=True) as books:
        books.index(["novels"])
    with lmk.Collection("library.lmk") as books:
        for passage in books.search("the murder of the old pawnbroker", top=3):
            print(passage.score, passage.title, passage.mark or passage.text)
        answer = books.ask("Who does Elizabeth marry?")
        print(answer.text, answer.passages[0].path)

include/lmk.h describes every field and option; names are the same here. Texts are str, times milliseconds unless
the name says otherwise, and offsets bytes of UTF-8. What fails raises lmk.Error, whose text is a whole sentence and
whose `status` says the kind.

The library is the file named in LMK_LIBRARY, or build/liblmk.so beside this file's folder, or the one installed; the
model is the one of LMK_MODEL, or the one that lies with the library.
"""
import collections
import ctypes
import enum
import json
import os
import threading
from ctypes import (CFUNCTYPE, POINTER, Structure, byref, c_bool, c_char, c_char_p, c_double, c_float, c_int, c_size_t,
                    c_uint, c_uint32, c_uint64, c_void_p)

DEFAULT_MODEL = "landmark-en-42m.gguf"


class Status(enum.IntEnum):
    OK = 0
    NOT_FOUND = 1
    USAGE = 2
    INPUT = 3
    MODEL = 4
    COLLECTION = 5
    CORRUPT = 6
    IO = 7
    BUSY = 8
    MEMORY = 9
    INTERRUPTED = 10
    READER = 11


class Mode(enum.IntEnum):
    HYBRID = 0
    LANDMARK = 1
    LEXICAL = 2


class Granularity(enum.IntEnum):
    QUESTION = 0
    TOKEN = 1
    HEAD = 2
    CHUNK = 3


class Tier(enum.IntEnum):
    NONE = 0
    F16 = 1
    Q4_0 = 2
    Q8_0 = 8


class Error(Exception):
    """What the library refused, in whole sentences; `status` is a Status."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = Status(status)


# ---- The structures of lmk.h. tests/python compares their layout with the compiler's.

class _Error(Structure):
    _fields_ = [("status", c_int), ("message", c_char * 1024)]


class _Part(Structure):
    _fields_ = [("name", c_char_p), ("version", c_char_p)]


class _OpenOptions(Structure):
    _fields_ = [("write", c_bool), ("create", c_bool), ("tier", c_int), ("ann", c_char_p)]


class _Document(Structure):
    _fields_ = [("id", c_uint64), ("path", c_char_p), ("title", c_char_p), ("author", c_char_p),
                ("language", c_char_p), ("kind", c_char_p), ("metadata", c_char_p), ("first_block", c_uint64), ("blocks", c_uint64),
                ("tokens", c_uint64), ("source_bytes", c_uint64), ("text_bytes", c_uint64), ("state", c_char_p), ("tier", c_char_p),
                ("hash", c_char * 33)]


class _Info(Structure):
    _fields_ = ([("format_version", c_uint32), ("model_name", c_char_p), ("fingerprint", c_char_p),
                 ("tier", c_char_p), ("generation", c_char_p)] +
                [(name, c_uint64) for name in (
                    "documents", "documents_ready", "blocks", "blocks_ready", "tokens", "source_bytes", "text_bytes",
                    "segments", "segment_blocks", "documents_words", "bytes_text", "bytes_landmarks",
                    "bytes_keys_values", "bytes_other", "bytes_segments", "bytes_words", "bytes_file")])


class _Progress(Structure):
    _fields_ = [("stage", c_char_p), ("document", c_char_p), ("documents", c_uint64), ("documents_total", c_uint64),
                ("tokens", c_uint64), ("tokens_total", c_uint64), ("seconds", c_double)]


_PROGRESS = CFUNCTYPE(c_bool, c_void_p, POINTER(_Progress))
_SKIPPED = CFUNCTYPE(None, c_void_p, c_char_p, POINTER(_Error))
_VISIT = CFUNCTYPE(c_bool, c_void_p, POINTER(_Document))
_STREAM = CFUNCTYPE(c_bool, c_void_p, POINTER(c_char), c_size_t)


class _IndexOptions(Structure):
    _fields_ = [("progress", _PROGRESS), ("context", c_void_p), ("skipped", _SKIPPED), ("tier", POINTER(c_int)),
                ("first", c_char_p), ("seconds", c_double), ("prune", c_bool)]


class _IndexReport(Structure):
    _fields_ = ([(name, c_uint64) for name in (
                    "files", "documents_added", "documents_unchanged", "documents_replaced", "files_skipped",
                    "invalid_bytes", "documents_invalid", "documents_foreign")] +
                [("languages", c_char * 120), ("out_of_time", c_bool), ("documents_pruned", c_uint64), ("documents", c_uint64), ("tokens", c_uint64)] +
                [(name, c_double) for name in ("seconds", "model_seconds", "tokens_per_second")])


class _Timing(Structure):
    _fields_ = [(name, c_double) for name in (
        "pass1", "candidates", "words", "fetch", "attention", "decode", "total")]


class _Passage(Structure):
    _fields_ = [("document", c_uint64), ("block", c_uint64), ("blocks", c_uint64), ("best_block", c_uint64),
                ("path", c_char_p), ("title", c_char_p), ("author", c_char_p), ("kind", c_char_p), ("metadata", c_char_p),
                ("chapter", c_uint32), ("page", c_uint32), ("heading", c_char_p),
                ("source_start", c_uint64), ("source_end", c_uint64), ("position", c_double), ("text", c_char_p),
                ("mark_start", c_size_t), ("mark_end", c_size_t),
                ("mark_source_start", c_uint64), ("mark_source_end", c_uint64), ("score", c_double),
                ("landmark_part", c_double), ("lexical_part", c_double), ("attention_part", c_double),
                ("landmark_score", c_double), ("lexical_score", c_double), ("attention_score", c_double),
                ("share", c_double), ("mark_share", c_double), ("ranking_score", c_double)]


class _SearchOptions(Structure):
    _fields_ = [("top", c_size_t), ("candidates", c_size_t), ("blocks", c_size_t), ("granularity", c_int),
                ("mode", c_int), ("per_document", c_size_t), ("merge", c_bool), ("most_matches", c_uint64),
                ("where", POINTER(c_char_p)), ("where_count", c_size_t), ("features", c_bool),
                ("mark", c_bool), ("verbatim", c_bool)]


class _Candidate(Structure):
    _fields_ = ([(name, c_uint64) for name in ("document", "block", "source_start", "source_end")] +
                [(name, c_double) for name in (
                    "score", "landmark_score", "lexical_score", "landmark_z", "lexical_z",
                    "neighbourhood")] +
                [("heads", POINTER(c_float))])


class _Results(Structure):
    _fields_ = [("count", c_size_t), ("passages", POINTER(_Passage)), ("timing", _Timing),
                ("documents_ready", c_uint64), ("documents", c_uint64), ("documents_words", c_uint64),
                ("probes", c_uint64), ("candidate_count", c_size_t), ("heads", c_size_t), ("candidates", POINTER(_Candidate)),
                ("candidate_heads", POINTER(c_float))]


class _AskOptions(Structure):
    _fields_ = [("blocks", c_size_t), ("candidates", c_size_t), ("granularity", c_int), ("mode", c_int),
                ("most_matches", c_uint64), ("where", POINTER(c_char_p)), ("where_count", c_size_t),
                ("generate", c_bool), ("max_tokens", c_size_t), ("temperature", c_float),
                ("seed", c_uint64), ("stream", _STREAM), ("context", c_void_p), ("verbatim", c_bool), ("texts", c_size_t)]


class _Answer(Structure):
    _fields_ = [("text", c_char_p), ("count", c_size_t), ("passages", POINTER(_Passage)), ("timing", _Timing),
                ("tokens", c_size_t), ("log_likelihood", c_double), ("confidence", c_double),
                ("words", c_size_t), ("words_read", c_size_t), ("found", c_bool), ("source", c_size_t),
                ("documents_ready", c_uint64), ("documents", c_uint64), ("documents_words", c_uint64),
                ("computed_blocks", c_uint64), ("computed_tokens", c_uint64), ("computed_seconds", c_double)]


class _ReaderOptions(Structure):
    _fields_ = [("url", c_char_p), ("model", c_char_p), ("key", c_char_p), ("max_tokens", c_size_t),
                ("temperature", c_float), ("seed", c_uint64), ("seconds", c_uint), ("stream", _STREAM),
                ("context", c_void_p)]


STRUCTURES = {"lmk_error": _Error, "lmk_part": _Part, "lmk_open_options": _OpenOptions, "lmk_document": _Document,
              "lmk_info": _Info, "lmk_progress": _Progress, "lmk_index_options": _IndexOptions,
              "lmk_index_report": _IndexReport, "lmk_timing": _Timing, "lmk_passage": _Passage,
              "lmk_candidate": _Candidate, "lmk_search_options": _SearchOptions, "lmk_results": _Results, "lmk_ask_options": _AskOptions,
              "lmk_answer": _Answer, "lmk_reader_options": _ReaderOptions}

# ---- What callers get: tuples with the names of the structures' fields


def _named(name, structure, without=(), extra=()):
    fields = [field for field, _ in structure._fields_ if field not in without]
    return collections.namedtuple(name, fields + list(extra))


Document = _named("Document", _Document)
Info = _named("Info", _Info)
Progress = _named("Progress", _Progress)
IndexReport = _named("IndexReport", _IndexReport)
Timing = _named("Timing", _Timing)
# What a model's weights for ranking are fitted on, `lmk search --features` gives.
Results = _named("Results", _Results, without=["count", "candidate_count", "heads", "candidates", "candidate_heads"])
Answer = _named("Answer", _Answer, without=["count"])


class Passage(_named("Passage", _Passage)):
    """A passage; `mark` is the sentence in it that fits the question best, "" where there is none."""
    __slots__ = ()

    @property
    def mark(self):
        return self.text.encode()[self.mark_start:self.mark_end].decode()


_TYPES = {_Document: Document, _Info: Info, _Progress: Progress, _IndexReport: IndexReport, _Timing: Timing,
          _Results: Results, _Answer: Answer, _Passage: Passage}


def _text(value):
    # Names of files need not be UTF-8; os.fsencode gives such a path's bytes again.
    return value.decode("utf-8", "surrogateescape")


def _convert(value):
    """A structure of the library as a tuple that lives on without it."""
    if isinstance(value, bytes):
        return _text(value)
    if not isinstance(value, Structure):
        return value
    fields = {}
    kind = _TYPES[type(value)]
    for name in kind._fields:
        field = getattr(value, name)
        if name == "passages":
            field = [_convert(field[i]) for i in range(value.count)]
        if name == "source":
            field = field if field < value.count else None
        fields[name] = json.loads(field) if name == "metadata" else _convert(field)
    return kind(**fields)


# ---- The library

def _open_library():
    here = os.path.dirname(os.path.abspath(__file__))
    places = [os.environ.get("LMK_LIBRARY"), os.path.join(here, "..", "build", "liblmk.so"),
              os.path.join(here, "..", "..", "..", "lib", "liblmk.so.0")]
    path = next((place for place in places if place and os.path.exists(place)), "liblmk.so.0")
    # Waiting threads must not spin for long: libgomp reads this when it is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        return ctypes.CDLL(path)
    except OSError as problem:
        raise ImportError("The library of lmk was not found (%s). Build it with make, install it, or name the file "
                          "liblmk.so in LMK_LIBRARY." % problem) from None


def _declare(library):
    error, handle = POINTER(_Error), c_void_p
    for name, result, arguments in (
            ("lmk_parts", POINTER(_Part), []),
            ("lmk_set_threads", None, [c_uint]),
            ("lmk_processor_supported", c_bool, [POINTER(c_char_p)]),
            ("lmk_model_open", c_int, [POINTER(handle), c_char_p, error]),
            ("lmk_model_close", None, [handle]),
            ("lmk_model_name", c_char_p, [handle]),
            ("lmk_model_can_answer", c_bool, [handle]),
            ("lmk_open_defaults", _OpenOptions, []),
            ("lmk_collection_open", c_int, [POINTER(handle), c_char_p, handle, POINTER(_OpenOptions), error]),
            ("lmk_collection_close", None, [handle]),
            ("lmk_list", c_int, [handle, _VISIT, c_void_p, error]),
            ("lmk_info", c_int, [handle, POINTER(_Info), error]),
            ("lmk_remove", c_int, [handle, c_char_p, POINTER(c_uint64), error]),
            ("lmk_index", c_int, [handle, POINTER(c_char_p), c_size_t, POINTER(_IndexOptions), POINTER(_IndexReport),
                                  error]),
            ("lmk_search_defaults", _SearchOptions, []),
            ("lmk_search", c_int, [handle, c_char_p, POINTER(_SearchOptions), POINTER(POINTER(_Results)), error]),
            ("lmk_results_free", None, [POINTER(_Results)]),
            ("lmk_ask_defaults", _AskOptions, [handle]),
            ("lmk_ask", c_int, [handle, c_char_p, POINTER(_AskOptions), POINTER(POINTER(_Answer)), error]),
            ("lmk_answer_free", None, [POINTER(_Answer)]),
            ("lmk_reader_defaults", _ReaderOptions, []),
            ("lmk_answer_write", c_int, [POINTER(_Answer), c_char_p, POINTER(_ReaderOptions), error])):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


_library = _open_library()
_declare(_library)
_message = c_char_p()
if not _library.lmk_processor_supported(byref(_message)):
    raise ImportError(_text(_message.value))


def _call(name, *arguments):
    """Calls a function that fills in an error; raises it."""
    error = _Error()
    status = getattr(_library, name)(*arguments, byref(error))
    if status:
        raise Error(status, error.message.decode("utf-8", "replace"))


def _set_options(options, values):
    """Puts keywords into a structure of options; a name of an enumeration's member may be in lower case, `where` is one
    condition or several."""
    enumerations = {"mode": Mode, "granularity": Granularity, "tier": Tier}
    for name, value in values.items():
        if name not in dict(options._fields_) or name in ("stream", "context", "features", "where_count"):
            raise TypeError("there is no option %r" % name)
        if name in enumerations and isinstance(value, str):
            try:
                value = enumerations[name][value.upper()]
            except KeyError:
                raise ValueError("%r is no %s" % (value, name)) from None
        if name == "where":
            conditions = [os.fsencode(text) for text in ([value] if isinstance(value, str) else value)]
            value, options.where_count = (c_char_p * len(conditions))(*conditions), len(conditions)
        if isinstance(value, (str, os.PathLike)):
            value = os.fsencode(value)
        setattr(options, name, value)
    return options


class _Guard:
    """Runs a caller's function from within the library: an exception stops the call and is raised after it."""

    def __init__(self, function):
        self.function, self.exception = function, None

    def __call__(self, *arguments):
        try:
            return self.function(*arguments) is not False
        except BaseException as exception:
            self.exception = exception
            return False

    def check(self):
        if self.exception:
            raise self.exception


def parts():
    """The versions of the library and of what it was built from, by name."""
    found, versions = _library.lmk_parts(), {}
    while found[len(versions)].name:
        part = found[len(versions)]
        versions[_text(part.name)] = _text(part.version)
    return versions


def set_threads(threads):
    """Threads for every later call of this process; 0: one per available core."""
    _library.lmk_set_threads(threads)


def _default_model():
    folder = os.path.dirname(os.path.abspath(_library._name))
    places = [os.path.join(folder, "..", "models", DEFAULT_MODEL)]
    for prefix in (os.path.join(folder, ".."), os.path.join(folder, "..", ".."), "/usr/local", "/usr"):
        places.append(os.path.join(prefix, "share", "lmk", DEFAULT_MODEL))
    for place in places:
        if os.path.exists(place):
            return place
    raise Error(Status.MODEL, "The model %s was not found beside the library. Name one, or set LMK_MODEL."
                % DEFAULT_MODEL)


class Model:
    """A landmark model, which several collections may share. `path`: a GGUF file."""

    def __init__(self, path=None):
        self._handle = c_void_p()
        path = path or os.environ.get("LMK_MODEL") or _default_model()
        _call("lmk_model_open", byref(self._handle), os.fsencode(path))

    @property
    def name(self):
        return _text(_library.lmk_model_name(self._handle))

    @property
    def can_answer(self):
        return _library.lmk_model_can_answer(self._handle)

    def __del__(self):
        # Collections keep their model, so none is open any more.
        if getattr(self, "_handle", None):
            _library.lmk_model_close(self._handle)


class Collection:
    """A collection. `model`: a Model, a path, None for the usual one, or False for none, which is enough for listing
    and removing. `options`: those of lmk_open_options (write, create, tier, ann). Threads may share it; they wait for
    each other, so a function that it calls must not use it."""

    def __init__(self, path, model=None, **options):
        self._handle, self._lock = c_void_p(), threading.Lock()
        if model is None or isinstance(model, (str, os.PathLike)):
            model = Model(model)
        self.model = model or None
        wanted = _set_options(_library.lmk_open_defaults(), options)
        _call("lmk_collection_open", byref(self._handle), os.fsencode(path),
              self.model._handle if self.model else None, byref(wanted))

    def close(self):
        """Waits for what other threads do with it; later calls raise ValueError."""
        with self._lock:
            if self._handle:
                _library.lmk_collection_close(self._handle)
            self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        if hasattr(self, "_lock"):
            self.close()

    def _needs_model(self):
        if not self.model:
            raise ValueError("the collection was opened without a model")

    def _do(self, name, *arguments):
        with self._lock:
            if not self._handle:
                raise ValueError("the collection is closed")
            _call(name, self._handle, *arguments)

    def index(self, paths, progress=None, skipped=None, prune=False):
        """Adds files and folders. `progress` is called with a Progress now and then and stops by returning False;
        `skipped` with the path and an Error for each file left out. `prune` removes the documents whose files have gone from `paths`. Gives an
        IndexReport."""
        self._needs_model()
        if isinstance(paths, (str, os.PathLike)):
            paths = [paths]
        names = [os.fsencode(path) for path in paths]
        report = _IndexReport()
        on_progress = _Guard(lambda _, now: progress(_convert(now[0])) if progress else True)
        on_skipped = _Guard(lambda _, path, error: skipped(_text(path), Error(error[0].status, _text(
            error[0].message))) if skipped else None)
        options = _IndexOptions(_PROGRESS(lambda *now: on_progress(*now) and not on_skipped.exception), None,
                                _SKIPPED(lambda *file: on_skipped(*file) and None), None, None, 0, prune)
        try:
            self._do("lmk_index", (c_char_p * len(names))(*names), len(names), byref(options), byref(report))
        finally:
            on_progress.check()
            on_skipped.check()
        return _convert(report)

    def search(self, query, **options):
        """The passages that fit a query, a list, best first; empty where nothing was found. `options`: those of
        lmk_search_options (top, mode, per_document, ...)."""
        return self.results(query, **options).passages

    def results(self, query, **options):
        """As search, with the timing and how far the collection is: Results."""
        self._needs_model()
        wanted = _set_options(_library.lmk_search_defaults(), options)
        found = POINTER(_Results)()
        try:
            self._do("lmk_search", query.encode(), byref(wanted), byref(found))
        except Error as error:
            if error.status is not Status.NOT_FOUND:
                raise
            return _convert(_Results())
        try:
            return _convert(found[0])
        finally:
            _library.lmk_results_free(found)

    def ask(self, question, stream=None, reader=None, **options):
        """An Answer: the passages read, largest share of attention first, and the text where one was written; `source`
        counts the passage whose text, read again, gave it (None: none did). `stream` is called with each piece of the
        text and stops by returning False. `options`: those of lmk_ask_options (blocks, mode, generate, texts, ...).
        `reader`: the URL of a chat-completions server that writes the text, or a dict of lmk_reader_options (url, model,
        key, ...)."""
        self._needs_model()
        wanted = _set_options(_library.lmk_ask_defaults(self.model._handle), options)
        guard = _Guard(lambda _, text, size: stream(text[:size].decode()))
        called = _STREAM(guard) if stream else _STREAM()
        if reader:
            elsewhere = _set_options(_library.lmk_reader_defaults(), {"url": reader} if isinstance(reader, str) else reader)
            elsewhere.stream, wanted.generate = called, False
        else:
            wanted.stream = called
        answer = POINTER(_Answer)()
        try:
            self._do("lmk_ask", question.encode(), byref(wanted), byref(answer))
            if reader:
                _call("lmk_answer_write", answer, question.encode(), byref(elsewhere))
            result = _convert(answer[0])
        finally:
            _library.lmk_answer_free(answer)
            guard.check()
        return result

    def documents(self):
        """The documents, a list of Document in order of id."""
        found = []
        guard = _Guard(lambda _, document: found.append(_convert(document[0])))
        self._do("lmk_list", _VISIT(guard), None)
        guard.check()
        return found

    def info(self):
        """What the collection holds and how large it is: Info."""
        info = _Info()
        self._do("lmk_info", byref(info))
        return _convert(info)

    def remove(self, what):
        """Removes the documents whose id, path or title this is; gives their number."""
        removed = c_uint64()
        self._do("lmk_remove", os.fsencode(str(what)), byref(removed))
        return removed.value
