#include "front/mqtt/gate.h"

#include "base/assert.h"

#include <stdlib.h>

struct gate {
    uint64_t batch; /* it opens when this one is safe */
    size_t at;      /* bytes of output before it */
};

struct gates {
    struct gnt_map_node by_connection; /* in front->gates */
    struct gnt_kept kept;              /* for the first of them */
    struct gnt_mqtt_connection *connection;
    size_t count, cap;
    struct gate *gate;
};

static uint64_t hash_of(const struct gnt_mqtt_connection *c)
{
    return gnt_hash_mix(0, (uint64_t)(uintptr_t)c);
}

static struct gates *find(const struct gnt_mqtt_connection *c)
{
    if (!c->gated)
        return NULL;
    struct gnt_map_node *node = gnt_map_first(&c->front->gates, hash_of(c));
    while (GNT_CONTAINER(node, struct gates, by_connection)->connection != c)
        node = gnt_map_next(node);
    return GNT_CONTAINER(node, struct gates, by_connection);
}

static void gates_free(struct gates *g)
{
    struct gnt_mqtt_connection *c = g->connection;
    gnt_keep_cancel(&g->kept);
    gnt_map_remove(&c->front->gates, &g->by_connection);
    c->gated = false;
    free(g->gate);
    free(g);
}

static void on_safe(struct gnt_home *home, struct gnt_kept *kept)
{
    struct gates *g = GNT_CONTAINER(kept, struct gates, kept);
    struct gnt_mqtt_connection *c = g->connection;
    size_t open = 0;
    while (open < g->count && g->gate[open].batch <= home->keep.safe)
        open++;
    g->count -= open;
    memmove(g->gate, g->gate + open, g->count * sizeof *g->gate);
    if (g->count)
        gnt_keep_wait(home, &g->kept, g->gate[0].batch);
    else
        gates_free(g);
    gnt_connection_dirty(c);
}

static struct gates *gates_new(struct gnt_mqtt_connection *c)
{
    struct gates *g = calloc(1, sizeof *g);
    if (!g || gnt_map_insert(&c->front->gates, &g->by_connection, hash_of(c))) {
        free(g);
        return NULL;
    }
    gnt_list_init(&g->kept.link);
    g->kept.safe = on_safe;
    g->connection = c;
    c->gated = true;
    return g;
}

static gnt_err add(struct gates *g, uint64_t batch, size_t at)
{
    enum { FIRST_CAP = 4 };
    if (g->count == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : FIRST_CAP;
        struct gate *gate = realloc(g->gate, cap * sizeof *gate);
        if (!gate)
            return GNT_NOMEM;
        g->gate = gate;
        g->cap = cap;
    }
    g->gate[g->count++] = (struct gate){batch, at};
    return GNT_OK;
}

gnt_err gnt_gate_close(struct gnt_mqtt_connection *c)
{
    struct gnt_home *home = gnt_connection_home(c);
    uint64_t batch = gnt_keep_pending(home);
    struct gates *g = find(c);
    if (!batch)
        return GNT_OK;
    gnt_keep_hurry(home);
    if (g && g->gate[g->count - 1].batch >= batch)
        return GNT_OK;
    if (!g)
        g = gates_new(c);
    gnt_err err = g ? add(g, batch, c->out.size) : GNT_NOMEM;
    if (g && g->count == 0)
        gates_free(g);
    else if (!err && g->count == 1)
        gnt_keep_wait(home, &g->kept, batch);
    return err;
}

size_t gnt_gate_passes(const struct gnt_mqtt_connection *c)
{
    const struct gates *g = find(c);
    return g && g->gate[0].at < c->out.size ? g->gate[0].at : c->out.size;
}

void gnt_gate_wrote(struct gnt_mqtt_connection *c, size_t n)
{
    struct gates *g = find(c);
    for (size_t i = 0; g && i < g->count; i++) {
        GNT_ASSERT(g->gate[i].at >= n);
        g->gate[i].at -= n;
    }
}

void gnt_gate_drop(struct gnt_mqtt_connection *c)
{
    struct gates *g = find(c);
    if (g)
        gates_free(g);
}
