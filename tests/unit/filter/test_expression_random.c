/* Random expressions, against a second evaluator that walks their trees; and laws that hold for
 * all.
 *
 * A tree is made at random, evaluated as it is, and printed: with more brackets and blanks than it
 * needs, or as few as the precedences allow.  Text and tree have to say the same of a message. */
#include "support/filter_fields.h"
#include "support/unit.h"

#include "base/random.h"
#include "filter/expression.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct filter_field message[] = {
    {"red", FIELD_STRING("red")},
    {"ab", FIELD_STRING("ab")},
    {"none", FIELD_STRING("")},
    {"one", FIELD_INTEGER(1)},
    {"two", FIELD_UNSIGNED(2)},
    {"minus", FIELD_INTEGER(-7)},
    {"max", FIELD_INTEGER(INT64_MAX)},
    {"min", FIELD_INTEGER(INT64_MIN)},
    {"huge", FIELD_UNSIGNED(UINT64_C(1) << 63)},
    {"half", FIELD_REAL(0.5)},
    {"nan", FIELD_REAL((double)NAN)},
    {"when", FIELD_TIMESTAMP(2)},
    {"yes", FIELD_BOOLEAN(true)},
    {"no", FIELD_BOOLEAN(false)},
    {"bytes", FIELD_BINARY("ab")},
    {"list", FIELD_OTHER},
    {"missing", FIELD_NULL},
};

static const char *const patterns[] = {"", "%", "r%", "%d", "_e_", "a_", "%b%", "ab"};

/* ---- Trees */

enum kind {
    FIELD,
    CONSTANT,
    SIGN,
    SUM,
    PRODUCT,
    COMPARE,
    BETWEEN,
    IN,
    LIKE,
    IS_NULL,
    NOT,
    AND,
    OR
};

struct tree {
    enum kind kind;
    int how;      /* which field, operator, pattern; the sign */
    bool negated; /* NOT BETWEEN, NOT IN, NOT LIKE, IS NOT NULL */
    struct gnt_filter_value value;
    struct tree *part[3];
};

static struct tree pool[4096];
static size_t used;

static unsigned below(struct gnt_seeded *g, unsigned n)
{
    return (unsigned)gnt_random_below(&g->door, n);
}

static struct tree *grow(struct gnt_seeded *g, enum kind kind)
{
    assert_true(used < COUNT_OF(pool));
    struct tree *t = &pool[used++];
    memset(t, 0, sizeof *t);
    t->kind = kind;
    t->negated = below(g, 3) == 0;
    return t;
}

static struct tree *literal(struct gnt_seeded *g)
{
    static const struct gnt_filter_value values[] = {
        FIELD_INTEGER(0),    FIELD_INTEGER(1),   FIELD_INTEGER(2),         FIELD_INTEGER(-7),
        FIELD_REAL(0.5),     FIELD_REAL(2.0),    FIELD_INTEGER(INT64_MAX), FIELD_INTEGER(INT64_MIN),
        FIELD_STRING("red"), FIELD_STRING("ab"), FIELD_STRING("a'b"),
    };
    struct tree *t = grow(g, CONSTANT);
    t->value = values[below(g, COUNT_OF(values))];
    return t;
}

static struct tree *field(struct gnt_seeded *g)
{
    struct tree *t = grow(g, FIELD);
    t->how = (int)below(g, COUNT_OF(message));
    return t;
}

/* A field or something with a number. */
static struct tree *numeric(struct gnt_seeded *g, unsigned depth)
{
    static const enum kind kinds[] = {SIGN, SUM, PRODUCT};
    if (depth == 0 || below(g, 3) == 0) {
        struct tree *t;
        do
            t = below(g, 2) ? field(g) : literal(g);
        while (t->kind == CONSTANT && t->value.kind == GNT_FILTER_STRING);
        return t;
    }
    struct tree *t = grow(g, kinds[below(g, 3)]);
    t->how = (int)below(g, 2);
    t->part[0] = numeric(g, depth - 1);
    if (t->kind != SIGN)
        t->part[1] = numeric(g, depth - 1);
    return t;
}

static struct tree *value(struct gnt_seeded *g, unsigned depth)
{
    return below(g, 3) == 0 ? literal(g) : below(g, 2) ? field(g) : numeric(g, depth);
}

static struct tree *condition(struct gnt_seeded *g, unsigned depth)
{
    static const enum kind kinds[] = {COMPARE, COMPARE, BETWEEN, IN,  LIKE, IS_NULL,
                                      NOT,     AND,     OR,      AND, OR};
    if (depth == 0)
        return field(g);
    struct tree *t = grow(g, kinds[below(g, COUNT_OF(kinds))]);
    bool logic = t->kind == AND || t->kind == OR;
    if (logic || t->kind == NOT)
        t->part[0] = condition(g, depth - 1);
    else
        t->part[0] = t->kind == LIKE ? field(g) : value(g, depth - 1);
    if (logic)
        t->part[1] = condition(g, depth - 1);
    else if (t->kind == COMPARE || t->kind == BETWEEN)
        t->part[1] = value(g, depth - 1);
    else if (t->kind == IN)
        t->part[1] = literal(g);
    if (t->kind == BETWEEN)
        t->part[2] = value(g, depth - 1);
    if (t->kind == IN)
        t->part[2] = literal(g);
    t->how = (int)below(g, t->kind == LIKE ? COUNT_OF(patterns) : 6);
    return t;
}

/* ---- The second evaluator.  Unknown is NULL. */

static struct gnt_filter_value truth(int is)
{
    return is < 0 ? (struct gnt_filter_value)FIELD_NULL
                  : (struct gnt_filter_value)FIELD_BOOLEAN(is > 0);
}

static bool is_bool(struct gnt_filter_value v, bool what)
{
    return v.kind == GNT_FILTER_BOOLEAN && v.boolean == what;
}

static struct gnt_filter_value not_of(struct gnt_filter_value v)
{
    return v.kind == GNT_FILTER_BOOLEAN ? truth(!v.boolean) : truth(-1);
}

static struct gnt_filter_value and_of(struct gnt_filter_value a, struct gnt_filter_value b)
{
    if (is_bool(a, false) || is_bool(b, false))
        return truth(0);
    return is_bool(a, true) && is_bool(b, true) ? truth(1) : truth(-1);
}

/* A whole number: its bits, and whether it is over INT64_MAX. */
static bool whole(struct gnt_filter_value v, int64_t *out, bool *huge)
{
    *out = v.integer;
    *huge = v.kind == GNT_FILTER_UNSIGNED && v.unsign >> 63;
    return v.kind == GNT_FILTER_INTEGER || v.kind == GNT_FILTER_TIMESTAMP ||
           v.kind == GNT_FILTER_UNSIGNED;
}

static bool real(struct gnt_filter_value v, double *out)
{
    int64_t i;
    bool huge;
    if (v.kind == GNT_FILTER_REAL)
        *out = v.real;
    else if (whole(v, &i, &huge))
        *out = huge ? (double)(i + INT64_MAX + 1) + 0x1p63 : (double)i;
    else
        return false;
    return true;
}

/* -1, 0, 1; 2 different, 3 unlike, 4 unknown */
static int order(struct gnt_filter_value a, struct gnt_filter_value b)
{
    int64_t i, k;
    bool huge[2];
    double x, y;
    if (a.kind == GNT_FILTER_NULL || b.kind == GNT_FILTER_NULL)
        return 4;
    if (whole(a, &i, &huge[0]) && whole(b, &k, &huge[1]))
        return huge[0] != huge[1] ? huge[0] - huge[1] : i < k ? -1 : i > k;
    if (real(a, &x) && real(b, &y))
        return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
    if (a.kind != b.kind || a.kind == GNT_FILTER_OTHER)
        return 3;
    if (a.kind == GNT_FILTER_BOOLEAN)
        return a.boolean == b.boolean ? 0 : 2;
    for (size_t n = 0;; n++) {
        if (n == a.bytes.size || n == b.bytes.size)
            return a.bytes.size < b.bytes.size ? -1 : a.bytes.size > b.bytes.size;
        if (a.bytes.data[n] != b.bytes.data[n])
            return a.bytes.data[n] < b.bytes.data[n] ? -1 : 1;
    }
}

static const char *const operators[] = {"=", "<>", "<", "<=", ">", ">="};

static struct gnt_filter_value compare(struct gnt_filter_value a, int op, struct gnt_filter_value b)
{
    int o = order(a, b);
    if (o == 4)
        return truth(-1);
    if (o == 3)
        return truth(0);
    if (o == 2)
        return truth(op == 1);
    const bool is[] = {o == 0, o != 0, o<0, o <= 0, o> 0, o >= 0};
    return truth(is[op]);
}

/* Whether the result is no number of 64 bits. */
static bool overflows(int64_t i, bool product, int how, int64_t k)
{
    const int64_t max = INT64_MAX, min = INT64_MIN;
    if (product && how)
        return k == 0 || (i == min && k == -1);
    if (product)
        return i && k &&
               ((i == -1 && k == min) || (k == -1 && i == min) ||
                (int64_t)((uint64_t)i * (uint64_t)k) / k != i);
    if (how)
        return (k < 0 && i > max + k) || (k > 0 && i < min + k);
    return (k > 0 && i > max - k) || (k < 0 && i < min - k);
}

static struct gnt_filter_value calculate(struct gnt_filter_value a, bool product, int how,
                                         struct gnt_filter_value b)
{
    int64_t i, k;
    bool huge[2];
    double x, y;
    if (whole(a, &i, &huge[0]) && whole(b, &k, &huge[1])) {
        if (huge[0] || huge[1] || overflows(i, product, how, k))
            return (struct gnt_filter_value)FIELD_NULL;
        return (struct gnt_filter_value)FIELD_INTEGER(product ? how ? i / k : i * k
                                                      : how   ? i - k
                                                              : i + k);
    }
    if (!real(a, &x) || !real(b, &y))
        return (struct gnt_filter_value)FIELD_NULL;
    return (struct gnt_filter_value)FIELD_REAL(product ? how ? x / y : x * y : how ? x - y : x + y);
}

static bool like(struct gnt_slice text, const char *pattern)
{
    if (!*pattern)
        return text.size == 0;
    if (*pattern == '%')
        return like(text, pattern + 1) || (text.size && like(gnt_slice_skip(text, 1), pattern));
    return text.size && (*pattern == '_' || (uint8_t)*pattern == text.data[0]) &&
           like(gnt_slice_skip(text, 1), pattern + 1);
}

static struct gnt_filter_value evaluate(const struct tree *t)
{
    struct gnt_filter_value v[3];
    for (size_t i = 0; i < 3; i++)
        v[i] = t->part[i] ? evaluate(t->part[i]) : (struct gnt_filter_value)FIELD_NULL;
    switch (t->kind) {
    case FIELD: return message[t->how].value;
    case CONSTANT: return t->value;
    case SIGN:
        return calculate((struct gnt_filter_value)FIELD_INTEGER(t->how ? -1 : 1), true, 0, v[0]);
    case SUM: return calculate(v[0], false, t->how, v[1]);
    case PRODUCT: return calculate(v[0], true, t->how, v[1]);
    case COMPARE: return compare(v[0], t->how, v[1]);
    case BETWEEN: v[0] = and_of(compare(v[0], 5, v[1]), compare(v[0], 3, v[2])); break;
    case IN:
        v[0] = not_of(and_of(not_of(compare(v[0], 0, v[1])), not_of(compare(v[0], 0, v[2]))));
        break;
    case LIKE:
        v[0] = v[0].kind == GNT_FILTER_NULL     ? truth(-1)
               : v[0].kind != GNT_FILTER_STRING ? truth(0)
                                                : truth(like(v[0].bytes, patterns[t->how]));
        break;
    case IS_NULL: v[0] = truth(v[0].kind == GNT_FILTER_NULL); break;
    case NOT: return not_of(v[0]);
    case AND: return and_of(v[0], v[1]);
    case OR: return not_of(and_of(not_of(v[0]), not_of(v[1])));
    }
    return t->negated ? not_of(v[0]) : v[0];
}

/* ---- Printing */

struct printer {
    struct gnt_seeded *g;
    char text[GNT_EXPRESSION_TEXT_MAX + 1];
    size_t size;
    bool full;
};

static void put(struct printer *p, const char *word)
{
    size_t size = strlen(word);
    bool blank = p->size == 0 || below(p->g, 4) > 0;
    if (p->size + size + 2 >= sizeof p->text) {
        p->full = true;
        return;
    }
    if (blank ||
        (p->size && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'<>=",
                           p->text[p->size - 1])))
        p->text[p->size++] = below(p->g, 8) ? ' ' : '\n';
    for (size_t i = 0; i < size; i++)
        p->text[p->size++] = word[i];
}

/* In capitals, small letters, or both. */
static void put_keyword(struct printer *p, const char *word)
{
    char copy[16] = "";
    for (size_t i = 0; word[i]; i++)
        copy[i] =
            word[i] >= 'A' && word[i] <= 'Z' && below(p->g, 2) ? (char)(word[i] + 32) : word[i];
    put(p, copy);
}

static void put_value(struct printer *p, struct gnt_filter_value v)
{
    char word[64];
    if (v.kind == GNT_FILTER_INTEGER)
        snprintf(word, sizeof word, "%" PRId64, v.integer);
    else if (v.kind == GNT_FILTER_REAL)
        snprintf(word, sizeof word, "%.3f", v.real);
    else
        snprintf(word, sizeof word, "'%s'",
                 gnt_slice_eq_str(v.bytes, "a'b") ? "a''b" : (const char *)v.bytes.data);
    put(p, word);
}

/* How tightly a tree binds, as the standard lists it. */
static const int tightness[] = {
    [FIELD] = 9,   [CONSTANT] = 9, [SIGN] = 8, [PRODUCT] = 7, [SUM] = 6,
    [COMPARE] = 5, [BETWEEN] = 5,  [IN] = 5,   [LIKE] = 5,    [IS_NULL] = 5,
    [NOT] = 4,     [AND] = 3,      [OR] = 2};

static void print(struct printer *p, const struct tree *t, int tight);

static void print_predicate(struct printer *p, const struct tree *t)
{
    print(p, t->part[0], 6);
    if (t->kind == COMPARE) {
        put(p, operators[t->how]);
        print(p, t->part[1], 6);
        return;
    }
    if (t->kind == IS_NULL) {
        put_keyword(p, t->negated ? "IS NOT NULL" : "IS NULL");
        return;
    }
    if (t->negated)
        put_keyword(p, "NOT");
    if (t->kind == LIKE) {
        char word[32];
        snprintf(word, sizeof word, "'%s'", patterns[t->how]);
        put_keyword(p, "LIKE");
        put(p, word);
        return;
    }
    put_keyword(p, t->kind == BETWEEN ? "BETWEEN" : "IN");
    if (t->kind == IN)
        put(p, "(");
    print(p, t->part[1], 6);
    if (t->kind == IN)
        put(p, ",");
    else
        put_keyword(p, "AND");
    print(p, t->part[2], 6);
    if (t->kind == IN)
        put(p, ")");
}

static void print_infix(struct printer *p, const struct tree *t, const char *word)
{
    print(p, t->part[0], tightness[t->kind]);
    put_keyword(p, word);
    print(p, t->part[1], tightness[t->kind] + 1);
}

static void print_bare(struct printer *p, const struct tree *t)
{
    switch (t->kind) {
    case FIELD: put(p, message[t->how].name); break;
    case CONSTANT: put_value(p, t->value); break;
    case SIGN:
        put(p, t->how ? "-" : "+");
        print(p, t->part[0], 8);
        break;
    case SUM: print_infix(p, t, t->how ? "-" : "+"); break;
    case PRODUCT: print_infix(p, t, t->how ? "/" : "*"); break;
    case COMPARE:
    case BETWEEN:
    case IN:
    case LIKE:
    case IS_NULL: print_predicate(p, t); break;
    case NOT:
        put_keyword(p, "NOT");
        print(p, t->part[0], 4);
        break;
    case AND: print_infix(p, t, "AND"); break;
    case OR: print_infix(p, t, "OR"); break;
    }
}

/* In brackets if it must be, and now and then if it need not: a literal never, because IN has none
 * around its own. */
static void print(struct printer *p, const struct tree *t, int tight)
{
    bool brackets = tightness[t->kind] < tight || (t->kind != CONSTANT && below(p->g, 6) == 0);
    if (brackets)
        put(p, "(");
    print_bare(p, t);
    if (brackets)
        put(p, ")");
}

/* ---- The tests */

static enum gnt_truth asked(const char *text, uint64_t seed)
{
    struct gnt_expression *made = NULL;
    struct gnt_expression_error error = {0, ""};
    struct filter_field fields[COUNT_OF(message) + 1] = {0};
    memcpy(fields, message, sizeof message);
    if (gnt_expression_compile(gnt_slice_str(text), &gnt_dialect_jms, &made, &error))
        fail_msg("seed %" PRIu64 ": %s: column %u: %s", seed, text, error.column, error.text);
    enum gnt_truth is = gnt_expression_evaluate(made, filter_fields_lookup, fields);
    gnt_expression_unref(&made);
    return is;
}

static enum gnt_truth of_value(struct gnt_filter_value v)
{
    return v.kind != GNT_FILTER_BOOLEAN ? GNT_UNKNOWN : v.boolean ? GNT_TRUE : GNT_FALSE;
}

/* Prints a tree that fits; false if it is too long for a text. */
static bool printed(struct printer *p, const struct tree *t)
{
    p->size = 0;
    p->full = false;
    print(p, t, 0);
    p->text[p->size] = '\0';
    return !p->full;
}

static void text_and_tree_say_the_same(void **state)
{
    const uint64_t seed = gnt_random_u64(&gnt_random_system);
    struct gnt_seeded g;
    static struct printer p;
    size_t said[3] = {0, 0, 0};
    (void)state;
    gnt_seeded_init(&g, seed);
    p.g = &g;
    for (size_t i = 0; i < 50000; i++) {
        used = 0;
        struct tree *t = condition(&g, 1 + below(&g, 5));
        if (!printed(&p, t))
            continue;
        enum gnt_truth wanted = of_value(evaluate(t)), found = asked(p.text, seed);
        if (found != wanted)
            fail_msg("seed %" PRIu64 ": %s: %d instead of %d", seed, p.text, (int)found,
                     (int)wanted);
        said[found]++;
    }
    assert_true(said[0] > 1000 && said[1] > 1000 && said[2] > 1000);
}

/* The right side of a law in the words of the left one's: A, B, C are put in for %1$s, ... */
static void laws(void **state)
{
    static const char *const law[][2] = {
        {"NOT (NOT (%1$s))", "(%1$s) AND TRUE"},
        {"NOT ((%1$s) AND (%2$s))", "NOT (%1$s) OR NOT (%2$s)"},
        {"NOT ((%1$s) OR (%2$s))", "NOT (%1$s) AND NOT (%2$s)"},
        {"(%1$s) AND ((%2$s) OR (%3$s))", "(%1$s) AND (%2$s) OR (%1$s) AND (%3$s)"},
        {"(%1$s) OR (%2$s) AND (%3$s)", "((%1$s) OR (%2$s)) AND ((%1$s) OR (%3$s))"},
        {"(%1$s) AND (%2$s)", "(%2$s) AND (%1$s)"},
        {"(%1$s) OR (%2$s)", "(%2$s) OR (%1$s)"},
        {"((%1$s) AND TRUE) IS NULL", "(NOT (%1$s)) IS NULL"},
    };
    static const char *const value_law[][2] = {
        {"%1$s BETWEEN %2$s AND %3$s", "%1$s >= %2$s AND %1$s <= %3$s"},
        {"%1$s NOT BETWEEN %2$s AND %3$s", "NOT (%1$s >= %2$s AND %1$s <= %3$s)"},
        {"%1$s = %2$s", "%2$s = %1$s"},
        {"%1$s <> %2$s", "%2$s <> %1$s"},
        {"%1$s < %2$s", "%2$s > %1$s"},
        {"%1$s <= %2$s", "%1$s < %2$s OR %1$s = %2$s"},
        {"%1$s IS NOT NULL AND %2$s = %2$s", "NOT %1$s IS NULL AND %2$s = %2$s"},
        {"%1$s + %2$s = %3$s", "%2$s + %1$s = %3$s"},
    };
    const uint64_t seed = gnt_random_u64(&gnt_random_system);
    static struct printer p[3];
    static char left[4 * GNT_EXPRESSION_TEXT_MAX], right[sizeof left];
    struct gnt_seeded g;
    (void)state;
    gnt_seeded_init(&g, seed);
    for (size_t i = 0; i < 20000; i++) {
        bool values = i % 2;
        used = 0;
        for (size_t k = 0; k < 3; k++) {
            p[k].g = &g;
            assert_true(printed(&p[k], values ? field(&g) : condition(&g, below(&g, 4))));
        }
        const char *const *pair =
            values ? value_law[below(&g, COUNT_OF(value_law))] : law[below(&g, COUNT_OF(law))];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(left, sizeof left, pair[0], p[0].text, p[1].text, p[2].text);
        snprintf(right, sizeof right, pair[1], p[0].text, p[1].text, p[2].text);
#pragma GCC diagnostic pop
        if (strlen(left) > GNT_EXPRESSION_TEXT_MAX || strlen(right) > GNT_EXPRESSION_TEXT_MAX)
            continue;
        if (asked(left, seed) != asked(right, seed))
            fail_msg("seed %" PRIu64 ": %s is not %s", seed, left, right);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_tree_say_the_same),
        cmocka_unit_test(laws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
