#include "filter/expression.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "filter/like.h"
#include "filter/program.h"
#include "filter/token.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* How tightly operators bind. */
enum level {
    LEVEL_OR = 1,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_COMPARE,
    LEVEL_SUM,
    LEVEL_PRODUCT,
    LEVEL_SIGN,
};

/* What is known of a value from the text: a set, of which a field may be any. */
enum type { CONDITION = 1, NUMBER = 2, STRING = 4, FIELD = 7 };

struct operand {
    const uint8_t *at; /* where it begins */
    uint8_t type;
};

struct parser {
    struct gnt_slice text, rest;
    struct gnt_token token; /* the next one to look at */
    const struct gnt_dialect *dialect;
    struct gnt_expression *made;
    uint32_t values, names, step_max;
    size_t bytes;
    unsigned depth, height; /* of parse() in itself; of the stack at this step */
    struct gnt_expression_error *error;
};

struct infix {
    bool (*parse)(struct parser *p, const struct infix *row, struct operand *left);
    uint8_t level; /* 0: no operator */
    uint8_t op;    /* enum gnt_op */
    uint8_t arg;   /* COMPARE: the orders that make it true; AND, OR: the jump */
    bool negatable;
};

static const struct infix infixes[GNT_TOKEN_KINDS];

static bool parse(struct parser *p, enum level level, struct operand *out);

/* ---- Mistakes */

static unsigned column(struct gnt_slice text, const uint8_t *at)
{
    unsigned count = 1;
    for (const uint8_t *c = text.data; c < at; c++)
        count += (*c & 0xc0) != 0x80;
    return count;
}

__attribute__((format(printf, 3, 4))) static bool fail(struct parser *p, const uint8_t *at,
                                                       const char *format, ...)
{
    va_list words;
    va_start(words, format);
    p->error->column = at ? column(p->text, at) : 0;
    vsnprintf(p->error->text, sizeof p->error->text, format, words);
    va_end(words);
    return false;
}

/* Something else than WHAT stands here. */
static bool unexpected(struct parser *p, const char *what)
{
    char found[40];
    const struct gnt_token *t = &p->token;
    gnt_utf8_printable(t->text, found, sizeof found);
    if (t->kind == GNT_TOKEN_BAD)
        return fail(p, t->text.data, "%s: %s", t->why, found);
    return fail(p, t->text.data, "expected %s, found %s", what,
                t->kind == GNT_TOKEN_END ? "the end" : found);
}

static bool wants(struct parser *p, const struct operand *operand, uint8_t type)
{
    static const char *const words[] = {[CONDITION] = "a condition",
                                        [NUMBER] = "a number",
                                        [STRING] = "a string",
                                        [NUMBER | STRING] = "a number or a string"};
    if (operand->type & type)
        return true;
    return fail(p, operand->at, "expected %s, found %s", words[type], words[operand->type]);
}

/* ---- Words in, steps out */

static void next(struct parser *p)
{
    p->token = gnt_token_take(&p->rest);
}

static bool take(struct parser *p, enum gnt_token_kind kind, const char *what)
{
    if (p->token.kind != kind)
        return unexpected(p, what);
    next(p);
    return true;
}

static uint32_t emit(struct parser *p, enum gnt_op op, uint32_t arg, size_t count)
{
    static const int pushes[] = {
#define GNT_OP_PUSHES(name, pushed) [GNT_OP_##name] = (pushed),
        GNT_OPS(GNT_OP_PUSHES)
#undef GNT_OP_PUSHES
    };
    p->height += (unsigned)pushes[op];
    GNT_ASSERT(p->made->step_count < p->step_max);
    GNT_ASSERT(p->height <= GNT_STACK_MAX);
    p->made->steps[p->made->step_count] =
        (struct gnt_step){.op = (uint16_t)op, .count = (uint16_t)count, .arg = arg};
    return p->made->step_count++;
}

/* Copies what is between quotes, where two of QUOTE stand for one. */
static struct gnt_slice keep(struct parser *p, struct gnt_slice inside, uint8_t quote)
{
    uint8_t *to = p->made->bytes + p->bytes;
    size_t size = 0;
    for (size_t i = 0; i < inside.size; i += inside.data[i] == quote ? 2 : 1)
        to[size++] = inside.data[i];
    p->bytes += size;
    return gnt_slice(to, size);
}

static uint32_t add_value(struct parser *p, struct gnt_filter_value value)
{
    p->made->values[p->values] = value;
    return p->values++;
}

/* ---- Literals and names */

static bool is_number(enum gnt_token_kind kind)
{
    return kind == GNT_TOKEN_INTEGER || kind == GNT_TOKEN_REAL;
}

static bool is_sign(enum gnt_token_kind kind)
{
    return kind == GNT_TOKEN_PLUS || kind == GNT_TOKEN_MINUS;
}

/* Whether a literal comes next; a sign and a number are one, which -2^63 needs. */
static bool at_literal(const struct parser *p)
{
    struct gnt_slice rest = p->rest;
    enum gnt_token_kind kind = p->token.kind;
    return is_number(kind) || kind == GNT_TOKEN_STRING || kind == GNT_TOKEN_TRUE ||
           kind == GNT_TOKEN_FALSE || (is_sign(kind) && is_number(gnt_token_take(&rest).kind));
}

static bool number(struct parser *p, bool negative, struct gnt_filter_value *out)
{
    const struct gnt_token *t = &p->token;
    if (t->kind == GNT_TOKEN_REAL) {
        *out = (struct gnt_filter_value){.kind = GNT_FILTER_REAL,
                                         .real = negative ? -t->real : t->real};
        return true;
    }
    if (t->integer > INT64_MAX && !negative)
        return fail(p, t->text.data, "a number over 64 bits");
    uint64_t bits = negative ? 0 - t->integer : t->integer;
    *out = (struct gnt_filter_value){.kind = GNT_FILTER_INTEGER, .integer = (int64_t)bits};
    return true;
}

static bool literal(struct parser *p, struct gnt_filter_value *out)
{
    bool negative = p->token.kind == GNT_TOKEN_MINUS;
    if (!at_literal(p))
        return unexpected(p, "a literal");
    if (is_sign(p->token.kind))
        next(p);
    if (is_number(p->token.kind)) {
        if (!number(p, negative, out))
            return false;
    } else if (p->token.kind == GNT_TOKEN_STRING) {
        *out = (struct gnt_filter_value){.kind = GNT_FILTER_STRING,
                                         .bytes = keep(p, p->token.inside, '\'')};
    } else {
        *out = (struct gnt_filter_value){.kind = GNT_FILTER_BOOLEAN,
                                         .boolean = p->token.kind == GNT_TOKEN_TRUE};
    }
    next(p);
    return true;
}

static bool literal_operand(struct parser *p, struct operand *out)
{
    struct gnt_filter_value value;
    if (!literal(p, &value))
        return false;
    out->type = value.kind == GNT_FILTER_STRING    ? STRING
                : value.kind == GNT_FILTER_BOOLEAN ? CONDITION
                                                   : NUMBER;
    emit(p, GNT_OP_VALUE, add_value(p, value), 0);
    return true;
}

static bool name(struct parser *p, struct operand *out)
{
    const struct gnt_token *t = &p->token;
    bool quoted = t->kind == GNT_TOKEN_QUOTED_NAME;
    struct gnt_filter_name *made = &p->made->names[p->names];
    *made = (struct gnt_filter_name){keep(p, quoted ? t->inside : t->text, '"'), 0};
    if (made->text.size == 0)
        return fail(p, t->text.data, "a name without a character");
    if (p->dialect->resolve && !p->dialect->resolve(made))
        return unexpected(p, "the name of a field");
    emit(p, GNT_OP_NAME, p->names++, 0);
    out->type = FIELD;
    next(p);
    return true;
}

/* ---- What stands in front */

static bool parse_sign(struct parser *p, struct operand *out)
{
    bool negative = p->token.kind == GNT_TOKEN_MINUS;
    next(p);
    if (!parse(p, LEVEL_SIGN, out) || !wants(p, out, NUMBER))
        return false;
    emit(p, GNT_OP_SIGN, negative, 0);
    out->type = NUMBER;
    return true;
}

static bool parse_not(struct parser *p, struct operand *out)
{
    next(p);
    if (!parse(p, LEVEL_NOT, out) || !wants(p, out, CONDITION))
        return false;
    emit(p, GNT_OP_NOT, 0, 0);
    out->type = CONDITION;
    return true;
}

static bool parse_brackets(struct parser *p, struct operand *out)
{
    next(p);
    return parse(p, LEVEL_OR, out) && take(p, GNT_TOKEN_CLOSE, "an operator or )");
}

static bool prefix(struct parser *p, enum level level, struct operand *out)
{
    enum gnt_token_kind kind = p->token.kind;
    if (at_literal(p))
        return literal_operand(p, out);
    if (is_sign(kind))
        return parse_sign(p, out);
    if (kind == GNT_TOKEN_NAME || kind == GNT_TOKEN_QUOTED_NAME)
        return name(p, out);
    if (kind == GNT_TOKEN_OPEN)
        return parse_brackets(p, out);
    if (kind == GNT_TOKEN_NOT && level <= LEVEL_NOT)
        return parse_not(p, out);
    return unexpected(p, "a name, a literal or (");
}

/* ---- What stands between: the operator has been taken, the left side is on the stack */

static bool parse_logic(struct parser *p, const struct infix *row, struct operand *left)
{
    struct operand right;
    if (!wants(p, left, CONDITION))
        return false;
    uint32_t jump = emit(p, (enum gnt_op)row->arg, 0, 0);
    if (!parse(p, (enum level)(row->level + 1), &right) || !wants(p, &right, CONDITION))
        return false;
    emit(p, (enum gnt_op)row->op, 0, 0);
    p->made->steps[jump].arg = p->made->step_count;
    left->type = CONDITION;
    return true;
}

static bool parse_arithmetic(struct parser *p, const struct infix *row, struct operand *left)
{
    struct operand right;
    if (!wants(p, left, NUMBER) || !parse(p, (enum level)(row->level + 1), &right) ||
        !wants(p, &right, NUMBER))
        return false;
    emit(p, (enum gnt_op)row->op, 0, 0);
    left->type = NUMBER;
    return true;
}

enum { DIFFERENT = GNT_ORDER_LESS | GNT_ORDER_GREATER | GNT_ORDER_DIFFERENT };

static bool parse_comparison(struct parser *p, const struct infix *row, struct operand *left)
{
    struct operand right;
    bool ordered = row->arg != GNT_ORDER_EQUAL && row->arg != DIFFERENT;
    uint8_t type = ordered ? NUMBER | STRING : FIELD;
    uint32_t begin = p->made->step_count;
    if (!wants(p, left, type) || !parse(p, LEVEL_SUM, &right) || !wants(p, &right, type))
        return false;
    struct gnt_step *step = &p->made->steps[begin];
    if (p->made->step_count == begin + 1 && step->op == GNT_OP_VALUE) {
        step->op = GNT_OP_COMPARE_WITH; /* most are with a literal, which need not be pushed */
        step->count = row->arg;
        p->height--;
    } else {
        emit(p, GNT_OP_COMPARE, row->arg, 0);
    }
    left->type = CONDITION;
    return true;
}

static bool parse_between(struct parser *p, const struct infix *row, struct operand *left)
{
    struct operand low, high;
    (void)row;
    if (!wants(p, left, NUMBER | STRING) || !parse(p, LEVEL_SUM, &low) ||
        !wants(p, &low, NUMBER | STRING) || !take(p, GNT_TOKEN_AND, "an operator or AND") ||
        !parse(p, LEVEL_SUM, &high) || !wants(p, &high, NUMBER | STRING))
        return false;
    emit(p, GNT_OP_BETWEEN, 0, 0);
    left->type = CONDITION;
    return true;
}

static bool parse_in(struct parser *p, const struct infix *row, struct operand *left)
{
    uint32_t first = p->values;
    (void)row;
    if (!take(p, GNT_TOKEN_OPEN, "("))
        return false;
    for (;;) {
        struct gnt_filter_value value;
        if (!literal(p, &value))
            return false;
        add_value(p, value);
        if (p->token.kind != GNT_TOKEN_COMMA)
            break;
        next(p);
    }
    emit(p, GNT_OP_IN, first, p->values - first);
    left->type = CONDITION;
    return take(p, GNT_TOKEN_CLOSE, ", or )");
}

/* [ESCAPE 'c'] */
static bool parse_escape(struct parser *p, struct gnt_slice *out)
{
    *out = gnt_slice(NULL, 0);
    if (p->token.kind != GNT_TOKEN_ESCAPE)
        return true;
    next(p);
    struct gnt_token t = p->token;
    if (t.kind == GNT_TOKEN_STRING)
        *out = keep(p, t.inside, '\'');
    size_t characters = 0;
    for (size_t i = 0; i < out->size; i++)
        characters += (out->data[i] & 0xc0) != 0x80;
    return characters == 1 ? take(p, GNT_TOKEN_STRING, "")
                           : unexpected(p, "one character in quotes");
}

static bool parse_like(struct parser *p, const struct infix *row, struct operand *left)
{
    struct gnt_token t = p->token;
    struct gnt_slice pattern, escape;
    const char *why;
    (void)row;
    if (!wants(p, left, STRING))
        return false;
    uint8_t *bytes = p->made->bytes + p->bytes;
    if (t.kind != GNT_TOKEN_STRING)
        return unexpected(p, "a pattern in quotes");
    pattern = keep(p, t.inside, '\'');
    next(p);
    if (!parse_escape(p, &escape))
        return false;
    if (gnt_like_compile(bytes, &pattern.size, escape, &why))
        return fail(p, t.text.data, "the pattern %s", why);
    emit(p, GNT_OP_LIKE,
         add_value(p, (struct gnt_filter_value){.kind = GNT_FILTER_STRING, .bytes = pattern}), 0);
    left->type = CONDITION;
    return true;
}

static bool parse_is(struct parser *p, const struct infix *row, struct operand *left)
{
    (void)row;
    bool negative = p->token.kind == GNT_TOKEN_NOT;
    if (negative)
        next(p);
    if (!take(p, GNT_TOKEN_NULL, negative ? "NULL" : "NULL or NOT NULL"))
        return false;
    emit(p, GNT_OP_IS_NULL, 0, 0);
    if (negative)
        emit(p, GNT_OP_NOT, 0, 0);
    left->type = CONDITION;
    return true;
}

static bool parse_negated(struct parser *p, const struct infix *row, struct operand *left)
{
    row = &infixes[p->token.kind];
    if (!row->negatable)
        return unexpected(p, "BETWEEN, IN or LIKE");
    next(p);
    if (!row->parse(p, row, left))
        return false;
    emit(p, GNT_OP_NOT, 0, 0);
    return true;
}

enum {
    LESS_EQUAL = GNT_ORDER_LESS | GNT_ORDER_EQUAL,
    GREATER_EQUAL = GNT_ORDER_GREATER | GNT_ORDER_EQUAL
};

static const struct infix infixes[GNT_TOKEN_KINDS] = {
    [GNT_TOKEN_OR] = {parse_logic, LEVEL_OR, GNT_OP_OR, GNT_OP_IF, false},
    [GNT_TOKEN_AND] = {parse_logic, LEVEL_AND, GNT_OP_AND, GNT_OP_UNLESS, false},
    [GNT_TOKEN_EQ] = {parse_comparison, LEVEL_COMPARE, GNT_OP_COMPARE, GNT_ORDER_EQUAL, false},
    [GNT_TOKEN_NE] = {parse_comparison, LEVEL_COMPARE, GNT_OP_COMPARE, DIFFERENT, false},
    [GNT_TOKEN_LT] = {parse_comparison, LEVEL_COMPARE, GNT_OP_COMPARE, GNT_ORDER_LESS, false},
    [GNT_TOKEN_LE] = {parse_comparison, LEVEL_COMPARE, GNT_OP_COMPARE, LESS_EQUAL, false},
    [GNT_TOKEN_GT] = {parse_comparison, LEVEL_COMPARE, GNT_OP_COMPARE, GNT_ORDER_GREATER, false},
    [GNT_TOKEN_GE] = {parse_comparison, LEVEL_COMPARE, GNT_OP_COMPARE, GREATER_EQUAL, false},
    [GNT_TOKEN_BETWEEN] = {parse_between, LEVEL_COMPARE, GNT_OP_BETWEEN, 0, true},
    [GNT_TOKEN_IN] = {parse_in, LEVEL_COMPARE, GNT_OP_IN, 0, true},
    [GNT_TOKEN_LIKE] = {parse_like, LEVEL_COMPARE, GNT_OP_LIKE, 0, true},
    [GNT_TOKEN_IS] = {parse_is, LEVEL_COMPARE, GNT_OP_IS_NULL, 0, false},
    [GNT_TOKEN_NOT] = {parse_negated, LEVEL_COMPARE, GNT_OP_NOT, 0, false},
    [GNT_TOKEN_PLUS] = {parse_arithmetic, LEVEL_SUM, GNT_OP_ADD, 0, false},
    [GNT_TOKEN_MINUS] = {parse_arithmetic, LEVEL_SUM, GNT_OP_SUBTRACT, 0, false},
    [GNT_TOKEN_TIMES] = {parse_arithmetic, LEVEL_PRODUCT, GNT_OP_MULTIPLY, 0, false},
    [GNT_TOKEN_DIVIDE] = {parse_arithmetic, LEVEL_PRODUCT, GNT_OP_DIVIDE, 0, false},
};

/* What binds at LEVEL or more tightly: operator precedence by climbing.  A comparison has no other
 * comparison for an operand, unless in brackets. */
static bool parse(struct parser *p, enum level level, struct operand *out)
{
    if (p->depth == GNT_EXPRESSION_DEPTH_MAX)
        return fail(p, p->token.text.data, "nested more than %d deep", GNT_EXPRESSION_DEPTH_MAX);
    p->depth++;
    const uint8_t *at = p->token.text.data;
    bool fine = prefix(p, level, out);
    out->at = at;
    const struct infix *row = &infixes[p->token.kind];
    unsigned tightest = LEVEL_SIGN;
    while (fine && row->level >= (unsigned)level && row->level <= tightest) {
        next(p);
        fine = row->parse(p, row, out);
        tightest = row->level == LEVEL_COMPARE ? LEVEL_NOT : row->level;
        row = &infixes[p->token.kind];
    }
    p->depth--;
    return fine;
}

/* ---- The whole */

/* A jump that leads to one that will be taken, too, leads where that one does: so a long AND that
 * is false at its beginning is left at once. */
static void shorten_jumps(struct gnt_expression *e)
{
    for (uint32_t i = e->step_count; i-- > 0;) {
        struct gnt_step *step = &e->steps[i];
        bool jump = step->op == GNT_OP_UNLESS || step->op == GNT_OP_IF;
        if (jump && step->arg < e->step_count && e->steps[step->arg].op == step->op)
            step->arg = e->steps[step->arg].arg;
    }
}

/* One allocation with room for all that the words of TEXT can become: a step each, and a jump for
 * AND and OR; a value or a name; and no more bytes than they have themselves. */
static struct gnt_expression *allocate(struct gnt_slice text, uint32_t *step_max)
{
    struct gnt_slice rest = text;
    size_t literals = 0, names = 0, steps = 0;
    struct gnt_token t;
    do {
        t = gnt_token_take(&rest);
        names += t.kind == GNT_TOKEN_NAME || t.kind == GNT_TOKEN_QUOTED_NAME;
        literals += is_number(t.kind) || t.kind == GNT_TOKEN_STRING || t.kind == GNT_TOKEN_TRUE ||
                    t.kind == GNT_TOKEN_FALSE;
        steps += t.kind == GNT_TOKEN_AND || t.kind == GNT_TOKEN_OR ? 2 : 1;
    } while (t.kind != GNT_TOKEN_END && t.kind != GNT_TOKEN_BAD);
    struct gnt_expression *e =
        malloc(sizeof *e + literals * sizeof e->values[0] + names * sizeof e->names[0] +
               steps * sizeof e->steps[0] + text.size);
    if (!e)
        return NULL;
    e->values = (struct gnt_filter_value *)(e + 1);
    e->names = (struct gnt_filter_name *)(e->values + literals);
    e->steps = (struct gnt_step *)(e->names + names);
    e->bytes = (uint8_t *)(e->steps + steps);
    e->step_count = 0;
    e->refs = 1;
    *step_max = (uint32_t)steps;
    return e;
}

static bool parse_all(struct parser *p)
{
    struct operand whole;
    next(p);
    if (!parse(p, LEVEL_OR, &whole) || !take(p, GNT_TOKEN_END, "an operator or the end") ||
        !wants(p, &whole, CONDITION))
        return false;
    shorten_jumps(p->made);
    return true;
}

gnt_err gnt_expression_compile(struct gnt_slice text, const struct gnt_dialect *dialect,
                               struct gnt_expression **out, struct gnt_expression_error *error)
{
    struct parser p = {.text = text, .rest = text, .dialect = dialect, .error = error};
    if (text.size > GNT_EXPRESSION_TEXT_MAX) {
        fail(&p, NULL, "more than %d bytes", GNT_EXPRESSION_TEXT_MAX);
        return GNT_INVALID;
    }
    if (!gnt_utf8_valid(text)) {
        fail(&p, NULL, "not text in UTF-8");
        return GNT_INVALID;
    }
    p.made = allocate(text, &p.step_max);
    if (!p.made)
        return GNT_NOMEM;
    p.made->unlike = dialect->unlike;
    if (!parse_all(&p)) {
        gnt_expression_unref(&p.made);
        return GNT_INVALID;
    }
    *out = p.made;
    return GNT_OK;
}
