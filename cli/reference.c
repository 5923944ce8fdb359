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
    {NULL, NULL},
};

const struct term reference_variables[] = {
    {"LMK_COLLECTION", "the collection, where --collection is not given"},
    {"LMK_MODEL", "the landmark model, where --model is not given"},
    {"LMK_OPENER", "what search --open runs, where --opener is not given"},
    {"PAGER", "what search --open shows a text in (less)"},
    {"NO_COLOR", "where it is set and not empty, there are no colours on a terminal either"},
    {NULL, NULL},
};

const struct term reference_files[] = {
    {"../share/lmk/landmark-en-42m.gguf", "the model, seen from the folder of the program"},
    {NULL, NULL},
};
