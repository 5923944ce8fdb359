/* How often answers are wrong when only the surest are given (El-Yaniv and Wiener 2010). */
#ifndef CLI_EVAL_RISK_H
#define CLI_EVAL_RISK_H

#include "lmk.h"

#define RISK_POINTS 10

struct graded_answer {
    bool found; /* an answer was given */
    bool right;
    double confidence;
};

struct risk_curve {
    /* For the surest tenth, two tenths, ... of all questions: the share of wrong ones among them
     * and the lowest confidence. NaN where so many were not answered. */
    double risk[RISK_POINTS], confidence[RISK_POINTS];
    double coverage; /* share of the questions that were answered */
    double area;     /* mean risk over all shares from one question to those answered; NaN: none */
};

/* Sorts `answers` [count]: the surest first, of equally sure ones the wrong first, those not found
 * last. */
struct risk_curve risk_curve_make(struct graded_answer *answers, size_t count);

#endif
