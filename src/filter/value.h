/* A message as filters see it: fields with names, their values, and how two values compare.
 *
 * A filter knows no protocol.  Whoever has the message hands in a lookup, which finds a field by
 * its name; what it finds is lent until the filter has been asked. */
#ifndef GNT_FILTER_VALUE_H
#define GNT_FILTER_VALUE_H

#include "base/slice.h"

enum gnt_filter_kind {
    GNT_FILTER_NULL,
    GNT_FILTER_BOOLEAN,
    GNT_FILTER_INTEGER, /* these four are numbers and compare with each other */
    GNT_FILTER_UNSIGNED,
    GNT_FILTER_REAL,
    GNT_FILTER_TIMESTAMP,
    GNT_FILTER_STRING, /* symbols, too */
    GNT_FILTER_BINARY, /* UUIDs, too */
    GNT_FILTER_OTHER,  /* what is there, but of a type that compares with nothing: a list, a decimal
                        */
};

struct gnt_filter_value {
    enum gnt_filter_kind kind;
    union {
        bool boolean;
        int64_t integer; /* INTEGER; TIMESTAMP in milliseconds since 1970 */
        uint64_t unsign; /* UNSIGNED: for what may be over INT64_MAX; any other is as good */
        double real;
        struct gnt_slice bytes; /* STRING, BINARY */
    };
};

/* What a field is called in a filter.  TAG is the caller's, set once when the filter is made (see
 * gnt_filter_resolve), so that a lookup need not look at the words. */
struct gnt_filter_name {
    struct gnt_slice text;
    uint32_t tag;
};

/* Fills *out with the field called NAME.  False: the message has none, as if *out were NULL. */
typedef bool gnt_filter_lookup(void *context, const struct gnt_filter_name *name,
                               struct gnt_filter_value *out);

/* The three-valued logic of SQL: unknown is what follows from NULL. */
enum gnt_truth {
    GNT_FALSE,
    GNT_TRUE,
    GNT_UNKNOWN,
};

/* How two values stand to each other: a bit each, so that a comparison is a set of them. */
enum gnt_order {
    GNT_ORDER_LESS = 1,
    GNT_ORDER_EQUAL = 2,
    GNT_ORDER_GREATER = 4,
    GNT_ORDER_DIFFERENT = 8, /* not equal, and neither is before the other: booleans, NaN */
    GNT_ORDER_UNLIKE = 16,   /* values of types that do not compare: a string and a number */
    GNT_ORDER_UNKNOWN = 32,  /* one of them is NULL */
};

/* Numbers compare exactly, but as doubles if one of them is one (Java's and C#'s promotion);
 * strings and binaries byte by byte, which is the order of code points. */
enum gnt_order gnt_filter_compare(const struct gnt_filter_value *a,
                                  const struct gnt_filter_value *b);

#endif
