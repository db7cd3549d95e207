/* A list of rules about topics, of which the first that matches decides: filters in one piece of
 * memory, and where they are many in an order in which they are found level by level.
 *
 * Ownership  one owner; never changes.
 * Threads    any number may ask. */
#ifndef GNT_AUTH_RULES_H
#define GNT_AUTH_RULES_H

#include "base/err.h"
#include "base/slice.h"

struct gnt_rule {
    struct gnt_slice filter; /* valid, not shared */
    uint8_t verbs;           /* a set of enum gnt_verb */
    bool permits;            /* else it denies */
};

struct gnt_rules;

/* Copies COUNT rules, in order.  GNT_NOMEM, GNT_TOOBIG. */
GNT_MUST gnt_err gnt_rules_new(const struct gnt_rule *rules, size_t count, struct gnt_rules **out);
void gnt_rules_free(struct gnt_rules **rules); /* NULL is fine */

size_t gnt_rules_count(const struct gnt_rules *rules); /* 0 for NULL */

/* The rule at INDEX, borrowed. */
struct gnt_rule gnt_rules_at(const struct gnt_rules *rules, size_t index);

/* The index of the first rule that is about VERB and matches TOPIC; the count if none does. */
size_t gnt_rules_first(const struct gnt_rules *rules, uint8_t verb, struct gnt_slice topic);

#endif
