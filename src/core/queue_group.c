#include "core/queue_private.h"

#include <stdlib.h>

/* A message group of which somebody has unsettled messages. */
struct gnt_queue_group {
    struct gnt_map_node by_id; /* in queue->groups */
    struct gnt_taker *holder;
    uint32_t held, parked;
    struct gnt_slice id; /* behind the struct */
};

static struct gnt_slice id_of(const struct gnt_entry *e)
{
    static const struct gnt_slice none;
    return e->queue->options.groups && e->note ? e->note->group : none;
}

static struct gnt_queue_group *find(const struct gnt_queue *q, struct gnt_slice id)
{
    struct gnt_map_node *node = gnt_map_first(&q->groups, gnt_hash(id));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_queue_group *g = GNT_CONTAINER(node, struct gnt_queue_group, by_id);
        if (gnt_slice_eq(g->id, id))
            return g;
    }
    return NULL;
}

static struct gnt_queue_group *group_new(struct gnt_queue *q, struct gnt_slice id)
{
    struct gnt_queue_group *g = calloc(1, sizeof *g + id.size);
    if (!g)
        return NULL;
    memcpy(g + 1, id.data, id.size);
    g->id = gnt_slice(g + 1, id.size);
    if (gnt_map_insert(&q->groups, &g->by_id, gnt_hash(id))) {
        free(g);
        return NULL;
    }
    return g;
}

static void group_free(struct gnt_queue *q, struct gnt_queue_group *g)
{
    gnt_map_remove(&q->groups, &g->by_id);
    free(g);
}

static struct gnt_entry *entry_at(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct gnt_entry, link);
}

/* Nobody holds G any more: what was parked for its holder is anybody's. */
static void group_end(struct gnt_queue *q, struct gnt_queue_group *g)
{
    gnt_list_each_safe (link, &g->holder->parked) {
        struct gnt_entry *e = entry_at(link);
        if (!g->parked)
            break;
        if (e->group != g)
            continue;
        g->parked--;
        e->group = NULL;
        gnt_entry_move(e, GNT_ENTRY_BACK);
        gnt_queue_woken(q, e);
    }
    group_free(q, g);
}

void gnt_queue_group_leave(struct gnt_entry *e)
{
    struct gnt_queue_group *g = e->group;
    e->group = NULL;
    if (e->state == GNT_ENTRY_PARKED)
        g->parked--;
    else if (--g->held == 0)
        group_end(e->queue, g);
}

gnt_err gnt_queue_group_for(struct gnt_entry *e, struct gnt_queue_group **out)
{
    struct gnt_slice id = id_of(e);
    *out = e->group ? e->group : id.size ? find(e->queue, id) : NULL;
    if (id.size && !*out && !(*out = group_new(e->queue, id)))
        return GNT_NOMEM;
    return GNT_OK;
}

void gnt_queue_group_not(struct gnt_queue *q, struct gnt_queue_group *g)
{
    if (g && !g->held)
        group_free(q, g);
}

void gnt_queue_group_join(struct gnt_entry *e, struct gnt_queue_group *g)
{
    if (!g)
        return;
    g->holder = e->taker;
    g->held++;
    g->parked -= e->group == g; /* it was parked */
    e->group = g;
}

/* By sequence, which is mostly the end. */
static void park(struct gnt_entry *e, struct gnt_queue_group *g)
{
    struct gnt_list *list = &g->holder->parked, *behind = list->prev;
    while (behind != list && entry_at(behind)->sequence > e->sequence)
        behind = behind->prev;
    gnt_entry_move(e, GNT_ENTRY_PARKED);
    gnt_list_push_front(behind, &e->link);
    e->group = g;
    g->parked++;
    if (g->holder->sated)
        gnt_taker_place(g->holder);
}

gnt_err gnt_queue_group_asks(struct gnt_entry *e, const struct gnt_taker *t)
{
    struct gnt_slice id = id_of(e);
    struct gnt_queue_group *g = id.size ? find(e->queue, id) : NULL;
    if (!g || g->holder == t)
        return GNT_OK;
    if (e->queue->parked >= GNT_QUEUE_PARKED_MAX)
        return GNT_FULL;
    park(e, g);
    return GNT_MORE;
}

/* What it does not want waits for the next one who holds the group. */
struct gnt_entry *gnt_queue_group_first(const struct gnt_taker *t)
{
    gnt_list_each (link, &t->parked)
        if (gnt_taker_may_have(t, entry_at(link)))
            return entry_at(link);
    return NULL;
}

void gnt_queue_groups_free(struct gnt_queue *q)
{
    GNT_ASSERT(q->groups.count == 0); /* nobody holds anything */
    gnt_map_fini(&q->groups);
}
