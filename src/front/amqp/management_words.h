/* The attributes of a queue as management.h speaks of them: the options of model/queue_options.h,
 * and facts that can only be read.
 *
 * Pure functions; any thread. */
#ifndef GNT_FRONT_AMQP_MANAGEMENT_WORDS_H
#define GNT_FRONT_AMQP_MANAGEMENT_WORDS_H

#include "amqp/codec/put.h"
#include "core/entity.h"

/*    name  field of struct gnt_queue_facts  how it is written */
#define GNT_QUEUE_FACT_ROWS(X)               \
    X("ready", ready, ulong)                 \
    X("held", held, ulong)                   \
    X("bytes", bytes, ulong)                 \
    X("dead_letters", dead_letters, ulong)   \
    X("last_sequence", last_sequence, ulong) \
    X("consumers", consumers, uint)          \
    X("full", full, boolean)                 \
    X("temporary", temporary, boolean)

/* All attributes have a place in one row of them: name and type first, then options, then facts. */
enum {
    GNT_ATTRIBUTE_NAME,
    GNT_ATTRIBUTE_TYPE,
    GNT_ATTRIBUTE_OPTIONS,
    GNT_ATTRIBUTE_FACTS = GNT_ATTRIBUTE_OPTIONS + GNT_QUEUE_OPTION_ROWS,
#define GNT_ATTRIBUTE_COUNT_ONE(name, field, kind) +1
    GNT_ATTRIBUTES = GNT_ATTRIBUTE_FACTS GNT_QUEUE_FACT_ROWS(GNT_ATTRIBUTE_COUNT_ONE)
#undef GNT_ATTRIBUTE_COUNT_ONE
};

const char *gnt_attribute_name(unsigned attribute);

/* GNT_ATTRIBUTES: there is none of that name. */
unsigned gnt_attribute_named(struct gnt_slice name);

/* The value of ATTRIBUTE of the queue NAME. */
void gnt_attribute_put(struct gnt_amqp_writer *w, unsigned attribute, struct gnt_slice name,
                       const struct gnt_queue_facts *facts);

/* Sets those of *options that MAP, or null, has; what it has besides is to be in `others`, or is a
 * mistake.  GNT_INVALID: *bad is the key of what cannot be. */
GNT_MUST gnt_err gnt_attributes_read(const struct gnt_amqp_value *map, const char *others,
                                     struct gnt_queue_options *options, struct gnt_slice *bad);

#endif
