#include "core/queue_private.h"

#include "model/topic.h"

#include <stdlib.h>

const char *gnt_queue_result_text(enum gnt_queue_result result)
{
    static const char *const texts[] = {
#define TEXT(name, text) text,
        GNT_QUEUE_RESULTS(TEXT)
#undef TEXT
    };
    return texts[result];
}

/* ---- Names */

uint64_t gnt_entity_hash(struct gnt_slice name)
{
    struct gnt_entity_folded f;
    return gnt_hash(gnt_entity_fold(name, &f));
}

unsigned gnt_entity_home(const uint64_t key[2], unsigned homes, struct gnt_slice name)
{
    struct gnt_entity_folded f;
    return (unsigned)(gnt_hash_with(key, gnt_entity_fold(name, &f)) % homes);
}

struct gnt_queue *gnt_queue_named(struct gnt_home *home, struct gnt_slice name)
{
    struct gnt_map_node *node = gnt_map_first(&home->queues, gnt_entity_hash(name));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_queue *q = GNT_CONTAINER(node, struct gnt_queue, by_name);
        if (gnt_entity_same(q->name, name))
            return q;
    }
    return NULL;
}

/* ---- What may be asked, at the home of the name */

static bool are_valid(const struct gnt_home *home, const struct gnt_entity_asking *a)
{
    struct gnt_queue_options scratch;
    for (size_t row = 0; a->options && row < GNT_QUEUE_OPTION_ROWS; row++)
        if (gnt_queue_options_set(&scratch, row, gnt_queue_options_get(a->options, row)))
            return false;
    for (size_t i = 0; i < a->bind_count; i++)
        if (!gnt_topic_filter_valid(a->bind[i], home->config.topic_levels) ||
            a->bind[i].size > UINT16_MAX)
            return false;
    return true;
}

static struct gnt_queue_options options_of(const struct gnt_entity_asking *a)
{
    return a->options ? *a->options : gnt_queue_options_default();
}

/* Each home has its part of what there may be. */
static bool too_many(const struct gnt_home *home)
{
    size_t most = home->config.queues_max;
    return most && home->queues.count >= (most + home->config.homes - 1) / home->config.homes;
}

static enum gnt_queue_result result_of(gnt_err err)
{
    if (err == GNT_FULL)
        return GNT_QUEUE_LIMIT;
    if (err == GNT_TOOBIG)
        return GNT_QUEUE_BAD_OPTION;
    return err ? GNT_QUEUE_NO_MEMORY : GNT_QUEUE_DONE;
}

static bool is_kept(const struct gnt_queue *q)
{
    return gnt_keeps(q->home) && !q->temporary && q->options.durable != GNT_QUEUE_NEVER;
}

static enum gnt_queue_result create(struct gnt_home *home, struct gnt_entity_asking *a,
                                    struct gnt_slice name, struct gnt_queue **out)
{
    struct gnt_queue_options options = options_of(a);
    if (too_many(home))
        return GNT_QUEUE_LIMIT;
    if (gnt_keep_refuses(home) && !a->temporary && options.durable != GNT_QUEUE_NEVER)
        return GNT_QUEUE_NO_STORE;
    gnt_err err = gnt_queue_new(home, name, &options, NULL, out);
    if (err)
        return result_of(err);
    struct gnt_queue *q = *out;
    q->temporary = a->temporary;
    if (is_kept(q))
        err = gnt_queue_keep(q);
    if (!err)
        err = gnt_queue_bind(q, a->bind, a->bind_count);
    if (!err && a->bind_count)
        err = gnt_queue_keep_record(q);
    if (err)
        gnt_queue_end(q, GNT_COUNT_DROPPED_DELETED);
    a->facts.created = !err;
    return result_of(err);
}

/* What is kept of it would have to begin, or to end, with all that is in it. */
static bool is_fixed(const struct gnt_queue_options *before, const struct gnt_queue_options *after)
{
    return (before->durable == GNT_QUEUE_NEVER) != (after->durable == GNT_QUEUE_NEVER);
}

static enum gnt_queue_result declare(struct gnt_entity_asking *a, struct gnt_queue *q)
{
    struct gnt_queue_options before = q->options;
    struct gnt_queue_options options = options_of(a);
    gnt_err err = GNT_OK;
    if (is_fixed(&before, &options))
        return GNT_QUEUE_FIXED;
    if (a->verb == GNT_ENTITY_DECLARE)
        err = gnt_queue_bind(q, a->bind, a->bind_count);
    if (err)
        return result_of(err);
    gnt_queue_set_options(q, &options);
    err = gnt_queue_keep_record(q);
    if (err)
        gnt_queue_set_options(q, &before);
    return result_of(err);
}

/* The queue that *a is about, made if that is asked for. */
static enum gnt_queue_result look_up(struct gnt_home *home, struct gnt_entity_asking *a,
                                     struct gnt_queue **out)
{
    bool creates = a->verb == GNT_ENTITY_FIND_OR_CREATE || a->verb == GNT_ENTITY_CREATE ||
                   a->verb == GNT_ENTITY_DECLARE;
    struct gnt_slice base;
    bool dead = gnt_entity_is_dead(a->name, &base);
    struct gnt_queue *q = gnt_queue_named(home, base);
    *out = q;
    if (!q && gnt_entity_name_problem(base))
        return GNT_QUEUE_BAD_NAME;
    if (!q)
        return creates && !dead ? create(home, a, base, out) : GNT_QUEUE_NOT_FOUND;
    if (dead)
        return gnt_queue_dead(q, out) ? GNT_QUEUE_NO_MEMORY : GNT_QUEUE_DONE;
    if (a->verb == GNT_ENTITY_DECLARE || a->verb == GNT_ENTITY_UPDATE)
        return declare(a, q);
    return a->verb == GNT_ENTITY_CREATE ? GNT_QUEUE_EXISTS : GNT_QUEUE_DONE;
}

/* *out is the queue, unless it has ended with that. */
static enum gnt_queue_result act(struct gnt_home *home, struct gnt_entity_asking *a,
                                 struct gnt_queue **out)
{
    struct gnt_slice base;
    bool dead = gnt_entity_is_dead(a->name, &base);
    struct gnt_queue *q;
    if (home->ending)
        return GNT_QUEUE_NOT_FOUND;
    if (!are_valid(home, a))
        return GNT_QUEUE_BAD_OPTION;
    if (dead && (a->verb == GNT_ENTITY_DELETE || a->verb == GNT_ENTITY_UPDATE))
        return GNT_QUEUE_BAD_NAME;
    enum gnt_queue_result result = look_up(home, a, &q);
    if (result && result != GNT_QUEUE_EXISTS)
        return result;
    bool created = a->facts.created;
    gnt_queue_facts_of(q, &a->facts);
    a->facts.created = created;
    if (a->tells_bind && gnt_queue_put_bindings(q, &a->bound))
        return GNT_QUEUE_NO_MEMORY;
    if (a->verb == GNT_ENTITY_DELETE)
        gnt_queue_end(q, GNT_COUNT_DROPPED_DELETED);
    *out = q;
    return result;
}

/* ---- There and back */

static void on_answered(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_entity_asking *a = GNT_CONTAINER(errand, struct gnt_entity_asking, errand);
    a->done(home, a, errand->lost ? GNT_QUEUE_NO_STORE : a->result);
}

void gnt_entity_answer(struct gnt_home *home, struct gnt_entity_asking *a,
                       enum gnt_queue_result result)
{
    bool written = a->facts.created || (a->verb != GNT_ENTITY_FIND && result == GNT_QUEUE_DONE);
    a->result = result;
    if (written)
        gnt_errand_send_safe(home, a->errand.from, &a->errand, on_answered);
    else
        gnt_errand_send(home, a->errand.from, &a->errand, on_answered);
}

static void on_asked(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_entity_asking *a = GNT_CONTAINER(errand, struct gnt_entity_asking, errand);
    struct gnt_queue *q;
    enum gnt_queue_result result = act(home, a, &q);
    if (a->verb == GNT_ENTITY_PURGE && result == GNT_QUEUE_DONE)
        gnt_queue_purge(q, a);
    else
        gnt_entity_answer(home, a, result);
}

void gnt_entity_ask(struct gnt_home *home, struct gnt_entity_asking *a)
{
    struct gnt_slice base;
    (void)gnt_entity_is_dead(a->name, &base);
    a->facts = (struct gnt_queue_facts){.id = 0};
    a->purged = 0;
    gnt_errand_send(home, gnt_entity_home(home->config.home_key, home->config.homes, base),
                    &a->errand, on_asked);
}

/* ---- All of them */

static bool add_listed(struct gnt_entity_listing *l, const struct gnt_queue *q)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        struct gnt_entity_listed *listed = realloc(l->listed, cap * sizeof *listed);
        if (!listed)
            return false;
        l->listed = listed;
        l->cap = cap;
    }
    uint8_t *name = malloc(q->name.size);
    if (!name)
        return false;
    memcpy(name, q->name.data, q->name.size);
    struct gnt_entity_listed *one = &l->listed[l->count++];
    one->name = gnt_slice(name, q->name.size);
    one->own = name;
    gnt_queue_facts_of(q, &one->facts);
    return true;
}

static void on_listed(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_entity_listing *l = GNT_CONTAINER(errand, struct gnt_entity_listing, errand);
    l->done(home, l, l->result);
}

static void on_list(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_entity_listing *l = GNT_CONTAINER(errand, struct gnt_entity_listing, errand);
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; !l->result && (node = gnt_map_walk(&home->queues, &cursor));) {
        l->more = l->most && l->count == l->most;
        if (l->more)
            break;
        if (!add_listed(l, GNT_CONTAINER(node, struct gnt_queue, by_name)))
            l->result = GNT_QUEUE_NO_MEMORY;
    }
    if (home->index + 1 == home->config.homes || l->more || l->result)
        gnt_errand_send(home, l->asker, errand, on_listed);
    else
        gnt_errand_send(home, home->index + 1, errand, on_list);
}

void gnt_entity_list(struct gnt_home *home, struct gnt_entity_listing *l)
{
    l->listed = NULL;
    l->count = l->cap = 0;
    l->more = false;
    l->result = GNT_QUEUE_DONE;
    l->asker = home->index;
    gnt_errand_send(home, 0, &l->errand, on_list);
}

void gnt_entity_listing_fini(struct gnt_entity_listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->listed[i].own);
    free(l->listed);
    l->listed = NULL;
    l->count = l->cap = 0;
}
