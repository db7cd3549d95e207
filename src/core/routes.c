#include "core/routes.h"

#include "base/assert.h"
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
    struct gnt_found *found; /* when all has been found */
    unsigned home;
    struct gnt_elsewhere elsewhere;
    uint64_t keeps;
    size_t count;
    bool failed;
};

static void add_elsewhere(struct gnt_elsewhere *e, uint64_t sink,
                          const struct gnt_sub_options *options)
{
    e->sink = e->homes ? 0 : sink;
    e->options = *options;
    e->homes |= UINT64_C(1) << gnt_sink_home(sink);
}

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

/* The bit of the home at which SINK keeps what it takes; 0: it does not. */
static uint64_t kept_at(uint64_t sink)
{
    return (sink & GNT_SINK_KEPT ? UINT64_C(1) : 0) << gnt_sink_home(sink);
}

static void on_found(void *context, uint64_t sink, const struct gnt_sub_options *options)
{
    struct finding *f = context;
    f->keeps |= kept_at(sink);
    if (gnt_sink_home(sink) != f->home)
        add_elsewhere(&f->elsewhere, sink, options);
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

static struct gnt_match match_one(const struct gnt_sub_options *o)
{
    return (struct gnt_match){.qos = o->qos,
                              .retain_as_published = o->retain_as_published,
                              .ids = {.count = o->id != 0, .one = o->id}};
}

struct gnt_target gnt_target_one(uint64_t sink, const struct gnt_sub_options *options)
{
    struct gnt_target t = {.sink = sink, .match = match_one(options)};
    t.echoes = !options->no_local;
    if (t.echoes)
        t.others = t.match;
    return t;
}

/* One more subscription of MOST at the most. */
static gnt_err merge(struct gnt_match *m, const struct gnt_sub_options *o, size_t most)
{
    m->qos = o->qos > m->qos ? o->qos : m->qos;
    m->retain_as_published |= o->retain_as_published;
    if (!o->id)
        return GNT_OK;
    if (m->ids.count == 1) {
        uint32_t *many = malloc(most * sizeof *many);
        if (!many)
            return GNT_NOMEM;
        many[0] = m->ids.one;
        m->ids.many = many;
    }
    if (m->ids.count)
        m->ids.many[m->ids.count] = o->id;
    else
        m->ids.one = o->id;
    m->ids.count++;
    return GNT_OK;
}

static void target_fini(struct gnt_target *t)
{
    gnt_sub_ids_fini(&t->match.ids);
    gnt_sub_ids_fini(&t->others.ids);
}

/* COUNT subscriptions of one sink, at least one. */
static gnt_err target_init(struct gnt_target *t, const struct gnt_found *found, size_t count)
{
    *t = gnt_target_one(found->sink, &found->options);
    for (size_t i = 1; i < count; i++) {
        const struct gnt_sub_options *o = &found[i].options;
        gnt_err err = merge(&t->match, o, count);
        if (!err && !o->no_local)
            err = merge(&t->others, o, count);
        if (err) {
            target_fini(t);
            return err;
        }
        t->echoes |= !o->no_local;
    }
    return GNT_OK;
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
    *r = (struct gnt_route){.topic = gnt_slice(r + 1, topic.size),
                            .elsewhere = f->elsewhere,
                            .keeps = f->keeps};
    if (f->count)
        r->targets = malloc(f->count * sizeof *r->targets);
    gnt_err err = f->count && !r->targets ? GNT_NOMEM : route_fill(r, f->found, f->count);
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
    r->keeps = f->keeps;
    gnt_err err = route_fill(r, f->found, f->count);
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

/* ---- Looking several topics up ahead */

enum { AHEAD_TOPIC = 248, AHEAD_FOUND = 16 };

struct gnt_ahead {
    unsigned home;
    unsigned count, next; /* they come in the order in which they were looked up */
    struct ahead {
        struct gnt_elsewhere elsewhere;
        uint64_t keeps;
        size_t topic_size, found_count; /* more than AHEAD_FOUND: they are not all there */
        uint8_t topic[AHEAD_TOPIC];
        struct gnt_found found[AHEAD_FOUND];
    } of[GNT_TREE_MANY];
};

static void on_found_ahead(void *context, unsigned name, uint64_t sink,
                           const struct gnt_sub_options *options)
{
    struct gnt_ahead *ahead = context;
    struct ahead *a = &ahead->of[name];
    a->keeps |= kept_at(sink);
    if (gnt_sink_home(sink) != ahead->home)
        add_elsewhere(&a->elsewhere, sink, options);
    else if (a->found_count >= AHEAD_FOUND)
        a->found_count = AHEAD_FOUND + 1;
    else
        a->found[a->found_count++] = (struct gnt_found){sink, *options};
}

/* Takes what was found for TOPIC ahead, if it was. */
static bool take_ahead(struct gnt_routes *routes, struct gnt_slice topic, struct finding *f)
{
    struct gnt_ahead *ahead = routes->ahead;
    if (!ahead || ahead->next == ahead->count)
        return false;
    struct ahead *a = &ahead->of[ahead->next];
    if (!gnt_slice_eq(gnt_slice(a->topic, a->topic_size), topic))
        return false;
    ahead->next++;
    *f = (struct finding){.routes = routes,
                          .found = a->found,
                          .count = a->found_count,
                          .elsewhere = a->elsewhere,
                          .keeps = a->keeps};
    return a->found_count <= AHEAD_FOUND;
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
    free(r->ahead);
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

/* What was found before the tree changed does not stand any more. */
static void keep_up(struct gnt_routes *routes, const struct gnt_tree *tree)
{
    uint64_t generation = gnt_tree_generation(tree);
    if (generation == routes->generation)
        return;
    forget(routes);
    if (routes->ahead)
        routes->ahead->count = routes->ahead->next = 0;
    routes->generation = generation;
}

/* Inlined, because most messages need no more than this. */
__attribute__((always_inline)) static inline struct gnt_route *
remembered(const struct gnt_routes *routes, struct gnt_slice topic, uint64_t hash)
{
    struct gnt_map_node *node = gnt_map_first(&routes->by_topic, hash);
    for (; node; node = gnt_map_next(node)) {
        struct gnt_route *route = GNT_CONTAINER(node, struct gnt_route, node);
        if (gnt_slice_eq(route->topic, topic))
            return route;
    }
    return NULL;
}

/* Asks now and then whether remembering pays, which takes as many look-ups spared as done. */
static bool rests(struct gnt_routes *routes)
{
    if (routes->resting) {
        routes->resting--;
        return true;
    }
    if (routes->looked_up < GNT_ROUTES_TRIAL)
        return false;
    bool pays = routes->spared >= routes->looked_up;
    routes->spared = routes->looked_up = 0;
    if (pays)
        return false;
    forget(routes);
    routes->resting = GNT_ROUTES_REST;
    return true;
}

static gnt_err look_up(struct gnt_routes *routes, const struct gnt_tree *tree, unsigned home,
                       struct gnt_slice topic, struct finding *f)
{
    drop_once(routes);
    *f = (struct finding){.routes = routes, .home = home};
    gnt_tree_match(tree, topic, on_found, f);
    routes->cold = gnt_tree_large(tree);
    f->found = routes->found;
    return f->failed ? GNT_NOMEM : GNT_OK;
}

gnt_err gnt_routes_find(struct gnt_routes *routes, const struct gnt_tree *tree, unsigned home,
                        struct gnt_slice topic, struct gnt_route **out, bool *owned)
{
    keep_up(routes, tree);
    *owned = false;
    struct finding f;
    if (routes->cold && take_ahead(routes, topic, &f)) {
        drop_once(routes);
        return route_once(&f, out);
    }
    if (rests(routes)) {
        gnt_err err = look_up(routes, tree, home, topic, &f);
        return err ? err : route_once(&f, out);
    }
    uint64_t hash = gnt_hash(topic);
    *out = remembered(routes, topic, hash);
    if (*out) {
        routes->spared++;
        return GNT_OK;
    }
    routes->looked_up++;
    gnt_err err = look_up(routes, tree, home, topic, &f);
    if (err)
        return err;
    return seen_lately(routes, hash) ? remember(routes, &f, topic, hash, out, owned)
                                     : route_once(&f, out);
}

/* Topics that came lately are left to _find, which will remember them. */
static void choose_ahead(struct gnt_routes *routes, const struct gnt_slice *topics, unsigned count,
                         struct gnt_slice *names)
{
    struct gnt_ahead *ahead = routes->ahead;
    for (unsigned i = 0; i < count; i++) {
        struct gnt_slice topic = topics[i];
        uint64_t hash = gnt_hash(topic);
        if (topic.size > AHEAD_TOPIC || remembered(routes, topic, hash) ||
            seen_lately(routes, hash))
            continue;
        names[ahead->count] = topic;
        struct ahead *a = &ahead->of[ahead->count++];
        a->topic_size = topic.size;
        memcpy(a->topic, topic.data, topic.size);
        a->found_count = 0;
        a->elsewhere = (struct gnt_elsewhere){0};
        a->keeps = 0;
    }
}

void gnt_routes_ahead(struct gnt_routes *routes, const struct gnt_tree *tree, unsigned home,
                      const struct gnt_slice *topics, unsigned count)
{
    struct gnt_slice names[GNT_TREE_MANY];
    GNT_ASSERT(count <= GNT_TREE_MANY);
    keep_up(routes, tree);
    if (!routes->ahead)
        routes->ahead = malloc(sizeof *routes->ahead);
    struct gnt_ahead *ahead = routes->ahead;
    if (!ahead)
        return;
    ahead->home = home;
    ahead->count = ahead->next = 0;
    choose_ahead(routes, topics, count, names);
    gnt_tree_match_many(tree, names, ahead->count, on_found_ahead, ahead);
    routes->cold = ahead->count != 0;
}
