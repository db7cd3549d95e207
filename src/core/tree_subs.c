/* The subscriptions of one node of the topic tree. */
#include "core/tree_node.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>

enum {
    FIRST_CAP = 4,
    SCAN_MAX = 32 /* above that many slots there is an index */
};

enum { ID_BITS = 28, QOS_SHIFT = ID_BITS, NO_LOCAL_SHIFT = 30, AS_PUBLISHED_SHIFT = 31 };
#define ID_MASK ((1u << ID_BITS) - 1)

uint32_t gnt_tree_options_pack(const struct gnt_sub_options *options)
{
    return (options->id & ID_MASK) | (uint32_t)(options->qos & 3) << QOS_SHIFT |
           (uint32_t)options->no_local << NO_LOCAL_SHIFT |
           (uint32_t)options->retain_as_published << AS_PUBLISHED_SHIFT;
}

struct gnt_sub_options gnt_tree_options_unpack(uint32_t word)
{
    return (struct gnt_sub_options){
        .id = word & ID_MASK,
        .qos = word >> QOS_SHIFT & 3,
        .no_local = word >> NO_LOCAL_SHIFT & 1,
        .retain_as_published = word >> AS_PUBLISHED_SHIFT & 1,
    };
}

static struct gnt_tree_subs *subs_of(const struct gnt_tree_node *node)
{
    return atomic_load_explicit(&node->subs, memory_order_relaxed);
}

static uint64_t sink_at(const struct gnt_tree_subs *subs, uint32_t slot)
{
    return atomic_load_explicit(&subs->slots[slot].sink, memory_order_relaxed);
}

static uint32_t count_of(const struct gnt_tree_subs *subs)
{
    return atomic_load_explicit(&subs->count, memory_order_relaxed);
}

/* ---- The array, and the index behind it */

static uint32_t *index_of(struct gnt_tree_subs *subs)
{
    return (uint32_t *)(void *)&subs->slots[subs->cap];
}

/* Where SINK's search in the index starts. */
static uint32_t index_start(const struct gnt_tree_subs *subs, uint64_t sink)
{
    return (uint32_t)gnt_hash_mix(0, sink) & subs->index_mask;
}

/* Twice as many places as slots, and each slot comes in once: there is always an empty place. */
static struct gnt_tree_subs *subs_new(uint32_t cap)
{
    size_t places = cap > SCAN_MAX ? (size_t)cap * 2 : 0;
    struct gnt_tree_subs *subs =
        calloc(1, sizeof *subs + cap * sizeof subs->slots[0] + places * sizeof(uint32_t));
    if (!subs)
        return NULL;
    subs->cap = cap;
    subs->index_mask = places ? (uint32_t)places - 1 : 0;
    return subs;
}

static void append(struct gnt_tree_subs *subs, uint64_t sink, uint32_t options)
{
    uint32_t slot = count_of(subs);
    atomic_store_explicit(&subs->slots[slot].sink, sink, memory_order_relaxed);
    atomic_store_explicit(&subs->slots[slot].options, options, memory_order_relaxed);
    atomic_store_explicit(&subs->count, slot + 1, memory_order_release);
    subs->live++;
    if (subs->index_mask) {
        uint32_t *index = index_of(subs), at = index_start(subs, sink);
        while (index[at])
            at = (at + 1) & subs->index_mask;
        index[at] = slot + 1;
    }
}

/* A slot whose subscription has ended is still in the index, and matches no sink. */
static struct gnt_tree_slot *find_slot(struct gnt_tree_subs *subs, uint64_t sink)
{
    if (subs->index_mask) {
        const uint32_t *index = index_of(subs);
        for (uint32_t at = index_start(subs, sink); index[at]; at = (at + 1) & subs->index_mask)
            if (sink_at(subs, index[at] - 1) == sink)
                return &subs->slots[index[at] - 1];
        return NULL;
    }
    for (uint32_t i = 0; i < count_of(subs); i++)
        if (sink_at(subs, i) == sink)
            return &subs->slots[i];
    return NULL;
}

static void reclaim(struct gnt_rcu_head *head)
{
    free(GNT_CONTAINER(head, struct gnt_tree_subs, rcu));
}

static void publish(struct gnt_tree_node *node, struct gnt_tree_subs *subs)
{
    struct gnt_tree_subs *old = subs_of(node);
    atomic_store_explicit(&node->subs, subs, memory_order_release);
    if (old)
        gnt_rcu_defer(&old->rcu, reclaim);
}

/* The live slots of OLD, which may be NULL, in a new array of CAP; NULL: no memory. */
static struct gnt_tree_subs *copy(const struct gnt_tree_subs *old, uint32_t cap)
{
    struct gnt_tree_subs *subs = subs_new(cap);
    if (!subs || !old)
        return subs;
    for (uint32_t i = 0; i < count_of(old); i++) {
        uint64_t sink = sink_at(old, i);
        if (sink)
            append(subs, sink, atomic_load_explicit(&old->slots[i].options, memory_order_relaxed));
    }
    return subs;
}

/* A full array is followed by one of twice the size, or of the same size if at least half of it is
 * ended subscriptions: either way as many can be added before the next copy as are copied now. */
static gnt_err add(struct gnt_tree_node *node, uint64_t sink, uint32_t options)
{
    if (!node->first_used) {
        node->first_used = true;
        atomic_store_explicit(&node->first_options, options, memory_order_relaxed);
        atomic_store_explicit(&node->first_sink, sink, memory_order_release);
        return GNT_OK;
    }
    struct gnt_tree_subs *old = subs_of(node);
    if (old && count_of(old) < old->cap) {
        append(old, sink, options);
        return GNT_OK;
    }
    uint32_t cap = !old ? FIRST_CAP : old->live <= old->cap / 2 ? old->cap : old->cap * 2;
    struct gnt_tree_subs *subs = copy(old, cap);
    if (!subs)
        return GNT_NOMEM;
    append(subs, sink, options);
    publish(node, subs);
    return GNT_OK;
}

/* ---- Both places */

static uint64_t first_of(const struct gnt_tree_node *node)
{
    return atomic_load_explicit(&node->first_sink, memory_order_relaxed);
}

gnt_err gnt_tree_subs_put(struct gnt_tree_node *node, uint64_t sink, uint32_t options,
                          bool *existed, bool *changed)
{
    struct gnt_tree_subs *subs = subs_of(node);
    struct gnt_tree_slot *slot = subs ? find_slot(subs, sink) : NULL;
    _Atomic uint32_t *word = first_of(node) == sink ? &node->first_options
                             : slot                 ? &slot->options
                                                    : NULL;
    if (!word) {
        *existed = false;
        *changed = true;
        return add(node, sink, options);
    }
    *existed = true;
    *changed = atomic_load_explicit(word, memory_order_relaxed) != options;
    atomic_store_explicit(word, options, memory_order_relaxed);
    return GNT_OK;
}

/* If there is no memory for a smaller array, the large one stays. */
static void shrink(struct gnt_tree_node *node, struct gnt_tree_subs *subs)
{
    if (subs->live == 0) {
        publish(node, NULL);
        return;
    }
    if (subs->cap <= FIRST_CAP || subs->live > subs->cap / 4)
        return;
    struct gnt_tree_subs *smaller = copy(subs, subs->cap / 2);
    if (smaller)
        publish(node, smaller);
}

void gnt_tree_subs_remove(struct gnt_tree_node *node, uint64_t sink)
{
    if (first_of(node) == sink) {
        atomic_store_explicit(&node->first_sink, 0, memory_order_relaxed);
        return;
    }
    struct gnt_tree_subs *subs = subs_of(node);
    struct gnt_tree_slot *slot = subs ? find_slot(subs, sink) : NULL;
    GNT_ASSERT(slot != NULL);
    atomic_store_explicit(&slot->sink, 0, memory_order_relaxed);
    subs->live--;
    shrink(node, subs);
}

bool gnt_tree_subs_any(const struct gnt_tree_node *node)
{
    return first_of(node) != 0 || subs_of(node) != NULL;
}

void gnt_tree_subs_free(struct gnt_tree_node *node)
{
    free(subs_of(node));
}

void gnt_tree_subs_each(const struct gnt_tree_node *node,
                        void (*found)(void *context, uint64_t sink,
                                      const struct gnt_sub_options *options),
                        void *context)
{
    uint64_t sink = atomic_load_explicit(&node->first_sink, memory_order_acquire);
    if (sink) {
        struct gnt_sub_options options = gnt_tree_options_unpack(
            atomic_load_explicit(&node->first_options, memory_order_relaxed));
        found(context, sink, &options);
    }
    const struct gnt_tree_subs *subs = atomic_load_explicit(&node->subs, memory_order_acquire);
    if (!subs)
        return;
    uint32_t count = atomic_load_explicit(&subs->count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        sink = sink_at(subs, i);
        if (!sink)
            continue;
        struct gnt_sub_options options = gnt_tree_options_unpack(
            atomic_load_explicit(&subs->slots[i].options, memory_order_relaxed));
        found(context, sink, &options);
    }
}
