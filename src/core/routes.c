#include "core/routes.h"

#include "base/list.h"

#include <stdlib.h>

/* Bounds of what a home remembers; past them it forgets all and starts again. */
enum { ROUTES_MAX = 8192, COST_MAX = 1 << 24 };

/* ---- Looking a topic up */

struct found {
    uint64_t sink;
    struct gnt_sub_options options;
};

struct finding {
    unsigned home;
    uint64_t elsewhere;
    struct found *found;
    size_t count, cap;
    bool failed;
};

static void on_found(void *context, uint64_t sink, const struct gnt_sub_options *options)
{
    struct finding *f = context;
    unsigned home = gnt_sink_home(sink);
    if (home != f->home) {
        f->elsewhere |= UINT64_C(1) << home;
        return;
    }
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 16;
        struct found *found = realloc(f->found, cap * sizeof *found);
        if (!found) {
            f->failed = true;
            return;
        }
        f->found = found;
        f->cap = cap;
    }
    f->found[f->count++] = (struct found){sink, *options};
}

static int by_sink(const void *a, const void *b)
{
    uint64_t x = ((const struct found *)a)->sink, y = ((const struct found *)b)->sink;
    return x < y ? -1 : x > y;
}

/* The match of COUNT subscriptions of one sink, all of them or those without "no local". */
static gnt_err merge(const struct found *found, size_t count, bool with_no_local,
                     struct gnt_match *out)
{
    *out = (struct gnt_match){0};
    uint32_t *many = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct gnt_sub_options *o = &found[i].options;
        if (o->no_local && !with_no_local)
            continue;
        out->qos = o->qos > out->qos ? o->qos : out->qos;
        out->retain_as_published |= o->retain_as_published;
        if (!o->id)
            continue;
        if (out->ids.count == 1) {
            many = malloc(count * sizeof *many);
            if (!many)
                return GNT_NOMEM;
            many[0] = out->ids.one;
            out->ids.many = many;
        }
        if (many)
            many[out->ids.count] = o->id;
        else
            out->ids.one = o->id;
        out->ids.count++;
    }
    return GNT_OK;
}

static void target_fini(struct gnt_target *t)
{
    gnt_sub_ids_fini(&t->match.ids);
    gnt_sub_ids_fini(&t->others.ids);
}

static gnt_err target_init(struct gnt_target *t, const struct found *found, size_t count)
{
    *t = (struct gnt_target){.sink = found->sink};
    for (size_t i = 0; i < count; i++)
        t->echoes |= !found[i].options.no_local;
    gnt_err err = merge(found, count, true, &t->match);
    if (!err)
        err = merge(found, count, false, &t->others);
    if (err)
        target_fini(t);
    return err;
}

void gnt_route_free(struct gnt_route *r)
{
    for (size_t i = 0; i < r->count; i++)
        target_fini(&r->targets[i]);
    free(r->targets);
    free(r);
}

static gnt_err route_fill(struct gnt_route *r, struct found *found, size_t count)
{
    if (count == 0)
        return GNT_OK;
    qsort(found, count, sizeof *found, by_sink);
    r->targets = malloc(count * sizeof *r->targets);
    if (!r->targets)
        return GNT_NOMEM;
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && found[next].sink == found[first].sink;)
            next++;
        gnt_err err = target_init(&r->targets[r->count], found + first, next - first);
        if (err)
            return err;
        r->count++;
    }
    return GNT_OK;
}

static gnt_err route_new(const struct gnt_tree *tree, unsigned home, struct gnt_slice topic,
                         struct gnt_route **out)
{
    struct finding f = {.home = home};
    struct gnt_route *r = malloc(sizeof *r + topic.size);
    if (!r)
        return GNT_NOMEM;
    memcpy(r + 1, topic.data, topic.size);
    *r = (struct gnt_route){.topic = gnt_slice(r + 1, topic.size)};
    gnt_tree_match(tree, topic, on_found, &f);
    r->elsewhere = f.elsewhere;
    gnt_err err = f.failed ? GNT_NOMEM : route_fill(r, f.found, f.count);
    free(f.found);
    if (err)
        gnt_route_free(r);
    else
        *out = r;
    return err;
}

/* ---- Remembering */

static void forget(struct gnt_routes *routes)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&routes->by_topic, &cursor));) {
        gnt_map_remove(&routes->by_topic, node);
        gnt_route_free(GNT_CONTAINER(node, struct gnt_route, node));
    }
    routes->cost = 0;
}

void gnt_routes_fini(struct gnt_routes *r)
{
    forget(r);
    gnt_map_fini(&r->by_topic);
}

gnt_err gnt_routes_find(struct gnt_routes *routes, const struct gnt_tree *tree, unsigned home,
                        struct gnt_slice topic, struct gnt_route **out, bool *owned)
{
    uint64_t generation = gnt_tree_generation(tree);
    if (generation != routes->generation) {
        forget(routes);
        routes->generation = generation;
    }
    *owned = false;
    uint64_t hash = gnt_hash(topic);
    struct gnt_map_node *node = gnt_map_first(&routes->by_topic, hash);
    for (; node; node = gnt_map_next(node)) {
        *out = GNT_CONTAINER(node, struct gnt_route, node);
        if (gnt_slice_eq((*out)->topic, topic))
            return GNT_OK;
    }
    gnt_err err = route_new(tree, home, topic, out);
    if (err)
        return err;
    size_t cost = topic.size + (*out)->count * sizeof(struct gnt_target);
    if (routes->by_topic.count == ROUTES_MAX || routes->cost + cost > COST_MAX)
        forget(routes);
    *owned = cost > COST_MAX || gnt_map_insert(&routes->by_topic, &(*out)->node, hash);
    if (!*owned)
        routes->cost += cost;
    return GNT_OK;
}
