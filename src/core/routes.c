#include "core/routes.h"

#include "base/list.h"

#include <stdlib.h>

/* Bounds of what a home remembers; past them it forgets all and starts again. */
enum { ROUTES_MAX = 8192, COST_MAX = 1 << 24 };

enum { SCRATCH_KEPT = 1024 }; /* entries of scratch memory that are kept from look-up to look-up */

/* ---- Looking a topic up */

struct gnt_found {
    uint64_t sink;
    struct gnt_sub_options options;
};

struct finding {
    struct gnt_routes *routes;
    unsigned home;
    uint64_t elsewhere;
    size_t count;
    bool failed;
};

static bool grow_found(struct gnt_routes *routes)
{
    size_t cap = routes->found_cap ? routes->found_cap * 2 : 16;
    struct gnt_found *found = realloc(routes->found, cap * sizeof *found);
    if (!found)
        return false;
    routes->found = found;
    routes->found_cap = cap;
    return true;
}

static void on_found(void *context, uint64_t sink, const struct gnt_sub_options *options)
{
    struct finding *f = context;
    unsigned home = gnt_sink_home(sink);
    if (home != f->home)
        f->elsewhere |= UINT64_C(1) << home;
    else if (f->count == f->routes->found_cap && !grow_found(f->routes))
        f->failed = true;
    else
        f->routes->found[f->count++] = (struct gnt_found){sink, *options};
}

static int by_sink(const void *a, const void *b)
{
    uint64_t x = ((const struct gnt_found *)a)->sink, y = ((const struct gnt_found *)b)->sink;
    return x < y ? -1 : x > y;
}

/* The match of COUNT subscriptions of one sink, all of them or those without "no local". */
static gnt_err merge(const struct gnt_found *found, size_t count, bool with_no_local,
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

static gnt_err target_init(struct gnt_target *t, const struct gnt_found *found, size_t count)
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

static void drop_targets(struct gnt_route *r)
{
    for (size_t i = 0; i < r->count; i++)
        target_fini(&r->targets[i]);
    r->count = 0;
}

void gnt_route_free(struct gnt_route *r)
{
    drop_targets(r);
    free(r->targets);
    free(r);
}

/* R has room for COUNT targets. */
static gnt_err route_fill(struct gnt_route *r, struct gnt_found *found, size_t count)
{
    if (count > 1)
        qsort(found, count, sizeof *found, by_sink);
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

/* A route that is to be remembered. */
static gnt_err route_new(const struct finding *f, struct gnt_slice topic, struct gnt_route **out)
{
    struct gnt_route *r = malloc(sizeof *r + topic.size);
    if (!r)
        return GNT_NOMEM;
    memcpy(r + 1, topic.data, topic.size);
    *r = (struct gnt_route){.topic = gnt_slice(r + 1, topic.size), .elsewhere = f->elsewhere};
    if (f->count)
        r->targets = malloc(f->count * sizeof *r->targets);
    gnt_err err = f->count && !r->targets ? GNT_NOMEM : route_fill(r, f->routes->found, f->count);
    if (err)
        gnt_route_free(r);
    else
        *out = r;
    return err;
}

/* The one that is not, in memory that is used again and again. */
static gnt_err route_once(const struct finding *f, struct gnt_route **out)
{
    struct gnt_routes *routes = f->routes;
    struct gnt_route *r = &routes->once;
    if (f->count > routes->once_cap) {
        struct gnt_target *targets = realloc(r->targets, f->count * sizeof *targets);
        if (!targets)
            return GNT_NOMEM;
        r->targets = targets;
        routes->once_cap = f->count;
    }
    r->elsewhere = f->elsewhere;
    gnt_err err = route_fill(r, routes->found, f->count);
    if (err)
        drop_targets(r);
    else
        *out = r;
    return err;
}

static void drop_once(struct gnt_routes *routes)
{
    drop_targets(&routes->once);
    if (routes->once_cap > SCRATCH_KEPT) {
        free(routes->once.targets);
        routes->once.targets = NULL;
        routes->once_cap = 0;
    }
    if (routes->found_cap > SCRATCH_KEPT) {
        free(routes->found);
        routes->found = NULL;
        routes->found_cap = 0;
    }
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
    drop_once(r);
    free(r->once.targets);
    free(r->found);
}

/* Whether a topic with HASH came lately; from now on it did. */
static bool seen_lately(struct gnt_routes *routes, uint64_t hash)
{
    uint32_t *entry = &routes->seen[hash % GNT_ROUTES_SEEN], mark = (uint32_t)(hash >> 32);
    bool seen = *entry == mark;
    *entry = mark;
    return seen;
}

static gnt_err remember(struct gnt_routes *routes, const struct finding *f, struct gnt_slice topic,
                        uint64_t hash, struct gnt_route **out, bool *owned)
{
    gnt_err err = route_new(f, topic, out);
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
    drop_once(routes);
    struct finding f = {.routes = routes, .home = home};
    gnt_tree_match(tree, topic, on_found, &f);
    if (f.failed)
        return GNT_NOMEM;
    return seen_lately(routes, hash) ? remember(routes, &f, topic, hash, out, owned)
                                     : route_once(&f, out);
}
