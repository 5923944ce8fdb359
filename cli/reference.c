#include "cli/reference.h"

#include <stddef.h>

const char *const reference_example[2] = {
    "lmk index -c library.lmk ~/books",
    "lmk search -c library.lmk \"the murder of the old pawnbroker\"",
};

const struct term reference_exit_codes[] = {
    {"0", "done"},
    {"1", "nothing found"},
    {"2", "usage"},
    {"3", "unreadable input"},
    {"4", "model"},
    {"5", "collection"},
    {"6", "damaged data"},
    {"7", "reading or writing failed"},
    {"8", "another process is writing"},
    {"9", "out of memory"},
    {"10", "interrupted"},
    {"11", "the reader elsewhere failed"},
    {NULL, NULL},
};

const struct term reference_variables[] = {
    {"LMK_COLLECTION", "the collection, where --collection is not given"},
    {"LMK_MODEL", "the landmark model, where --model is not given"},
    {"LMK_OPENER", "what search --open runs, where --opener is not given"},
    {"LMK_READER, LMK_READER_MODEL",
     "who writes the answers of ask, where --reader or --reader-model are not given"},
    {"LMK_READER_KEY", "the key that the reader asks for"},
    {"PAGER", "what search --open shows a text in (less)"},
    {"NO_COLOR", "where it is set and not empty, there are no colours on a terminal either"},
    {NULL, NULL},
};

const struct term reference_files[] = {
    {"$XDG_CONFIG_HOME/lmk/config (~/.config/lmk/config)",
     "lines \"name = value\", where a name is that of an option (without its hyphens), for every "
     "command that has it; \"yes\" turns a switch on. The environment overrides it, options both."},
    {"$XDG_STATE_HOME/lmk/collections (~/.local/state/lmk/collections)",
     "the collections that lmk index has made. Where only one of them is left, it need not be "
     "named."},
    {"$XDG_DATA_HOME/lmk/library.lmk (~/.local/share/lmk/library.lmk)",
     "the collection of an lmk index that names none, where none is known"},
    {NULL, NULL},
};
