#include "amqp/engine/ids.h"

#include "base/assert.h"
#include "base/spare.h"

enum { PLACES_MIN = 16 };

static struct gnt_amqp_id *at(const struct gnt_amqp_ids *ids, uint32_t place)
{
    return &ids->ring[(ids->head + place) & ids->mask];
}

/* How far ID is behind the first one. */
static uint32_t distance(const struct gnt_amqp_ids *ids, uint32_t id)
{
    return id - at(ids, 0)->id;
}

static size_t bytes(const struct gnt_amqp_ids *ids)
{
    return ((size_t)ids->mask + 1) * sizeof *ids->ring;
}

void gnt_amqp_ids_fini(struct gnt_amqp_ids *ids)
{
    if (ids->ring)
        gnt_spare_put(ids->ring, bytes(ids));
    *ids = (struct gnt_amqp_ids){0};
}

void gnt_amqp_ids_idle(struct gnt_amqp_ids *ids)
{
    if (ids->live == 0)
        gnt_amqp_ids_fini(ids);
}

bool gnt_amqp_ids_behind(const struct gnt_amqp_ids *ids, uint32_t id)
{
    return ids->count == 0 || distance(ids, id) > distance(ids, at(ids, ids->count - 1)->id);
}

/* Moves what is not settled into TO, which has room for it. */
static void dense(const struct gnt_amqp_ids *ids, struct gnt_amqp_id *to, uint32_t mask,
                  uint32_t start)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ids->count; i++)
        if (at(ids, i)->delivery)
            to[(start + kept++) & mask] = *at(ids, i);
    GNT_ASSERT(kept == ids->live);
}

gnt_err gnt_amqp_ids_reserve(struct gnt_amqp_ids *ids)
{
    uint32_t places = ids->ring ? ids->mask + 1 : 0;
    if (ids->count < places)
        return GNT_OK;
    if (places && ids->live <= places / 2) {
        dense(ids, ids->ring, ids->mask, ids->head);
    } else {
        struct gnt_amqp_ids more = {.mask = (places ? places * 2 : PLACES_MIN) - 1};
        more.ring = gnt_spare_get(bytes(&more));
        if (!more.ring)
            return GNT_NOMEM;
        dense(ids, more.ring, more.mask, 0);
        more.live = ids->live;
        gnt_amqp_ids_fini(ids);
        *ids = more;
    }
    ids->count = ids->live;
    return GNT_OK;
}

void gnt_amqp_ids_add(struct gnt_amqp_ids *ids, uint32_t id, struct gnt_amqp_delivery *delivery)
{
    *at(ids, ids->count) = (struct gnt_amqp_id){delivery, id};
    ids->count++;
    ids->live++;
}

/* The first place whose id is not before that one; `count` if all are. */
static uint32_t search(const struct gnt_amqp_ids *ids, uint32_t id)
{
    uint32_t want = distance(ids, id);
    if (want < ids->count && at(ids, want)->id == id)
        return want;
    uint32_t low = 0, high = ids->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (distance(ids, at(ids, middle)->id) < want)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void gnt_amqp_ids_remove(struct gnt_amqp_ids *ids, uint32_t id)
{
    GNT_ASSERT(ids->live);
    struct gnt_amqp_id *place = at(ids, search(ids, id));
    GNT_ASSERT(place->id == id && place->delivery);
    place->delivery = NULL;
    ids->live--;
    while (ids->count && !at(ids, 0)->delivery) {
        ids->head++;
        ids->count--;
    }
    if (ids->count > PLACES_MIN && ids->live < ids->count / 4) { /* a range goes through them all */
        dense(ids, ids->ring, ids->mask, ids->head);
        ids->count = ids->live;
    }
}

struct gnt_amqp_delivery *gnt_amqp_ids_next(const struct gnt_amqp_ids *ids, uint32_t first,
                                            uint32_t last)
{
    if (ids->live == 0)
        return NULL;
    /* What is before the first one is, by its distance, behind all others. */
    uint32_t width = last - first, before = at(ids, 0)->id - first;
    uint32_t place = before <= width ? 0 : search(ids, first);
    for (; place < ids->count; place++) {
        const struct gnt_amqp_id *found = at(ids, place);
        if (found->id - first > width)
            return NULL;
        if (found->delivery)
            return found->delivery;
    }
    return NULL;
}
