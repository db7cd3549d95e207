/* Filters that name fields and the values they must have, all of them: properties-filter and
 * application-properties-filter of [AMQP Filter Expressions 4.2.4, 4.2.5].
 *
 * A string in it may begin with &p: (the field begins with the rest), &s: (it ends with the rest)
 * or && (it is what follows the first &); any other & in front is a mistake [4.1.1].  Numbers are
 * equal whatever their types, and so are a string and a binary: user-id is a binary here, and text
 * in a selector.
 *
 * Ownership  counted.  One owner fills it by _add; once it is shared it does not change.
 * Threads    one until it is shared, then any. */
#ifndef GNT_FILTER_PROPERTIES_H
#define GNT_FILTER_PROPERTIES_H

#include "base/err.h"
#include "filter/value.h"

enum {
    GNT_PROPERTIES_FILTER_MAX = 32,         /* fields */
    GNT_PROPERTIES_FILTER_BYTES_MAX = 16384 /* of their names and values */
};

struct gnt_properties_filter;

/* An empty one, which every message fits. */
GNT_MUST gnt_err gnt_properties_filter_new(struct gnt_properties_filter **out);

/* Wants field NAME to be EXPECTED; both are copied.  NULL wants an application property that is
 * there, whatever it is; for a field of the section `properties` null says nothing [4.1.1], and is
 * not to be added.
 *   GNT_INVALID  a string that begins with & and no modifier; a value of kind OTHER
 *   GNT_TOOBIG   over a bound above
 *   GNT_NOMEM */
GNT_MUST gnt_err gnt_properties_filter_add(struct gnt_properties_filter *filter,
                                           struct gnt_filter_name name,
                                           const struct gnt_filter_value *expected);

struct gnt_properties_filter *gnt_properties_filter_ref(struct gnt_properties_filter *filter);
void gnt_properties_filter_unref(struct gnt_properties_filter **filter); /* NULL is fine */

/* Whether the message that LOOKUP finds fields in has all that is wanted. */
bool gnt_properties_filter_matches(const struct gnt_properties_filter *filter,
                                   gnt_filter_lookup *lookup, void *context);

#endif
