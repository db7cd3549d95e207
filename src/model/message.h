/* A message: what one publisher said, counted and immutable.
 *
 * Ownership  one allocation holds the struct and the bytes (or the struct owns the buffer that the
 *            bytes arrived in).  Whoever keeps a message holds a reference; the last _unref frees.
 * Threads    any thread may hold, read and release; nobody changes it after _new.
 * The bytes stay as they arrived: nothing is converted until a peer of another protocol wants it.
 */
#ifndef GNT_MODEL_MESSAGE_H
#define GNT_MODEL_MESSAGE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdatomic.h>

/* How `extras` is encoded. */
enum gnt_extras_format {
    GNT_EXTRAS_NONE,
    GNT_EXTRAS_MQTT5, /* a PUBLISH's property section without its length, and without what belongs
                         to one hop or changes on the way: topic alias, subscription ids, expiry */
    GNT_EXTRAS_AMQP, /* the fields of the header section, as the AMQP front writes them; the payload
                        is the message from its annotations on, bit for bit [AMQP 3.2] */
};

struct gnt_message_init {
    struct gnt_slice topic, payload, extras;
    enum gnt_extras_format format;
    uint8_t qos;        /* 0 at most once, 1 at least once, 2 exactly once */
    bool retain;        /* as the publisher set it */
    uint64_t publisher; /* a gnt_sink_id, 0 for none: who must not hear it under "no local" */
    uint64_t expires;   /* monotonic ns, GNT_NEVER if it does not expire */
};

struct gnt_message {
    struct gnt_slice topic, payload, extras;
    uint64_t publisher;
    uint64_t expires;
    uint8_t qos;
    uint8_t format; /* enum gnt_extras_format */
    bool retain;
    /* private */
    _Atomic uint32_t refs;
    uint8_t *adopted; /* a buffer that this message frees, or NULL: the bytes follow the struct */
    _Atomic(struct gnt_message *) twin;
};

/* Copies everything; *out has one reference. */
GNT_MUST gnt_err gnt_message_new(const struct gnt_message_init *init, struct gnt_message **out);

/* As _new, but takes *buffer (from malloc), into which all of init's slices point; *buffer is NULL
 * afterwards.  For large payloads, which are then never copied.  On failure *buffer stays yours. */
GNT_MUST gnt_err gnt_message_adopt(uint8_t **buffer, const struct gnt_message_init *init,
                                   struct gnt_message **out);

/* Another one with the same contents, but for the publisher. */
GNT_MUST gnt_err gnt_message_copy(const struct gnt_message *m, uint64_t publisher,
                                  struct gnt_message **out);

/* The same message in the words of another protocol, if somebody has made it (room mapping), else
 * NULL; lent as long as M is. */
static inline struct gnt_message *gnt_message_twin(const struct gnt_message *m)
{
    return atomic_load_explicit(&m->twin, memory_order_acquire);
}

/* Keeps *twin, which has no twin itself, with M, and *twin is NULL: as its twin, unless somebody
 * else was faster.  Gives M's twin. */
struct gnt_message *gnt_message_keep_twin(struct gnt_message *m, struct gnt_message **twin);

/* Adds BY to the references; gives what they were.  With GNATTER_SMALL all is one thread, and the
 * smallest cores have no instruction that would do this for several. */
static inline uint32_t gnt_message_count(struct gnt_message *m, uint32_t by, memory_order order)
{
#ifdef GNATTER_SMALL
    (void)order;
    uint32_t refs = atomic_load_explicit(&m->refs, memory_order_relaxed);
    atomic_store_explicit(&m->refs, refs + by, memory_order_relaxed);
    return refs;
#else
    return atomic_fetch_add_explicit(&m->refs, by, order);
#endif
}

static inline struct gnt_message *gnt_message_ref(struct gnt_message *m)
{
    gnt_message_count(m, 1, memory_order_relaxed);
    return m;
}

/* Gives up the reference that *m is and sets it to NULL; NULL is fine. */
void gnt_message_unref(struct gnt_message **m);

static inline bool gnt_message_expired(const struct gnt_message *m, uint64_t now)
{
    return m->expires <= now;
}

/* Whole seconds that are left, rounded up so that a live message never says 0 [MQTT5 3.3.2.3.3]. */
static inline uint32_t gnt_message_left_s(const struct gnt_message *m, uint64_t now)
{
    uint64_t left = m->expires > now ? (m->expires - now - 1) / GNT_NS_PER_S + 1 : 0;
    return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

#endif
