/* An expression inside: a program for a machine with a stack of values, in one allocation.
 *
 * AND and OR leave out their right side where the left one decides: UNLESS and IF jump, behind the
 * AND or OR, with the value still there.  Unknown is NULL on the stack. */
#ifndef GNT_FILTER_PROGRAM_H
#define GNT_FILTER_PROGRAM_H

#include "filter/expression.h"

#include <stdatomic.h>

/* While a right side is computed, the stack holds what each operator around it has to its left:
 * one value, of BETWEEN two. */
enum { GNT_STACK_MAX = 2 * GNT_EXPRESSION_DEPTH_MAX + 2 };

/*    name        pushes  what it does with the values on top, and what `arg` is */
#define GNT_OPS(X)                                                            \
    X(VALUE, 1) /* pushes values[arg] */                                      \
    X(NAME, 1)  /* pushes what names[arg] is in the message */                \
    X(SIGN, 0)  /* a number, or its negative if arg is 1; else NULL */        \
    X(ADD, -1)                                                                \
    X(SUBTRACT, -1)                                                           \
    X(MULTIPLY, -1)                                                           \
    X(DIVIDE, -1)                                                             \
    X(COMPARE, -1)     /* whether their gnt_order is in arg */                \
    X(COMPARE_WITH, 0) /* whether its gnt_order to values[arg] is in count */ \
    X(BETWEEN, -2)                                                            \
    X(IN, 0)   /* whether it is one of `count` values from values[arg] on */  \
    X(LIKE, 0) /* whether it matches the pattern values[arg] */               \
    X(IS_NULL, 0)                                                             \
    X(NOT, 0)                                                                 \
    X(AND, -1)                                                                \
    X(OR, -1)                                                                 \
    X(UNLESS, 0) /* goes on at steps[arg] if it is false */                   \
    X(IF, 0)     /* goes on at steps[arg] if it is true */

enum gnt_op {
#define GNT_OP_ENUM(name, pushes) GNT_OP_##name,
    GNT_OPS(GNT_OP_ENUM)
#undef GNT_OP_ENUM
};

struct gnt_step {
    uint16_t op; /* enum gnt_op */
    uint16_t count;
    uint32_t arg;
};

struct gnt_expression {
    atomic_uint refs;
    enum gnt_truth unlike;
    uint32_t step_count;
    struct gnt_filter_value *values;
    struct gnt_filter_name *names;
    struct gnt_step *steps;
    uint8_t *bytes; /* of the strings, patterns and names */
};

#endif
