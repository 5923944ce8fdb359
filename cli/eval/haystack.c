#include "cli/eval/haystack.h"

#include "cli/fail.h"
#include "src/base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_HAY 1000

/* ------------------------------------------------------------------ needles */

struct needle needle_passkey(uint64_t *seed)
{
    struct needle needle = {
        .introduction =
            "There is an important info hidden inside a lot of irrelevant text. Find it "
            "and memorize them. I will quiz you about the important information there.",
        .question = "What is the pass key? The pass key is",
        .number = (unsigned)draw_below(seed, 50000) + 1,
        .verbatim = true,
    };
    snprintf(needle.sentence, sizeof needle.sentence,
             "The pass key is %u. Remember it. %u is the pass key.", needle.number, needle.number);
    return needle;
}

struct needle needle_door(uint64_t *seed)
{
    static const char *const kinds[] = {"blue",   "crooked", "silver", "narrow", "painted",
                                        "silent", "leaning", "golden", "hidden", "northern"};
    static const char *const places[] = {"lighthouse", "orchard",    "library", "windmill",
                                         "bakery",     "chapel",     "stable",  "museum",
                                         "harbour",    "observatory"};
    const char *kind = kinds[draw_below(seed, sizeof kinds / sizeof kinds[0])],
               *place = places[draw_below(seed, sizeof places / sizeof places[0])];
    struct needle needle = {.introduction = "",
                            .number = (unsigned)draw_below(seed, 90000) + 10000};
    snprintf(needle.sentence, sizeof needle.sentence,
             "The door of the %s %s opens with the number %u.", kind, place, needle.number);
    snprintf(needle.question, sizeof needle.question, "Which number opens the door of the %s %s?",
             kind, place);
    return needle;
}

bool needle_is_answered(const struct needle *needle, const char *answer)
{
    static const char digits[] = "0123456789";
    const char *at = answer + strcspn(answer, digits);
    unsigned long long number = 0;
    if (!*at)
        return false;
    for (; number < UINT32_MAX && *at; at++) {
        if (*at >= '0' && *at <= '9')
            number = 10 * number + (unsigned)(*at - '0');
        else if (*at != ',' || at[1] < '0' || at[1] > '9')
            break;
    }
    return number == needle->number;
}

/* ------------------------------------------------------------------ hay */

enum lmk_status hay_public(struct hay *hay, struct lmk_error *error)
{
    *hay =
        (struct hay){strdup("The grass is green. The sky is blue. The sun is yellow. Here we go. "
                            "There and back again. "),
                     0, false};
    hay->size = hay->text ? strlen(hay->text) : 0;
    return hay->text ? LMK_OK : fail_memory(error);
}

enum lmk_status hay_read(struct hay *hay, const char *path, struct lmk_error *error)
{
    *hay = (struct hay){.sentences = true};
    FILE *file = fopen(path, "r");
    if (!file)
        return fail_file(error, "open", path);
    size_t room = 0;
    ssize_t size = getdelim(&hay->text, &room, '\0', file);
    bool failed = ferror(file);
    fclose(file);
    if (failed)
        return fail_file(error, "read", path);
    hay->size = size > 0 ? strlen(hay->text) : 0;
    return hay->size >= LEAST_HAY
               ? LMK_OK
               : fail(error, LMK_INPUT, "%s has fewer than %d bytes of text.", path, LEAST_HAY);
}

void hay_release(struct hay *hay)
{
    free(hay->text);
    *hay = (struct hay){0};
}

/* The next place at or behind `at` where a sentence or a line begins; `at` where none comes soon.
 */
static size_t next_sentence(const struct hay *hay, size_t at)
{
    for (size_t i = at; i + 1 < hay->size && i < at + LEAST_HAY; i++)
        if (hay->text[i] == '\n' ||
            (strchr(".!?", hay->text[i]) && strchr(" \n", hay->text[i + 1])))
            return i + 1;
    while (at < hay->size && ((unsigned char)hay->text[at] & 0xc0) == 0x80)
        at++; /* not inside a character */
    return at;
}

/* Appends hay from place `from` on (round and round), about `wanted` bytes; gives the place behind.
 */
static size_t append_hay(const struct hay *hay, char *text, size_t *size, size_t from,
                         size_t wanted)
{
    size_t at = from % hay->size, taken = 0;
    while (taken < wanted) {
        size_t rest = hay->size - at, part = wanted - taken < rest ? wanted - taken : rest;
        size_t end = hay->sentences && part < rest ? next_sentence(hay, at + part) : at + part;
        memcpy(text + *size, hay->text + at, end - at);
        *size += end - at;
        taken += end - at;
        at = end % hay->size;
    }
    return at;
}

enum lmk_status haystack_make(struct haystack *haystack, const struct hay *hay,
                              const struct needle *needle, size_t size, double depth,
                              uint64_t *seed, struct lmk_error *error)
{
    size_t own = strlen(needle->introduction) + strlen(needle->sentence) + 3, used = 0;
    size_t filler = size > own ? size - own : 0, before = (size_t)(depth * (double)filler);
    size_t from = hay->sentences ? next_sentence(hay, draw_below(seed, hay->size)) : 0;
    *haystack = (struct haystack){malloc(size + own + 2 * (LEAST_HAY + 1) + 8), 0, 0};
    char *text = haystack->text;
    if (!text)
        return fail_memory(error);
    if (needle->introduction[0])
        used = (size_t)sprintf(text, "%s\n", needle->introduction);
    from = append_hay(hay, text, &used, from, before);
    text[used++] = '\n';
    haystack->start = used;
    used += (size_t)sprintf(text + used, "%s", needle->sentence);
    haystack->end = used;
    text[used++] = '\n';
    /* what repeats begins anew behind the key, as the public prompt has it */
    append_hay(hay, text, &used, hay->sentences ? from : 0, filler - before);
    text[used] = '\0';
    return LMK_OK;
}

void haystack_release(struct haystack *haystack)
{
    free(haystack->text);
    *haystack = (struct haystack){0};
}
