/* What a queue may be called, and when two names are the same: without the case of ASCII letters,
 * as Service Bus has it.  Whoever compares names of entities, or keeps something by them, does so
 * by what _fold makes of them; rights too, or another spelling would lead around them.
 *
 * Nothing is allocated; any thread. */
#ifndef GNT_MODEL_ENTITY_NAME_H
#define GNT_MODEL_ENTITY_NAME_H

#include "base/slice.h"

enum { GNT_ENTITY_NAME_MAX = 260 }; /* bytes, as Service Bus has it */

/* What stands behind the name of a queue in that of its sub-queue. */
#define GNT_DEAD_LETTERS "$DeadLetterQueue"

/* A name as it is compared, in the memory of who asks; with room for that of a sub-queue. */
struct gnt_entity_folded {
    uint8_t bytes[GNT_ENTITY_NAME_MAX + sizeof("/" GNT_DEAD_LETTERS)];
};

static inline uint8_t gnt_entity_fold_byte(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* NAME as it is compared, lent by *to; of one that is too long the front part. */
struct gnt_slice gnt_entity_fold(struct gnt_slice name, struct gnt_entity_folded *to);

bool gnt_entity_same(struct gnt_slice a, struct gnt_slice b);

/* Whether NAME is that of a dead-letter queue; *base is its queue's, or all of it. */
bool gnt_entity_is_dead(struct gnt_slice name, struct gnt_slice *base);

/* What stands against a queue of this NAME, in words; NULL: nothing does.  A name is 1 to
 * GNT_ENTITY_NAME_MAX bytes of UTF-8 without control characters, has no "://" and neither $ nor /
 * in front, and is what names this queue, and nothing else, as an address (address.h). */
const char *gnt_entity_name_problem(struct gnt_slice name);

#endif
