/* A message for tests of filters: a list of fields, each with its value. */
#ifndef GNT_TESTS_FILTER_FIELDS_H
#define GNT_TESTS_FILTER_FIELDS_H

#include "filter/value.h"

struct filter_field {
    const char *name; /* NULL behind the last one */
    struct gnt_filter_value value;
};

#define FIELD_INTEGER(number)                           \
    {                                                   \
        .kind = GNT_FILTER_INTEGER, .integer = (number) \
    }
#define FIELD_UNSIGNED(number)                          \
    {                                                   \
        .kind = GNT_FILTER_UNSIGNED, .unsign = (number) \
    }
#define FIELD_REAL(number)                        \
    {                                             \
        .kind = GNT_FILTER_REAL, .real = (number) \
    }
#define FIELD_TIMESTAMP(ms)                           \
    {                                                 \
        .kind = GNT_FILTER_TIMESTAMP, .integer = (ms) \
    }
#define FIELD_BOOLEAN(truth)                           \
    {                                                  \
        .kind = GNT_FILTER_BOOLEAN, .boolean = (truth) \
    }
#define FIELD_STRING(text)                                                               \
    {                                                                                    \
        .kind = GNT_FILTER_STRING, .bytes = {(const uint8_t *)(text), sizeof(text) - 1 } \
    }
#define FIELD_BINARY(text)                                                               \
    {                                                                                    \
        .kind = GNT_FILTER_BINARY, .bytes = {(const uint8_t *)(text), sizeof(text) - 1 } \
    }
#define FIELD_OTHER              \
    {                            \
        .kind = GNT_FILTER_OTHER \
    }
#define FIELD_NULL              \
    {                           \
        .kind = GNT_FILTER_NULL \
    }

/* A gnt_filter_lookup; FIELDS is an array of struct filter_field. */
bool filter_fields_lookup(void *fields, const struct gnt_filter_name *name,
                          struct gnt_filter_value *out);

#endif
