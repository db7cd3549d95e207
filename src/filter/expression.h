/* Conditions over the fields of a message: the message selectors of JMS [JMS 2.0 3.8.1], which AMQP
 * sources have as filter `apache.org:selector-filter:string`.  docs/selectors.md is for those who
 * write them.
 *
 *     color = 'red' AND weight > 2500
 *
 * A text is compiled once, into a program for a small stack machine, and evaluated for each
 * message: that allocates nothing, and takes time linear in the text and in the fields compared.
 * The program is one allocation of at most some 25 times the text.
 *
 * An empty text is no condition, and a mistake; JMS takes it for "no selector", which its reader
 * has to see first.
 *
 * Ownership  counted and immutable: whoever has a reference lets it go by gnt_expression_unref.
 * Threads    any. */
#ifndef GNT_FILTER_EXPRESSION_H
#define GNT_FILTER_EXPRESSION_H

#include "base/err.h"
#include "filter/value.h"

enum {
    GNT_EXPRESSION_TEXT_MAX = 16384, /* bytes */
    GNT_EXPRESSION_DEPTH_MAX = 64,   /* of brackets and operators in each other */
};

/* Looks at a name as it was written: sets `tag`, and may make `text` a part of what it was (without
 * "amqp.annotation.", say).  False: there is no such field, and the expression is refused. */
typedef bool gnt_filter_resolve(struct gnt_filter_name *name);

/* In what languages differ that have this grammar in common. */
struct gnt_dialect {
    /* What a comparison of unlike types is; it makes BETWEEN, IN and LIKE the same. */
    enum gnt_truth unlike;
    gnt_filter_resolve *resolve; /* NULL: every name is one, with tag 0 */
};

/* Unlike is false, and every name is one. */
extern const struct gnt_dialect gnt_dialect_jms;

struct gnt_expression;

/* What is wrong with a text, for people. */
struct gnt_expression_error {
    unsigned column; /* in characters from 1; 0: the text as a whole */
    char text[128];  /* printable */
};

/*   GNT_OK       *out is yours.
 *   GNT_INVALID  *error says why.
 *   GNT_NOMEM
 * TEXT is lent for the call only. */
GNT_MUST gnt_err gnt_expression_compile(struct gnt_slice text, const struct gnt_dialect *dialect,
                                        struct gnt_expression **out,
                                        struct gnt_expression_error *error);

struct gnt_expression *gnt_expression_ref(struct gnt_expression *expression); /* NULL is fine */
void gnt_expression_unref(struct gnt_expression **expression);                /* NULL is fine */

/* Whether the message that LOOKUP finds fields in fits: only GNT_TRUE does.  A field is looked up
 * each time that its name is come to, and not where the rest decides already. */
enum gnt_truth gnt_expression_evaluate(const struct gnt_expression *expression,
                                       gnt_filter_lookup *lookup, void *context);

/* A comparison of a field with a literal.  `orders` is the set of gnt_order bits that make it true:
 * LESS | EQUAL is <=. */
struct gnt_comparison {
    struct gnt_filter_name name;
    uint8_t orders;
    struct gnt_filter_value value;
};

/* Whether the expression is one comparison, NAME OPERATOR LITERAL, and nothing else.  So a consumer
 * says where in a log it begins (`amqp.annotation.x-opt-offset > '68'`), and who keeps the log goes
 * there instead of asking each message.  *out is lent as long as the expression. */
bool gnt_expression_comparison(const struct gnt_expression *expression, struct gnt_comparison *out);

#endif
