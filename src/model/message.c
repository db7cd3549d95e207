#include "model/message.h"

#include "base/assert.h"
#include "base/spare.h"

#include <stdlib.h>

/* All but the bytes. */
static void fill(struct gnt_message *m, const struct gnt_message_init *init)
{
    m->topic = init->topic;
    m->payload = init->payload;
    m->extras = init->extras;
    m->publisher = init->publisher;
    m->expires = init->expires;
    m->qos = init->qos;
    m->format = (uint8_t)init->format;
    m->retain = init->retain;
    m->adopted = NULL;
    atomic_init(&m->refs, 1);
    atomic_init(&m->twin, NULL);
}

/* Copies *bytes to *at, makes *bytes the copy, and moves *at behind it. */
static void copy(struct gnt_slice *bytes, uint8_t **at)
{
    if (bytes->size)
        memcpy(*at, bytes->data, bytes->size);
    bytes->data = *at;
    *at += bytes->size;
}

gnt_err gnt_message_new(const struct gnt_message_init *init, struct gnt_message **out)
{
    size_t size = sizeof(struct gnt_message);
    if (__builtin_add_overflow(size, init->topic.size, &size) ||
        __builtin_add_overflow(size, init->payload.size, &size) ||
        __builtin_add_overflow(size, init->extras.size, &size))
        return GNT_NOMEM;
    struct gnt_message *m = gnt_spare_get(size);
    if (!m)
        return GNT_NOMEM;
    fill(m, init);
    uint8_t *at = (uint8_t *)(m + 1);
    copy(&m->topic, &at);
    copy(&m->payload, &at);
    copy(&m->extras, &at);
    *out = m;
    return GNT_OK;
}

gnt_err gnt_message_adopt(uint8_t **buffer, const struct gnt_message_init *init,
                          struct gnt_message **out)
{
    struct gnt_message *m = malloc(sizeof *m);
    if (!m)
        return GNT_NOMEM;
    fill(m, init);
    m->adopted = *buffer;
    *buffer = NULL;
    *out = m;
    return GNT_OK;
}

void gnt_message_unref(struct gnt_message **m)
{
    struct gnt_message *gone = *m;
    *m = NULL;
    if (!gone)
        return;
    /* Release, so that what this thread has read is read before another one frees; acquire, so that
     * the one who frees comes after all of them. */
    if (atomic_load_explicit(&gone->refs, memory_order_acquire) != 1) {
        uint32_t refs = gnt_message_count(gone, (uint32_t)-1, memory_order_acq_rel);
        GNT_ASSERT(refs > 0);
        if (refs > 1)
            return;
    }
    struct gnt_message *twin = atomic_load_explicit(&gone->twin, memory_order_relaxed);
    gnt_message_unref(&twin);
    if (gone->adopted) {
        free(gone->adopted);
        free(gone);
    } else {
        gnt_spare_put(gone,
                      sizeof *gone + gone->topic.size + gone->payload.size + gone->extras.size);
    }
}

gnt_err gnt_message_copy(const struct gnt_message *m, uint64_t publisher, struct gnt_message **out)
{
    const struct gnt_message_init init = {.topic = m->topic,
                                          .payload = m->payload,
                                          .extras = m->extras,
                                          .format = (enum gnt_extras_format)m->format,
                                          .qos = m->qos,
                                          .retain = m->retain,
                                          .publisher = publisher,
                                          .expires = m->expires};
    return gnt_message_new(&init, out);
}

struct gnt_message *gnt_message_keep_twin(struct gnt_message *m, struct gnt_message **twin)
{
    struct gnt_message *kept = NULL;
    if (atomic_compare_exchange_strong_explicit(&m->twin, &kept, *twin, memory_order_acq_rel,
                                                memory_order_acquire)) {
        kept = *twin;
        *twin = NULL;
    }
    gnt_message_unref(twin);
    return kept;
}
