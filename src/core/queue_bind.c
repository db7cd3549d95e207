#include "core/queue_private.h"

#include <stdlib.h>

static void binding_fini(struct gnt_queue *q, struct gnt_binding *b)
{
    if (b->node)
        gnt_tree_unsubscribe(q->home->tree, b->node, q->placed);
    free(b->filter);
    *b = (struct gnt_binding){.node = NULL};
}

static void bindings_free(struct gnt_queue *q, struct gnt_binding *bindings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        binding_fini(q, &bindings[i]);
    free(bindings);
}

void gnt_queue_unbind(struct gnt_queue *q)
{
    bindings_free(q, q->bindings, q->binding_count);
    q->bindings = NULL;
    q->binding_count = 0;
}

static bool is_in(const struct gnt_slice *filters, size_t count, struct gnt_slice filter)
{
    for (size_t i = 0; i < count; i++)
        if (gnt_slice_eq(filters[i], filter))
            return true;
    return false;
}

static gnt_err bind_one(struct gnt_queue *q, struct gnt_slice filter, struct gnt_binding *b)
{
    const struct gnt_sub_options all = {.qos = 2, .retain_as_published = true};
    bool existed;
    b->filter = malloc(filter.size);
    if (!b->filter)
        return GNT_NOMEM;
    memcpy(b->filter, filter.data, filter.size);
    b->size = filter.size;
    gnt_err err = gnt_tree_subscribe(q->home->tree, filter, q->placed, &all, &existed, &b->node);
    if (err) {
        free(b->filter);
        *b = (struct gnt_binding){.node = NULL};
    }
    return err;
}

static bool is_bound(const struct gnt_queue *q, struct gnt_slice filter)
{
    for (size_t i = 0; i < q->binding_count; i++)
        if (gnt_slice_eq(gnt_binding_filter(&q->bindings[i]), filter))
            return true;
    return false;
}

/* Takes out those that are not among FILTERS any more, and puts the others in front of *fresh. */
static void settle_bindings(struct gnt_queue *q, const struct gnt_slice *filters, size_t count,
                            struct gnt_binding *all, size_t fresh)
{
    for (size_t i = 0; i < q->binding_count; i++) {
        struct gnt_binding *b = &q->bindings[i];
        if (is_in(filters, count, gnt_binding_filter(b)))
            all[fresh++] = *b;
        else
            binding_fini(q, b);
    }
    free(q->bindings);
    q->bindings = all;
    q->binding_count = fresh;
}

gnt_err gnt_queue_bind(struct gnt_queue *q, const struct gnt_slice *filters, size_t count)
{
    if (!count) {
        gnt_queue_unbind(q);
        return GNT_OK;
    }
    struct gnt_binding *all = calloc(count + q->binding_count, sizeof *all);
    if (!all)
        return GNT_NOMEM;
    if (!q->placed)
        q->placed = q->sink.id | (q->number ? GNT_SINK_KEPT : 0);
    size_t fresh = 0;
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < count; i++) {
        if (is_bound(q, filters[i]) || is_in(filters, i, filters[i]))
            continue;
        err = bind_one(q, filters[i], &all[fresh]);
        fresh += !err;
    }
    if (err)
        bindings_free(q, all, fresh);
    else
        settle_bindings(q, filters, count, all, fresh);
    return err;
}
