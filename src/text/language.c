#include "src/text/language.h"
#include "src/text/utf8.h"

#include <string.h>

#define WINDOWS 3
#define WINDOW_BYTES ((size_t)16 << 10)
#define WORD_MAX 16

/* The most frequent words of each, between spaces. */
static const struct {
    const char *tag, *words;
} languages[] = {
    {"en", " the and of to that it was is with his for as had you not be her at which have from by "
           "this she "},
    {"de",
     " der die und das ist nicht ein eine den dem zu sich mit auf war ich er sie von auch wie "
     "aber es "},
    {"fr",
     " de un à le la les et des est une dans que qui il elle pas pour sur avec ce au ne je vous du "
     "mais se "},
    {"es", " de que en la un el los las del y por con una no su para como se lo pero más le ha era "
           "al muy "},
    {"it", " e la un il di che non per una del della con gli sono si più ma come le dei alla nel "
           "era anche "},
    {"pt",
     " de a e o que não uma os do da em para com por mas as se dos ao ele como foi mais seu ou "},
    {"nl", " de het een van en niet dat ik zijn was hij met op voor te aan er maar haar om ook "},
    {"sv", " och att det som en inte jag han på är av för med den var till hade men hon sig "},
    {"da", " og at det som en ikke jeg han på er af for med den var til havde men hun sig "},
    {"fi", " ja on ei se että hän oli niin mutta kuin ne tai joka minä ole myös sen nyt "},
    {"pl", " i w nie się na że z to do jest jak ale po co tak za od jego był "},
    {"la", " et in est non ad cum ut quod sed qui ex si ab quae per esse aut atque enim "},
};
#define LANGUAGES (sizeof languages / sizeof languages[0])

/* Ranges of letters of scripts, and what is mostly written in them. */
static const struct {
    uint32_t first, last;
    const char *tag;
} scripts[] = {
    {0x0370, 0x03FF, "el"}, {0x0400, 0x04FF, "ru"}, {0x0590, 0x05FF, "he"}, {0x0600, 0x06FF, "ar"},
    {0x0900, 0x097F, "hi"}, {0x3040, 0x30FF, "ja"}, {0x4E00, 0x9FFF, "zh"}, {0xAC00, 0xD7AF, "ko"},
};
#define SCRIPTS (sizeof scripts / sizeof scripts[0])

struct count {
    size_t words, hits[LANGUAGES];
    size_t letters[SCRIPTS], latin;
};

static uint32_t decode(const char *text, size_t size)
{
    static const unsigned char masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t code = (unsigned char)text[0] & masks[size];
    for (size_t i = 1; i < size; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3F);
    return code;
}

static bool is_letter(uint32_t code)
{
    return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') || code >= 0xC0;
}

static void count_letter(struct count *count, uint32_t code)
{
    count->latin += code < 0x0250;
    for (size_t i = 0; i < SCRIPTS; i++)
        count->letters[i] += code >= scripts[i].first && code <= scripts[i].last;
}

/* `word` is in lower case between spaces. */
static void count_word(struct count *count, const char *word)
{
    count->words++;
    for (size_t i = 0; i < LANGUAGES; i++)
        count->hits[i] += strstr(languages[i].words, word) != NULL;
}

static void count_window(struct count *count, struct slice text)
{
    char word[WORD_MAX + 3] = " ";
    size_t length = 1;
    for (size_t at = 0, size; at < text.size; at += size) {
        bool valid;
        size = utf8_length(text.text + at, text.size - at, &valid);
        uint32_t code = valid ? decode(text.text + at, size) : ' ';
        if (is_letter(code)) {
            count_letter(count, code);
            for (size_t i = 0; i < size && length <= WORD_MAX; i++) {
                char c = text.text[at + i];
                word[length++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
            }
            continue;
        }
        if (length > 1 && length <= WORD_MAX) {
            memcpy(word + length, " ", 2);
            count_word(count, word);
        }
        length = 1;
    }
}

static const char *by_script(const struct count *count)
{
    size_t others = 0, most = 0;
    for (size_t i = 0; i < SCRIPTS; i++) {
        others += count->letters[i];
        most = count->letters[i] > count->letters[most] ? i : most;
    }
    if (others < 20 || others <= count->latin)
        return NULL;
    /* Japanese is written with Chinese characters too, but never with them alone. */
    bool japanese = !strcmp(scripts[most].tag, "zh") && count->letters[5] > others / 10;
    return japanese ? "ja" : scripts[most].tag;
}

static const char *by_words(const struct count *count)
{
    size_t best = 0, second = 0;
    for (size_t i = 0; i < LANGUAGES; i++)
        best = count->hits[i] > count->hits[best] ? i : best;
    for (size_t i = 0; i < LANGUAGES; i++)
        if (i != best && count->hits[i] > second)
            second = count->hits[i];
    bool clear = count->hits[best] >= 5 && count->hits[best] >= count->words / 10 &&
                 count->hits[best] > second + second / 4;
    return clear ? languages[best].tag : "";
}

const char *language_detect(struct slice text)
{
    struct count count = {.words = 0};
    size_t step = text.size / WINDOWS;
    if (text.size <= WINDOWS * WINDOW_BYTES)
        count_window(&count, text);
    for (size_t i = 0; i < WINDOWS && text.size > WINDOWS * WINDOW_BYTES; i++)
        count_window(&count, (struct slice){text.text + i * step, WINDOW_BYTES});
    const char *script = by_script(&count);
    return script ? script : by_words(&count);
}
