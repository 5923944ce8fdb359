# lmk: "make help" lists the targets.
#
# Variables that may be set on the command line:
#   BUILD=FOLDER    where everything is built (build)
#   PORTABLE=1      no AVX2 and no wider units, for other processors
#   FAISS_DIR=DIR   a FAISS 1.7.3 with the C API: DIR/lib/libfaiss_c.a, DIR/include/faiss/c_api
#   CC, CFLAGS      compiler and optimisation (-O3 -g)
#   PREFIX, DESTDIR where "make install" puts things (/usr/local)
#   LIBDIR          where it puts the libraries (PREFIX/lib)
#   PYTHON_DIR      where it puts the Python module (PREFIX/share/lmk/python)
#   V=1             show whole commands
# The trainer has variables of its own: see "The trainer" below.

VERSION := $(shell sed -n 's/^.define LMK_VERSION "\(.*\)"/\1/p' include/lmk.h)
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
PYTHON_DIR ?= $(PREFIX)/share/lmk/python

BUILD ?= build$(if $(PORTABLE),/portable)$(if $(SANITIZE),/sanitize)
OBJECT_DIR := $(BUILD)/objects

CC := gcc
CFLAGS ?= $(if $(SANITIZE),-O1,-O3) -g
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla
INCLUDES := -Iinclude -I.
# ISO mode keeps products and sums apart; the kernels want each such pair in one instruction.
STANDARD := -std=c17 -D_GNU_SOURCE -ffp-contract=fast
OPENMP := -fopenmp

ifdef PORTABLE
MACHINE := -DLMK_PORTABLE
else
MACHINE := -mavx2 -mfma -mf16c
endif
ifdef SANITIZE
SANITIZER := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif

ALL_CFLAGS = $(STANDARD) $(WARNINGS) $(INCLUDES) $(OPENMP) -fPIC -fvisibility=hidden \
    $(MACHINE) $(SANITIZER) $(CFLAGS) $(CPPFLAGS) -MMD -MP

# FAISS is built once, into a cache outside the source tree, by index/build-faiss.sh.
FAISS_FLAVOUR := $(if $(PORTABLE),portable,avx2)
FAISS_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lmk/faiss-1.7.3-$(FAISS_FLAVOUR)
FAISS_DIR ?= $(FAISS_CACHE)
FAISS_LIBRARY := $(firstword $(wildcard $(FAISS_DIR)/lib/libfaiss_c.a \
    $(FAISS_DIR)/lib/libfaiss_c.so) $(FAISS_DIR)/lib/libfaiss_c.a)
FAISS_INCLUDES := -isystem $(FAISS_DIR)/include
# A FAISS of the user's own may come in two parts, or shared.
FAISS_LIBRARIES := $(FAISS_LIBRARY) $(firstword $(wildcard $(FAISS_DIR)/lib/libfaiss_avx2.a \
    $(FAISS_DIR)/lib/libfaiss.a))
ifneq ($(filter %.so,$(FAISS_LIBRARY)),)
FAISS_SHARED := -L$(FAISS_DIR)/lib -Wl,-rpath,$(FAISS_DIR)/lib -lfaiss_c
endif

# The pthread build of OpenBLAS fights with OpenMP. Where both are installed, naming the folder of
# the OpenMP one (for linking and for running) takes it without changing the system's alternatives.
OPENBLAS_DIR := $(firstword $(wildcard /usr/lib/*/openblas-openmp))
OPENBLAS := -lopenblas
ifneq ($(OPENBLAS_DIR),)
OPENBLAS := -L$(OPENBLAS_DIR) -Wl,-rpath,$(OPENBLAS_DIR) -lopenblas
endif
LIBXML2_INCLUDES := -isystem /usr/include/libxml2
PRIVATE_LIBS := $(FAISS_SHARED) -llmdb -lsqlite3 -lcjson -larchive -lxml2 $(OPENBLAS) -lstdc++ -lgomp -lpthread -lm

LIBRARY_SOURCES := $(wildcard src/base/*.c src/text/*.c src/model/*.c index/*.c)
ifdef PORTABLE
LIBRARY_SOURCES := $(filter-out src/model/%_avx2.c $(wildcard src/model/*_avx512*.c),$(LIBRARY_SOURCES))
endif
CLI_SOURCES := $(wildcard cli/*.c cli/eval/*.c)
TEST_SOURCES := $(wildcard tests/unit/test_*.c)
GOLDEN_SOURCES := $(wildcard tests/golden/test_*.c)
BENCH_SOURCES := $(wildcard bench/bench_*.c)

LIBRARY_OBJECTS := $(LIBRARY_SOURCES:%.c=$(OBJECT_DIR)/%.o)
CLI_OBJECTS := $(CLI_SOURCES:%.c=$(OBJECT_DIR)/%.o)
# Other files beside the tests are helpers, linked into each of them.
TEST_HELPERS := $(patsubst %.c,$(OBJECT_DIR)/%.o,\
    $(filter-out $(TEST_SOURCES) $(GOLDEN_SOURCES),$(wildcard tests/unit/*.c tests/golden/*.c)))
BENCH_HELPERS := $(patsubst %.c,$(OBJECT_DIR)/%.o,$(filter-out $(BENCH_SOURCES),$(wildcard bench/*.c)))
TEST_PROGRAMS := $(TEST_SOURCES:tests/unit/%.c=$(BUILD)/tests/%)
FAULT_LIBRARY := $(BUILD)/tests/libfault.so
GOLDEN_PROGRAMS := $(GOLDEN_SOURCES:tests/golden/%.c=$(BUILD)/tests/golden/%)
BENCH_PROGRAMS := $(BENCH_SOURCES:bench/%.c=$(BUILD)/bench/%)

C_FILES = $(wildcard include/*.h src/*/*.[ch] index/*.[ch] cli/*.[ch] cli/eval/*.[ch] tests/*/*.[ch] bench/*.[ch] docs/*.c)

# $(call run,WORD) begins a command: without V=1 only the word and the target are shown.
run = $(if $(V),,@echo "  $(1)  $@" && )

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all manual deb dist package-test demo test test-dependencies unit cli-test golden crash-test python-test train-test sanitize bench install \
    uninstall clean format format-check lint help faiss test-programs train-data train-tokenizer train-run train-evaluate \
    train-export train-rank train-threshold train-curve
.SECONDARY:

## all: the program and both libraries (what "make" alone does)
all: $(BUILD)/lmk $(BUILD)/liblmk.a $(BUILD)/liblmk.so

# ---- FAISS

## faiss: only FAISS, about two minutes, once
faiss: $(FAISS_LIBRARY)

$(FAISS_CACHE)/lib/libfaiss_c.a:
	@index/build-faiss.sh $(FAISS_CACHE) $(FAISS_FLAVOUR)

ifneq ($(FAISS_DIR),$(FAISS_CACHE))
$(FAISS_DIR)/lib/libfaiss_c.a:
	@echo "There is no lib/libfaiss_c.a and no lib/libfaiss_c.so in FAISS_DIR=$(FAISS_DIR)." >&2
	@echo "Name a folder with a FAISS 1.7.3 built with its C API, or leave FAISS_DIR away." >&2
	@exit 1
endif

# ---- Objects

# Units wider than the baseline get files of their own, whose functions are chosen at run time.
AVX512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq
$(OBJECT_DIR)/src/model/%_avx512.o: MACHINE += $(AVX512)
$(OBJECT_DIR)/src/model/%_avx512bf16.o: MACHINE += $(AVX512) -mavx512bf16
$(OBJECT_DIR)/src/model/%_avx512vnni.o: MACHINE += $(AVX512) -mavx512vnni
# What checks that the processor has AVX2 must itself run on one that has not.
$(OBJECT_DIR)/cli/main.o $(OBJECT_DIR)/src/base/processor.o: MACHINE := $(filter -D%,$(MACHINE))

$(OBJECT_DIR)/index/%.o: INCLUDES += $(FAISS_INCLUDES)
$(OBJECT_DIR)/src/text/%.o: INCLUDES += $(LIBXML2_INCLUDES)
$(patsubst %.c,$(OBJECT_DIR)/%.o,$(filter index/%,$(LIBRARY_SOURCES))): | $(FAISS_LIBRARY)

$(OBJECT_DIR)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call run,CC  )$(CC) $(ALL_CFLAGS) -c $< -o $@

# ---- Libraries and program

# One relocatable object with everything of ours and the part of FAISS that it needs, where only
# what lmk.h declares stays visible. (The C++ templates in FAISS must not be: they hold AVX2 code
# that a linker could choose for a program's own.)
$(BUILD)/liblmk.a: $(LIBRARY_OBJECTS) $(FAISS_LIBRARIES)
	$(call run,AR  )$(CC) -r -nostdlib -Wl,--force-group-allocation -o $(BUILD)/liblmk.o \
	    $(LIBRARY_OBJECTS) $(filter %.a,$(FAISS_LIBRARIES))
	@objcopy --localize-hidden --wildcard --keep-global-symbol='lmk_*' $(BUILD)/liblmk.o
	@rm -f $@
	@ar rcs $@ $(BUILD)/liblmk.o
	@rm -f $(BUILD)/liblmk.o

$(BUILD)/liblmk.so: $(LIBRARY_OBJECTS) $(FAISS_LIBRARIES)
	$(call run,LINK)$(CC) -shared $(SANITIZER) $(LDFLAGS) -Wl,-soname,liblmk.so.0 -Wl,--exclude-libs,ALL \
	    $(if $(SANITIZE),,-Wl,--no-undefined) -o $@ $(filter %.o %.a,$^) $(PRIVATE_LIBS)
	@ln -sf liblmk.so $@.0

$(BUILD)/lmk: $(CLI_OBJECTS) $(BUILD)/liblmk.a
	$(call run,LINK)$(CC) $(SANITIZER) $(LDFLAGS) -o $@ $^ $(PRIVATE_LIBS)

# What tests of the program's own parts link.
$(BUILD)/cli.a: $(filter-out %/main.o,$(CLI_OBJECTS))
	$(call run,AR  )rm -f $@ && ar rcs $@ $^

# ---- Manual pages and completions, which the program writes itself

SHARE := $(BUILD)/share
MANUAL_PAGES := $(SHARE)/man/man1/lmk.1 \
    $(patsubst cli/cmd_%.c,$(SHARE)/man/man1/lmk-%.1,$(wildcard cli/cmd_*.c))
COMPLETIONS := $(SHARE)/bash-completion/completions/lmk $(SHARE)/zsh/site-functions/_lmk \
    $(SHARE)/fish/vendor_completions.d/lmk.fish

## manual: manual pages and completions for bash, zsh and fish, in build/share
manual: $(MANUAL_PAGES) $(COMPLETIONS)

$(SHARE)/man/man1/lmk.1: $(BUILD)/lmk
	@mkdir -p $(@D)
	$(call run,MAN )$< help --manual >$@

$(SHARE)/man/man1/lmk-%.1: $(BUILD)/lmk
	@mkdir -p $(@D)
	$(call run,MAN )$< help --manual $* >$@

$(COMPLETIONS): $(BUILD)/lmk
	@mkdir -p $(@D)
	$(call run,SH  )$< help --completion $(firstword $(filter bash zsh fish,\
	    $(subst /, ,$(subst bash-completion,bash,$(@:$(SHARE)/%=%))))) >$@

# ---- Demonstration

DEMO_COLLECTION := $(BUILD)/samples.lmk
MODEL := models/landmark-en-42m.gguf
# The program looks for the model beside build/; from the folder of another flavour it must be named.
demo: export LMK_MODEL := $(or $(LMK_MODEL),$(MODEL))
# The user's list of collections is left alone.
demo: export XDG_STATE_HOME := $(abspath $(BUILD)/state)

## demo: index the books in samples/, search them, ask them
demo: $(BUILD)/lmk
	@rm -rf $(DEMO_COLLECTION)
	$(BUILD)/lmk index -c $(DEMO_COLLECTION) samples
	@echo
	$(BUILD)/lmk search -c $(DEMO_COLLECTION) --top 3 "playing croquet with live animals"
	@echo
	$(BUILD)/lmk ask -c $(DEMO_COLLECTION) "What was the name of Frederick Douglass's mother?"

# ---- Tests

TEST_PACKAGES := libcmocka-dev python3 sentencepiece mandoc zsh fish bzip2 xz-utils zip zstd \
    $(if $(wildcard tests/train/test_*.py),python3-torch python3-numpy python3-sentencepiece) \
    $(if $(PACKAGES),lintian)
RUN_TESTS := tests/run $(BUILD)
# Of the runs that tests/crash kills, every so manyth; the whole takes some minutes.
CRASHES ?= 10
# make as many at a time as there are processors, unless the caller has said how many
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

## test: every test: unit, command line, golden values, some crashes, Python, trainer; ends with "N passed, N failed"
# (PACKAGES=1: also what "make deb" and "make dist" make, which takes a minute more)
test: test-dependencies
	@+$(SUBMAKE) all test-programs $(if $(PACKAGES),deb dist XZ_LEVEL=0)
	@$(RUN_TESTS) unit golden cli crash=$(CRASHES) python train $(if $(PACKAGES),packages=$(DEB)$(comma)$(DIST).tar.gz)

## test-dependencies: install the Debian packages that only the tests need
test-dependencies:
	@./quickstart --packages $(TEST_PACKAGES)

EXAMPLE := $(BUILD)/tests/example
test-programs: $(TEST_PROGRAMS) $(GOLDEN_PROGRAMS) $(FAULT_LIBRARY) $(EXAMPLE)

$(FAULT_LIBRARY): tests/crash/fault.c
	@mkdir -p $(@D)
	$(call run,CC  )$(CC) -std=gnu17 -D_GNU_SOURCE $(WARNINGS) -O1 -fPIC -shared -o $@ $<

## unit: the unit tests alone
unit: $(TEST_PROGRAMS)
	@$(RUN_TESTS) unit

## golden: the comparisons with the reference implementation's values alone
golden: $(GOLDEN_PROGRAMS) $(BUILD)/lmk
	@$(RUN_TESTS) golden

## cli-test: the tests of the command line alone
cli-test: $(BUILD)/lmk $(EXAMPLE)
	@$(RUN_TESTS) cli

## python-test: the tests of the Python module alone
python-test: $(BUILD)/lmk $(BUILD)/liblmk.so
	@$(RUN_TESTS) python

## crash-test: lmk killed or failed at each of its writes (some minutes; CRASHES=N in "make test": every N-th)
crash-test: $(BUILD)/lmk $(FAULT_LIBRARY)
	@$(RUN_TESTS) crash=1

## train-test: the tests of the trainer alone (Python)
train-test:
	@$(RUN_TESTS) train

## sanitize: unit, golden and command line tests under the address and undefined behaviour sanitizers
sanitize: test-dependencies
	@+$(SUBMAKE) SANITIZE=1 BUILD=$(BUILD)/sanitize test-programs $(BUILD)/sanitize/lmk
	@tests/run $(BUILD)/sanitize unit golden cli

# Tests look inside the library, so they link its plain objects.
$(OBJECT_DIR)/tests/%.o: INCLUDES += $(FAISS_INCLUDES)
$(OBJECT_DIR)/bench/%.o: INCLUDES += $(FAISS_INCLUDES)

$(BUILD)/tests/%: $(OBJECT_DIR)/tests/unit/%.o $(TEST_HELPERS) $(BUILD)/cli.a $(LIBRARY_OBJECTS) $(FAISS_LIBRARIES)
	@mkdir -p $(@D)
	$(call run,LINK)$(CC) $(SANITIZER) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) -lcmocka $(PRIVATE_LIBS)

$(BUILD)/tests/golden/%: $(OBJECT_DIR)/tests/golden/%.o $(TEST_HELPERS) $(LIBRARY_OBJECTS) $(FAISS_LIBRARIES)
	@mkdir -p $(@D)
	$(call run,LINK)$(CC) $(SANITIZER) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) -lcmocka $(PRIVATE_LIBS)

$(EXAMPLE): $(OBJECT_DIR)/docs/example.o $(BUILD)/liblmk.a
	@mkdir -p $(@D)
	$(call run,LINK)$(CC) $(SANITIZER) $(LDFLAGS) -o $@ $^ $(PRIVATE_LIBS)

# ---- Fuzzing
#
#   SECONDS=N   how long each target runs (60)

SECONDS ?= 60
FUZZ := $(BUILD)/fuzz
FUZZ_CC := clang
FUZZ_SANITIZER := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(filter-out %/fuzz_reader.c,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_OBJECTS := $(patsubst %.c,$(FUZZ)/objects/%.o,$(filter-out %/processor.c,$(wildcard src/base/*.c src/text/*.c)) \
    src/model/gguf.c src/model/rows.c src/model/rows_generic.c src/model/rows_integers.c index/store_records.c index/store_texts.c \
    tests/fuzz/fuzz_reader.c)

## fuzz: libFuzzer over the readers, GGUF and the store's records, SECONDS each (needs clang)
fuzz: $(FUZZ_NAMES:%=$(FUZZ)/fuzz_%)
	@for name in $(FUZZ_NAMES); do \
	    mkdir -p $(FUZZ)/corpus/$$name && echo "== $$name" && \
	    $(FUZZ)/fuzz_$$name -max_total_time=$(SECONDS) -timeout=20 -rss_limit_mb=3000 -max_len=65536 \
	        -print_final_stats=1 -artifact_prefix=$(FUZZ)/$$name- $(FUZZ)/corpus/$$name tests/fuzz/corpus/$$name \
	        2>$(FUZZ)/$$name.log || { tail -n 40 $(FUZZ)/$$name.log; exit 1; }; \
	    sed -n 's/^stat::number_of_executed_units: */  runs: /p' $(FUZZ)/$$name.log; \
	done

$(FUZZ)/objects/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call run,CC  )$(FUZZ_CC) $(STANDARD) $(WARNINGS) $(INCLUDES) $(LIBXML2_INCLUDES) -O1 -g -DLMK_PORTABLE \
	    $(FUZZ_SANITIZER) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(FUZZ)/fuzz_%: $(FUZZ)/objects/tests/fuzz/fuzz_%.o $(FUZZ_OBJECTS)
	$(call run,LINK)$(FUZZ_CC) $(FUZZ_SANITIZER) -fsanitize=fuzzer -o $@ $^ -larchive -lxml2 -lcjson -lxxhash -lm

## bench: speed and size against their limits, on the samples
bench: $(BENCH_PROGRAMS) $(BUILD)/lmk
	bench/run $(BUILD)

$(BUILD)/bench/%: $(OBJECT_DIR)/bench/%.o $(BENCH_HELPERS) $(LIBRARY_OBJECTS) $(FAISS_LIBRARIES)
	@mkdir -p $(@D)
	$(call run,LINK)$(CC) $(SANITIZER) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(PRIVATE_LIBS)

# ---- The trainer
#
#   RAW=FOLDER       raw collections and exclude.py, for train-data (train/prepare.py says what they are)
#   TRAIN=FOLDER     where everything goes (build/train)
#   CONFIG=FILE      shape and settings (train/configs/landmark-en-42m.json)
#   RUN_SECONDS, GPUS  how long a run takes (1200), on how many GPUs (1)
#   RUN=NAME         the run's folder in TRAIN (run)
#   RESUME=FILE      checkpoint that it goes on from
#   TEACHER, PIECES  the teacher's ONNX file and its tokenizer.json, for train-run and train-evaluate
#   WORDNET          folder of WordNet's files, for train-run: questions made by rule then have synonyms in them
#   VOCABULARY       pieces of the tokenizer (16384)
#   PARTS            megabytes of the parts that the packed texts are dealt out to ("46 124 130")
#   TRAIN_OPTIONS, EVALUATE_OPTIONS, PASSKEY_OPTIONS, EXPORT_OPTIONS   further options of train.py, evaluate.py, passkey.py, export.py
#   RANK_DATA        folders of question sets in BEIR's form, for train-rank; RANK_MODEL: the model ($(MODEL))
#   ANSWER_DATA, ANSWER_QUESTIONS  folders with corpus.jsonl and questions.jsonl, for train-threshold; questions asked of each (200)
#   PYTHON           a Python with PyTorch, NumPy and SentencePiece (python3)

TRAIN ?= $(BUILD)/train
CONFIG ?= train/configs/landmark-en-42m.json
RUN_SECONDS ?= 1200
GPUS ?= 1
RUN ?= run
VOCABULARY ?= 16384
PARTS ?= 46 124 130
PYTHON ?= python3
TRAIN_MODEL := --config $(CONFIG) --tokenizer $(TRAIN)/landmark.model
TRAIN_TEACHER := $(if $(TEACHER),--teacher $(TEACHER) --pieces $(PIECES))
TRAIN_START := $(if $(filter-out 1,$(GPUS)),torchrun --standalone --nproc_per_node $(GPUS),$(PYTHON)) -m train.train

$(TRAIN)/text.done:
	$(if $(RAW),,$(error name the folder of raw collections: make train-data RAW=FOLDER))
	$(PYTHON) -m train.prepare --data $(RAW) --exclude $(RAW) --out $(TRAIN)/text
	$(PYTHON) -m train.written --text $(TRAIN)/text
	@touch $@

$(TRAIN)/landmark.model: $(TRAIN)/text.done
	$(PYTHON) -m train.tokenizer --text $(TRAIN)/text --out $(TRAIN)/landmark --vocabulary $(VOCABULARY)

$(TRAIN)/parts.done: $(TRAIN)/landmark.model
	$(PYTHON) -m train.pack encode --text $(TRAIN)/text --tokenizer $< --out $(TRAIN)/blocks
	$(PYTHON) -m train.pack parts --blocks $(TRAIN)/blocks --out $(TRAIN)/parts --sizes $(PARTS)
	$(PYTHON) -m train.pack questions --text $(TRAIN)/text --out $(TRAIN)/questions.jsonl
	$(PYTHON) -m train.pack encode --text $(TRAIN)/text --tokenizer $< --out $(TRAIN)/dev --split dev
	@touch $@

## train-data: training and development material from the collections in RAW=FOLDER, tokenizer included
train-data: $(TRAIN)/parts.done

## train-tokenizer: only as far as the tokenizer
train-tokenizer: $(TRAIN)/landmark.model

$(TRAIN)/synonyms.json:
	$(PYTHON) -m train.synonyms --wordnet $(WORDNET) --out $@

## train-run: one training run; RESUME=CHECKPOINT goes on from an earlier one
train-run: $(TRAIN)/parts.done $(if $(WORDNET),$(TRAIN)/synonyms.json)
	$(TRAIN_START) $(TRAIN_MODEL) --data $(TRAIN)/parts --questions $(TRAIN)/questions.jsonl --out $(TRAIN)/$(RUN) \
	    --seconds $(RUN_SECONDS) $(TRAIN_TEACHER) $(if $(WORDNET),--synonyms $(TRAIN)/synonyms.json) \
	    $(if $(RESUME),--resume $(RESUME)) $(TRAIN_OPTIONS)

## train-evaluate: the run's model on held-out material, and the pass-key test
train-evaluate:
	$(PYTHON) -m train.evaluate $(TRAIN_MODEL) --checkpoint $(TRAIN)/$(RUN)/final.pt --text $(TRAIN)/text \
	    --parts $(TRAIN)/dev --questions $(TRAIN)/text/qa-train.dev.jsonl --out $(TRAIN)/$(RUN)/evaluation.json \
	    $(TRAIN_TEACHER) $(EVALUATE_OPTIONS)
	$(PYTHON) -m train.passkey $(TRAIN_MODEL) --model $(TRAIN)/$(RUN)/final.pt --out $(TRAIN)/$(RUN)/passkey.json \
	    $(PASSKEY_OPTIONS)

## train-export: the run's model as a GGUF file
train-export:
	$(PYTHON) -m train.export $(TRAIN_MODEL) --checkpoint $(TRAIN)/$(RUN)/final.pt --out $(TRAIN)/$(RUN)/landmark.gguf $(EXPORT_OPTIONS)

# Weights are fitted on what the model itself ranks, so each set is indexed and searched with it.
RANK_MODEL ?= $(MODEL)
RANK_LMK = LMK_MODEL=$(RANK_MODEL) $(BUILD)/lmk
rank_work = $(TRAIN)/rank/$(notdir $(1))

## train-rank: fit the ranking's weights in $(MODEL) on the question sets RANK_DATA="FOLDER..."
train-rank: $(BUILD)/lmk
	$(if $(RANK_DATA),,$(error name folders with corpus.jsonl, queries.jsonl and qrels.tsv: make train-rank RANK_DATA=FOLDER))
	rm -rf $(TRAIN)/rank
	set -e; for data in $(RANK_DATA:%/=%); do \
	    work=$(TRAIN)/rank/$$(basename $$data); mkdir -p $$work; \
	    $(PYTHON) -m train.rank texts --data $$data --out $$work/texts; \
	    $(RANK_LMK) index -c $$work/texts.lmk $$work/texts; \
	    $(RANK_LMK) search -c $$work/texts.lmk --queries $$data/queries.jsonl --features --top 1 >$$work/features; \
	    $(RANK_LMK) list -c $$work/texts.lmk --json >$$work/documents; \
	done
	$(PYTHON) -m train.rank fit --model $(RANK_MODEL) --data $(RANK_DATA:%/=%) \
	    --features $(foreach data,$(RANK_DATA:%/=%),$(call rank_work,$(data))/features) \
	    --documents $(foreach data,$(RANK_DATA:%/=%),$(call rank_work,$(data))/documents)

ANSWER_QUESTIONS ?= 200

## train-threshold: fit how sure the model in RANK_MODEL must be of an answer on the sets ANSWER_DATA="FOLDER..."
train-threshold: $(BUILD)/lmk
	$(if $(ANSWER_DATA),,$(error name folders with corpus.jsonl and questions.jsonl: make train-threshold ANSWER_DATA=FOLDER))
	mkdir -p $(TRAIN)/threshold
	set -e; for data in $(ANSWER_DATA:%/=%); do \
	    $(RANK_LMK) eval qa --unanswerable --json --limit $(ANSWER_QUESTIONS) --corpus $$data/corpus.jsonl \
	        --questions $$data/questions.jsonl >$(TRAIN)/threshold/$$(basename $$data).json; \
	done
	$(PYTHON) -m train.threshold --model $(RANK_MODEL) \
	    --answers $(foreach data,$(ANSWER_DATA:%/=%),$(TRAIN)/threshold/$(notdir $(data)).json)

## train-curve: the run's log as a picture
train-curve:
	$(PYTHON) -m train.curve --log $(TRAIN)/$(RUN)/log.jsonl --out $(TRAIN)/$(RUN)/curve.svg

# ---- Installation

INSTALL_ROOT = $(DESTDIR)$(PREFIX)
DOC_FILES = README.md $(wildcard docs/*.md docs/*.c docs/figures/*)
SHARED_FILES = $(patsubst $(SHARE)/%,%,$(MANUAL_PAGES) $(COMPLETIONS))

## install: program, model, manual, completions, header, libraries, Python module below DESTDIR/PREFIX
install: all manual
	install -d $(INSTALL_ROOT)/bin $(INSTALL_ROOT)/include $(DESTDIR)$(LIBDIR)/pkgconfig \
	    $(INSTALL_ROOT)/share/doc/lmk $(INSTALL_ROOT)/share/lmk
	install -m 755 $(BUILD)/lmk $(INSTALL_ROOT)/bin/lmk
	install -m 644 include/lmk.h $(INSTALL_ROOT)/include/lmk.h
	install -m 644 $(BUILD)/liblmk.a $(DESTDIR)$(LIBDIR)/liblmk.a
	install -m 755 $(BUILD)/liblmk.so $(DESTDIR)$(LIBDIR)/liblmk.so.$(VERSION)
	ln -sf liblmk.so.$(VERSION) $(DESTDIR)$(LIBDIR)/liblmk.so.0
	ln -sf liblmk.so.0 $(DESTDIR)$(LIBDIR)/liblmk.so
	install -m 644 $(MODEL) $(INSTALL_ROOT)/share/lmk/$(notdir $(MODEL))
	install -D -m 644 python/lmk.py $(DESTDIR)$(PYTHON_DIR)/lmk.py
	for file in $(SHARED_FILES); do install -D -m 644 $(SHARE)/$$file $(INSTALL_ROOT)/share/$$file; done
	for file in $(DOC_FILES); do install -D -m 644 $$file $(INSTALL_ROOT)/share/doc/lmk/$$file; done
	install -m 644 LICENSE $(INSTALL_ROOT)/share/doc/lmk/LICENSE
	install -m 644 $(FAISS_DIR)/LICENSE $(INSTALL_ROOT)/share/doc/lmk/LICENSE.FAISS
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    -e 's|@PRIVATE_LIBS@|$(PRIVATE_LIBS)|' lmk.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/lmk.pc

## uninstall: remove what install put there
uninstall:
	rm -f $(INSTALL_ROOT)/bin/lmk $(INSTALL_ROOT)/include/lmk.h $(DESTDIR)$(LIBDIR)/liblmk.a \
	    $(DESTDIR)$(LIBDIR)/liblmk.so.$(VERSION) $(DESTDIR)$(LIBDIR)/liblmk.so.0 \
	    $(DESTDIR)$(LIBDIR)/liblmk.so $(DESTDIR)$(LIBDIR)/pkgconfig/lmk.pc \
	    $(INSTALL_ROOT)/share/doc/lmk/LICENSE $(INSTALL_ROOT)/share/doc/lmk/LICENSE.FAISS
	rm -f $(DESTDIR)$(PYTHON_DIR)/lmk.py $(INSTALL_ROOT)/share/lmk/$(notdir $(MODEL)) $(SHARED_FILES:%=$(INSTALL_ROOT)/share/%)
	rm -f $(DOC_FILES:%=$(INSTALL_ROOT)/share/doc/lmk/%)
	-rmdir $(INSTALL_ROOT)/share/doc/lmk/docs/figures $(INSTALL_ROOT)/share/doc/lmk/docs
	-rmdir $(DESTDIR)$(PYTHON_DIR) $(INSTALL_ROOT)/share/doc/lmk $(INSTALL_ROOT)/share/lmk

# ---- Packages

comma := ,
MULTIARCH = $(shell $(CC) -print-multiarch)
DEB = $(BUILD)/lmk_$(VERSION)_$(shell dpkg --print-architecture).deb
DEB_LIBDIR = /usr/lib/$(MULTIARCH)
DIST := $(BUILD)/lmk-$(VERSION)-linux-$(shell uname -m)
# A package names who answers for it: as for Debian's own tools, DEBFULLNAME and DEBEMAIL say who.
MAINTAINER = $(or $(DEBFULLNAME),lmk) <$(or $(DEBEMAIL),lmk@$(shell hostname).invalid)>
# The date in what is built, so that the same source gives the same files.
export XZ_LEVEL
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y include/lmk.h)

# Links program and library anew, below folder $(1), with $(2) instead of the path to OpenBLAS here.
UNPLACED_LIBS = $(filter-out -Wl$(comma)-rpath%,$(PRIVATE_LIBS))
define relink
	$(call run,LINK)$(CC) $(LDFLAGS) -o $(1)/bin/lmk $(2) $(CLI_OBJECTS) $(BUILD)/liblmk.a $(UNPLACED_LIBS)
	$(call run,LINK)$(CC) -shared $(LDFLAGS) -o $(3)/liblmk.so.$(VERSION) -Wl,-soname,liblmk.so.0 -Wl,--exclude-libs,ALL \
	    $(2) $(LIBRARY_OBJECTS) $(filter %.a,$(FAISS_LIBRARIES)) $(UNPLACED_LIBS)
endef

## deb: a Debian package with program, libraries and Python module, in build/
deb: all manual
	@rm -rf $(BUILD)/deb
	@+$(MAKE) --no-print-directory install DESTDIR=$(abspath $(BUILD))/deb PREFIX=/usr \
	    LIBDIR=$(DEB_LIBDIR) PYTHON_DIR=/usr/lib/python3/dist-packages >/dev/null
	$(call relink,$(BUILD)/deb/usr,-Wl$(comma)-rpath$(comma)$(DEB_LIBDIR)/lmk,$(BUILD)/deb$(DEB_LIBDIR))
	$(call run,DEB )packaging/deb $(abspath $(BUILD))/deb $(VERSION) "$(MAINTAINER)" $(DEB)

## dist: a release tarball that runs where it is unpacked, in build/
# DT_RPATH holds for the libraries of libraries too, DT_RUNPATH does not.
dist: all manual
	@rm -rf $(DIST)
	@+$(MAKE) --no-print-directory install DESTDIR=$(abspath $(DIST)) PREFIX= >/dev/null
	$(call relink,$(DIST),-Wl$(comma)--disable-new-dtags '-Wl$(comma)-rpath$(comma)$$ORIGIN/../lib',$(DIST)/lib)
	$(call run,TAR )LD_LIBRARY_PATH=$(OPENBLAS_DIR) packaging/dist $(DIST) $(DIST).tar.gz

# ---- Housekeeping

## package-test: make both, and try them
package-test:
	@./quickstart --packages lintian python3
	@+$(SUBMAKE) deb dist XZ_LEVEL=0
	@$(RUN_TESTS) packages=$(DEB)$(comma)$(DIST).tar.gz

## clean: remove everything built here (FAISS stays in its cache)
clean:
	rm -rf $(BUILD)

## format: lay out all C files by .clang-format
format:
	clang-format -i $(C_FILES)

## format-check: fail if a C file is laid out otherwise
format-check:
	clang-format --dry-run --Werror $(C_FILES)

## lint: clang-tidy over all C files
# gcc's omp.h stands in for clang's; clang 14 does not know one of its attributes.
LINT_FLAGS = $(STANDARD) $(WARNINGS) $(INCLUDES) $(FAISS_INCLUDES) $(LIBXML2_INCLUDES) -isystem $(BUILD)/lint \
    -Wno-unknown-pragmas $(OPENMP) $(MACHINE) $(AVX512) -mavx512bf16 -mavx512vnni
lint: | $(FAISS_LIBRARY)
	@mkdir -p $(BUILD)/lint
	@sed 's/__malloc__ *([^)]*)/__malloc__/' $(shell $(CC) -print-file-name=include/omp.h) \
	    >$(BUILD)/lint/omp.h
	@printf '%s\n' $(LIBRARY_SOURCES) $(CLI_SOURCES) | \
	    xargs -P $(shell nproc) -n 4 sh -c 'clang-tidy --quiet "$$@" -- $(LINT_FLAGS)' lint

## help: this list
help:
	@sed -n 's/^## \([a-z-]*\): \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

-include $(shell find $(OBJECT_DIR) -name '*.d' 2>/dev/null)
