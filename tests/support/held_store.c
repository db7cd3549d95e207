#include "support/held_store.h"

#include "store/memory.h"
#include "support/unit.h"

#include <stdlib.h>

void *__real_malloc(size_t size);

struct held {
    struct gnt_list link;
    struct gnt_batch batch;
    struct gnt_completion *completion;
};

static struct held_store *of(struct gnt_store *s)
{
    return GNT_CONTAINER(s, struct held_store, store);
}

static void commit(struct gnt_store *store, struct gnt_batch *batch, struct gnt_completion *c)
{
    struct held_store *s = of(store);
    if (!s->holds && gnt_list_empty(&s->held)) {
        gnt_store_commit(s->below, batch, c);
        return;
    }
    struct held *h = __real_malloc(sizeof *h);
    assert_non_null(h);
    *h = (struct held){.batch = *batch, .completion = c};
    *batch = (struct gnt_batch){0};
    gnt_list_push_back(&s->held, &h->link);
}

static void get(struct gnt_store *s, struct gnt_slice table, struct gnt_slice key,
                struct gnt_store_read *r)
{
    gnt_store_get(of(s)->below, table, key, r);
}

static void scan(struct gnt_store *s, struct gnt_slice table, struct gnt_slice prefix,
                 struct gnt_slice after, uint32_t most, struct gnt_store_read *r)
{
    gnt_store_scan(of(s)->below, table, prefix, after, most, r);
}

static void read(struct gnt_store *s, struct gnt_slice log, uint64_t from, uint32_t most,
                 struct gnt_store_read *r)
{
    gnt_store_read(of(s)->below, log, from, most, r);
}

void held_store_open(struct held_store *s)
{
    static const struct gnt_store_engine engine = {
        .commit = commit, .get = get, .scan = scan, .read = read};
    *s = (struct held_store){.store = {.engine = &engine}};
    gnt_list_init(&s->held);
    assert_int_equal(gnt_store_memory_open(NULL, &s->below), GNT_OK);
}

bool held_store_step(struct held_store *s)
{
    struct gnt_list *link = gnt_list_pop_front(&s->held);
    if (!link)
        return false;
    struct held *h = GNT_CONTAINER(link, struct held, link);
    gnt_store_commit(s->below, &h->batch, h->completion);
    free(h);
    return true;
}

void held_store_forget(struct held_store *s)
{
    for (struct gnt_list *link; (link = gnt_list_pop_front(&s->held));) {
        struct held *h = GNT_CONTAINER(link, struct held, link);
        gnt_batch_fini(&h->batch);
        free(h);
    }
}

void held_store_close(struct held_store *s)
{
    assert_true(gnt_list_empty(&s->held));
    gnt_store_close(&s->below);
}
