/* Long texts with one sentence hidden in them: the pass-key test (Mohtashami and Jaggi 2023) and
 * the needle in a haystack. */
#ifndef CLI_EVAL_HAYSTACK_H
#define CLI_EVAL_HAYSTACK_H

#include "lmk.h"

/* What is hidden and asked for: a number. */
struct needle {
    const char *introduction; /* in front of everything, "" for none */
    char sentence[160], question[160];
    unsigned number;
    bool verbatim; /* the question is the end of a text, not put into the model's own words */
};

/* "The pass key is N ..." with its public prompt; N in 1 to 50,000. */
struct needle needle_passkey(uint64_t *seed);
/* A number that opens a door, which one of some hundred names tells apart; N in 10,000 to 99,999.
 */
struct needle needle_door(uint64_t *seed);

/* The text that it is hidden in, repeated as often as it takes. */
struct hay {
    char *text; /* owned */
    size_t size;
    bool sentences; /* cut it where a sentence ends, else anywhere */
};
/* The sentences of the pass-key prompt. LMK_MEMORY. */
enum lmk_status hay_public(struct hay *hay, struct lmk_error *error);
/* A file of UTF-8 text. Errors: LMK_IO, LMK_INPUT (shorter than 1,000 bytes), LMK_MEMORY. */
enum lmk_status hay_read(struct hay *hay, const char *path, struct lmk_error *error);
void hay_release(struct hay *hay);

struct haystack {
    char *text;        /* owned */
    size_t start, end; /* bytes of the sentence in it */
};
/* A text of about `size` bytes with the needle's sentence at `depth` (0: the beginning, 1: the
 * end). Where hay has sentences, `seed` says where in it the text begins. LMK_MEMORY. */
enum lmk_status haystack_make(struct haystack *haystack, const struct hay *hay,
                              const struct needle *needle, size_t size, double depth,
                              uint64_t *seed, struct lmk_error *error);
void haystack_release(struct haystack *haystack);

/* Whether the first number in the answer (digits; commas between them pass) is the needle's. */
bool needle_is_answered(const struct needle *needle, const char *answer);

#endif
