/* The words of an expression, one after the other.  Whitespace between them means nothing. */
#ifndef GNT_FILTER_TOKEN_H
#define GNT_FILTER_TOKEN_H

#include "base/slice.h"

enum gnt_token_kind {
    GNT_TOKEN_END,
    GNT_TOKEN_BAD, /* `why` says what is wrong with it */
    GNT_TOKEN_NAME,
    GNT_TOKEN_QUOTED_NAME, /* `inside` is what is between the quotes, in which "" stands for one */
    GNT_TOKEN_STRING,      /* the same with ' */
    GNT_TOKEN_INTEGER,
    GNT_TOKEN_REAL,
    GNT_TOKEN_OPEN,
    GNT_TOKEN_CLOSE,
    GNT_TOKEN_COMMA,
    GNT_TOKEN_PLUS,
    GNT_TOKEN_MINUS,
    GNT_TOKEN_TIMES,
    GNT_TOKEN_DIVIDE,
    GNT_TOKEN_EQ,
    GNT_TOKEN_NE,
    GNT_TOKEN_LT,
    GNT_TOKEN_LE,
    GNT_TOKEN_GT,
    GNT_TOKEN_GE,
    GNT_TOKEN_AND,
    GNT_TOKEN_OR,
    GNT_TOKEN_NOT,
    GNT_TOKEN_BETWEEN,
    GNT_TOKEN_LIKE,
    GNT_TOKEN_ESCAPE,
    GNT_TOKEN_IN,
    GNT_TOKEN_IS,
    GNT_TOKEN_NULL,
    GNT_TOKEN_TRUE,
    GNT_TOKEN_FALSE,
    GNT_TOKEN_KINDS,
};

struct gnt_token {
    enum gnt_token_kind kind;
    struct gnt_slice text; /* as it was written; of END empty, at the end */
    union {
        struct gnt_slice inside; /* QUOTED_NAME, STRING */
        uint64_t integer;        /* at most 2^63: only - makes that one a number */
        double real;
        const char *why;
    };
};

/* Takes the next one off *rest, which is valid UTF-8.
 *
 * A name begins with a letter, _ or $, goes on with those, digits, and dots with one of them
 * behind; a letter is also whatever is not ASCII.  Behind "amqp." dashes are like dots, because
 * AMQP's annotations have them in their names. Numbers are Java's: 57, 0x1f, 017, 57L; 7., .5,
 * 7E3, 2.5d. */
struct gnt_token gnt_token_take(struct gnt_slice *rest);

#endif
