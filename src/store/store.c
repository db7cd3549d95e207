#include "store/store.h"

#include "base/assert.h"

void gnt_store_complete(struct gnt_completion *c)
{
    if (c->hand)
        c->hand(c);
    c->done(c, c->result);
}

void gnt_store_deliver_here(void *context, struct gnt_completion *c)
{
    (void)context;
    gnt_store_complete(c);
}

static void begin(struct gnt_completion *c)
{
    GNT_ASSERT(c->done && c->deliver);
    gnt_list_init(&c->link);
    c->result = GNT_OK;
    c->hand = NULL;
    c->held = NULL;
}

static void begin_read(struct gnt_store_read *r)
{
    GNT_ASSERT(r->record);
    begin(&r->completion);
    r->more = false;
    r->log.first = r->log.last = r->log.count = 0;
}

static gnt_err check_size(struct gnt_slice text, size_t most)
{
    return text.size == 0 ? GNT_INVALID : text.size > most ? GNT_TOOBIG : GNT_OK;
}

/* Whether the read can begin; if not, its completion is on its way. */
static bool may_begin(struct gnt_store_read *r, gnt_err err)
{
    if (!err)
        return true;
    r->completion.result = err;
    r->completion.deliver(r->completion.context, &r->completion);
    return false;
}

void gnt_store_commit(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c)
{
    begin(c);
    c->result = batch->err;
    if (!batch->err) {
        s->engine->commit(s, batch, c);
        return;
    }
    gnt_batch_fini(batch);
    c->deliver(c->context, c);
}

void gnt_store_get(struct gnt_store *s, struct gnt_slice table, struct gnt_slice key,
                   struct gnt_store_read *r)
{
    begin_read(r);
    gnt_err err = check_size(table, GNT_STORE_NAME_MAX);
    if (!err)
        err = check_size(key, GNT_STORE_KEY_MAX);
    if (may_begin(r, err))
        s->engine->get(s, table, key, r);
}

void gnt_store_scan(struct gnt_store *s, struct gnt_slice table, struct gnt_slice prefix,
                    struct gnt_slice after, uint32_t most, struct gnt_store_read *r)
{
    begin_read(r);
    gnt_err err = check_size(table, GNT_STORE_NAME_MAX);
    if (!err && (prefix.size > GNT_STORE_KEY_MAX || after.size > GNT_STORE_KEY_MAX))
        err = GNT_TOOBIG;
    if (!err && (most == 0 || most > GNT_STORE_READ_MAX))
        err = GNT_INVALID;
    if (may_begin(r, err))
        s->engine->scan(s, table, prefix, after, most, r);
}

void gnt_store_read(struct gnt_store *s, struct gnt_slice log, uint64_t from, uint32_t most,
                    struct gnt_store_read *r)
{
    begin_read(r);
    gnt_err err = check_size(log, GNT_STORE_NAME_MAX);
    if (!err && most > GNT_STORE_READ_MAX)
        err = GNT_INVALID;
    if (may_begin(r, err))
        s->engine->read(s, log, from, most, r);
}

void gnt_store_close(struct gnt_store **s)
{
    if (*s)
        (*s)->engine->close(*s);
    *s = NULL;
}
