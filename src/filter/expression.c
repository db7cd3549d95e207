#include "filter/expression.h"

#include "filter/like.h"
#include "filter/program.h"

#include <stdlib.h>

const struct gnt_dialect gnt_dialect_jms = {.unlike = GNT_FALSE, .resolve = NULL};

struct gnt_expression *gnt_expression_ref(struct gnt_expression *expression)
{
    if (expression)
        atomic_fetch_add_explicit(&expression->refs, 1, memory_order_relaxed);
    return expression;
}

void gnt_expression_unref(struct gnt_expression **expression)
{
    struct gnt_expression *gone = *expression;
    *expression = NULL;
    if (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1)
        free(gone);
}

/* ---- Three values: on the stack unknown is NULL */

static enum gnt_truth truth(const struct gnt_filter_value *v)
{
    return v->kind != GNT_FILTER_BOOLEAN ? GNT_UNKNOWN : v->boolean ? GNT_TRUE : GNT_FALSE;
}

static void set(struct gnt_filter_value *v, enum gnt_truth truth)
{
    v->kind = truth == GNT_UNKNOWN ? GNT_FILTER_NULL : GNT_FILTER_BOOLEAN;
    v->boolean = truth == GNT_TRUE;
}

static enum gnt_truth negation(enum gnt_truth a)
{
    return a == GNT_UNKNOWN ? GNT_UNKNOWN : a == GNT_TRUE ? GNT_FALSE : GNT_TRUE;
}

static enum gnt_truth both(enum gnt_truth a, enum gnt_truth b)
{
    if (a == GNT_FALSE || b == GNT_FALSE)
        return GNT_FALSE;
    return a == GNT_TRUE && b == GNT_TRUE ? GNT_TRUE : GNT_UNKNOWN;
}

static enum gnt_truth either(enum gnt_truth a, enum gnt_truth b)
{
    if (a == GNT_TRUE || b == GNT_TRUE)
        return GNT_TRUE;
    return a == GNT_FALSE && b == GNT_FALSE ? GNT_FALSE : GNT_UNKNOWN;
}

/* ---- Conditions */

static enum gnt_truth compare(const struct gnt_expression *e, const struct gnt_filter_value *a,
                              unsigned orders, const struct gnt_filter_value *b)
{
    unsigned order = gnt_filter_compare(a, b);
    if (order & orders)
        return GNT_TRUE;
    return order & GNT_ORDER_UNKNOWN  ? GNT_UNKNOWN
           : order & GNT_ORDER_UNLIKE ? e->unlike
                                      : GNT_FALSE;
}

/* v[0] BETWEEN v[1] AND v[2] */
static enum gnt_truth between(const struct gnt_expression *e, const struct gnt_filter_value *v)
{
    return both(compare(e, &v[0], GNT_ORDER_GREATER | GNT_ORDER_EQUAL, &v[1]),
                compare(e, &v[0], GNT_ORDER_LESS | GNT_ORDER_EQUAL, &v[2]));
}

static enum gnt_truth in(const struct gnt_expression *e, const struct gnt_filter_value *v,
                         const struct gnt_step *step)
{
    enum gnt_truth found = GNT_FALSE;
    for (uint32_t i = 0; i < step->count && found != GNT_TRUE; i++)
        found = either(found, compare(e, v, GNT_ORDER_EQUAL, &e->values[step->arg + i]));
    return found;
}

static enum gnt_truth like(const struct gnt_expression *e, const struct gnt_filter_value *v,
                           const struct gnt_filter_value *pattern)
{
    if (v->kind != GNT_FILTER_STRING)
        return v->kind == GNT_FILTER_NULL ? GNT_UNKNOWN : e->unlike;
    return gnt_like_matches(pattern->bytes, v->bytes) ? GNT_TRUE : GNT_FALSE;
}

/* ---- Arithmetic: what has no result is NULL */

/* False: no whole number, or one over INT64_MAX. */
static bool as_integer(const struct gnt_filter_value *v, int64_t *out)
{
    *out = v->integer;
    return v->kind == GNT_FILTER_INTEGER || v->kind == GNT_FILTER_TIMESTAMP ||
           (v->kind == GNT_FILTER_UNSIGNED && v->unsign <= INT64_MAX);
}

static bool as_real(const struct gnt_filter_value *v, double *out)
{
    switch (v->kind) {
    case GNT_FILTER_INTEGER:
    case GNT_FILTER_TIMESTAMP: *out = (double)v->integer; return true;
    case GNT_FILTER_UNSIGNED: *out = (double)v->unsign; return true;
    case GNT_FILTER_REAL: *out = v->real; return true;
    case GNT_FILTER_NULL:
    case GNT_FILTER_BOOLEAN:
    case GNT_FILTER_STRING:
    case GNT_FILTER_BINARY:
    case GNT_FILTER_OTHER: break;
    }
    return false;
}

static double real_result(enum gnt_op op, double a, double b)
{
    return op == GNT_OP_ADD        ? a + b
           : op == GNT_OP_SUBTRACT ? a - b
           : op == GNT_OP_MULTIPLY ? a * b
                                   : a / b;
}

/* False: it overflows, or divides by zero. */
static bool integer_result(enum gnt_op op, int64_t a, int64_t b, int64_t *out)
{
    if (op == GNT_OP_ADD)
        return !__builtin_add_overflow(a, b, out);
    if (op == GNT_OP_SUBTRACT)
        return !__builtin_sub_overflow(a, b, out);
    if (op == GNT_OP_MULTIPLY)
        return !__builtin_mul_overflow(a, b, out);
    if (b == 0 || (a == INT64_MIN && b == -1))
        return false;
    *out = a / b;
    return true;
}

/* *a = *a OP *b. */
static void calculate(enum gnt_op op, struct gnt_filter_value *a, const struct gnt_filter_value *b)
{
    int64_t i, k;
    double x, y;
    bool real = a->kind == GNT_FILTER_REAL || b->kind == GNT_FILTER_REAL;
    if (real && as_real(a, &x) && as_real(b, &y))
        *a = (struct gnt_filter_value){.kind = GNT_FILTER_REAL, .real = real_result(op, x, y)};
    else if (as_integer(a, &i) && as_integer(b, &k) && integer_result(op, i, k, &i))
        *a = (struct gnt_filter_value){.kind = GNT_FILTER_INTEGER, .integer = i};
    else
        a->kind = GNT_FILTER_NULL;
}

static void sign(struct gnt_filter_value *v, bool negative)
{
    const struct gnt_filter_value factor = {.kind = GNT_FILTER_INTEGER,
                                            .integer = negative ? -1 : 1};
    calculate(GNT_OP_MULTIPLY, v, &factor);
}

/* ---- The machine */

enum gnt_truth gnt_expression_evaluate(const struct gnt_expression *e, gnt_filter_lookup *lookup,
                                       void *context)
{
    struct gnt_filter_value stack[GNT_STACK_MAX + 1]; /* the first one is below the bottom */
    struct gnt_filter_value *top = stack;
    const struct gnt_step *end = e->steps + e->step_count;
    for (const struct gnt_step *step = e->steps; step < end; step++) {
        const enum gnt_op op = (enum gnt_op)step->op;
        switch (op) {
        case GNT_OP_VALUE: *++top = e->values[step->arg]; break;
        case GNT_OP_NAME:
            if (!lookup(context, &e->names[step->arg], ++top))
                top->kind = GNT_FILTER_NULL;
            break;
        case GNT_OP_SIGN: sign(top, step->arg); break;
        case GNT_OP_ADD:
        case GNT_OP_SUBTRACT:
        case GNT_OP_MULTIPLY:
        case GNT_OP_DIVIDE:
            top--;
            calculate(op, top, top + 1);
            break;
        case GNT_OP_COMPARE:
            top--;
            set(top, compare(e, top, step->arg, top + 1));
            break;
        case GNT_OP_COMPARE_WITH:
            set(top, compare(e, top, step->count, &e->values[step->arg]));
            break;
        case GNT_OP_BETWEEN:
            top -= 2;
            set(top, between(e, top));
            break;
        case GNT_OP_IN: set(top, in(e, top, step)); break;
        case GNT_OP_LIKE: set(top, like(e, top, &e->values[step->arg])); break;
        case GNT_OP_IS_NULL: set(top, top->kind == GNT_FILTER_NULL ? GNT_TRUE : GNT_FALSE); break;
        case GNT_OP_NOT: set(top, negation(truth(top))); break;
        case GNT_OP_AND:
            top--;
            set(top, both(truth(top), truth(top + 1)));
            break;
        case GNT_OP_OR:
            top--;
            set(top, either(truth(top), truth(top + 1)));
            break;
        case GNT_OP_UNLESS:
            if (truth(top) == GNT_FALSE)
                step = e->steps + step->arg - 1;
            break;
        case GNT_OP_IF:
            if (truth(top) == GNT_TRUE)
                step = e->steps + step->arg - 1;
            break;
        }
    }
    return truth(top);
}

bool gnt_expression_comparison(const struct gnt_expression *e, struct gnt_comparison *out)
{
    const struct gnt_step *s = e->steps;
    if (e->step_count != 2 || s[0].op != GNT_OP_NAME || s[1].op != GNT_OP_COMPARE_WITH)
        return false;
    *out = (struct gnt_comparison){.name = e->names[s[0].arg],
                                   .orders = (uint8_t)s[1].count,
                                   .value = e->values[s[1].arg]};
    return true;
}
