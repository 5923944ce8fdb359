#include "cli/eval/risk.h"

#include <math.h>
#include <stdlib.h>

static int by_confidence(const void *left, const void *right)
{
    const struct graded_answer *a = left, *b = right;
    if (a->found != b->found)
        return a->found ? -1 : 1;
    if (a->confidence != b->confidence)
        return a->confidence > b->confidence ? -1 : 1;
    return a->right - b->right;
}

struct risk_curve risk_curve_make(struct graded_answer *answers, size_t count)
{
    struct risk_curve curve;
    size_t answered = 0, wrong = 0, point = 0;
    double sum = 0;
    qsort(answers, count, sizeof *answers, by_confidence);
    for (; answered < count && answers[answered].found; answered++) {
        wrong += !answers[answered].right;
        double risk = (double)wrong / (double)(answered + 1);
        sum += risk;
        for (; point < RISK_POINTS && (answered + 1) * RISK_POINTS >= (point + 1) * count;
             point++) {
            curve.risk[point] = risk;
            curve.confidence[point] = answers[answered].confidence;
        }
    }
    for (; point < RISK_POINTS; point++)
        curve.risk[point] = curve.confidence[point] = NAN;
    curve.coverage = count ? (double)answered / (double)count : NAN;
    curve.area = answered ? sum / (double)answered : NAN;
    return curve;
}
