#include "src/text/language.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

/* The opening sentences of books in the public domain. */
static const struct {
    const char *tag, *text;
} texts[] = {
    {"en", "It is a truth universally acknowledged, that a single man in possession of a good "
           "fortune, must be in want of a wife."},
    {"de", "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte, fand er sich in seinem "
           "Bett zu einem ungeheueren Ungeziefer verwandelt. Er lag auf seinem panzerartig harten "
           "Rücken."},
    {"fr", "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes "
           "yeux se fermaient si vite que je n'avais pas le temps de me dire: Je m'endors. Et, une "
           "demi-heure après, la pensée qu'il était temps"},
    {"es", "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que "
           "vivía un hidalgo de los de lanza en astillero, adarga antigua, rocín flaco y galgo "
           "corredor."},
    {"it", "Nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura, che la diritta "
           "via era smarrita. Ahi quanto a dir qual era è cosa dura esta selva selvaggia e aspra e "
           "forte che nel pensier rinova la paura! Io non so ben ridir come"},
    {"la", "Gallia est omnis divisa in partes tres, quarum unam incolunt Belgae, aliam Aquitani, "
           "tertiam qui ipsorum lingua Celtae, nostra Galli appellantur. Hi omnes lingua, "
           "institutis, legibus inter se differunt. Et horum omnium fortissimi sunt Belgae, ad "
           "quos et quod non ex quae cum"},
    {"ru", "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива "
           "по-своему."},
    {"el", "Άνδρα μοι έννεπε, Μούσα, πολύτροπον, ος μάλα πολλά"},
    {"ja", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"},
    {"zh", "話說天下大勢,分久必合,合久必分。周末七國分爭,并入於秦。"},
    {"", "12345 67890"},
    {"", ""},
    {"", "Hello world"},
    {"", "ls -la | grep foo > bar; printf qux"},
};

static void test_languages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_string_equal(language_detect((struct slice){texts[i].text, strlen(texts[i].text)}),
                            texts[i].tag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_languages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
