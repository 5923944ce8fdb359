/* Orders for qsort and bsearch. */
#ifndef BASE_ORDER_H
#define BASE_ORDER_H

#include <stdint.h>

/* Of uint64_t, ascending. */
static inline int order_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

#endif
