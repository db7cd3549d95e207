#include "core/queue_private.h"

#include "core/queue_record.h"

#include <stdlib.h>

static struct gnt_slice table(void)
{
    return gnt_slice_str("queue");
}

static struct gnt_slice states(void)
{
    return gnt_slice_str("queued");
}

/* Room for WRITES writes with VALUE bytes of values. */
static gnt_err reserve(struct gnt_queue *q, uint32_t writes, size_t value)
{
    return gnt_keep_reserve(q->home, writes, writes * 2 * GNT_STORE_NAME_MAX + value);
}

static struct gnt_record_key key_of(const struct gnt_entry *e)
{
    return gnt_record_key_numbers(e->queue->number, e->sequence);
}

/* ---- The queue */

gnt_err gnt_queue_put_bindings(const struct gnt_queue *q, struct gnt_buf *to)
{
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < q->binding_count; i++) {
        struct gnt_slice filter = gnt_binding_filter(&q->bindings[i]);
        uint8_t size[2] = {(uint8_t)(filter.size >> 8), (uint8_t)filter.size};
        err = gnt_buf_put(to, gnt_slice(size, sizeof size));
        if (!err)
            err = gnt_buf_put(to, filter);
    }
    return err;
}

/* With room for one write more. */
static gnt_err write_record(struct gnt_queue *q, uint16_t lanes, size_t besides)
{
    struct gnt_buf bindings = {0}, *value = &q->home->keep.scratch;
    gnt_err err = gnt_queue_put_bindings(q, &bindings);
    const struct gnt_queue_record record = {.number = q->number,
                                            .parent = q->parent ? q->parent->number : 0,
                                            .lanes = lanes,
                                            .options = q->options,
                                            .name = q->name,
                                            .bindings = gnt_buf_slice(&bindings)};
    if (!err)
        err = gnt_queue_record_write(&record, value);
    if (!err && gnt_buf_size(value) > GNT_STORE_VALUE_MAX)
        err = GNT_TOOBIG;
    if (!err)
        err = reserve(q, 2, gnt_buf_size(value) + besides);
    if (!err) {
        struct gnt_record_key key = gnt_record_key_number(q->number);
        gnt_batch_put(gnt_keep_batch(q->home), table(), gnt_record_key_slice(&key),
                      gnt_buf_slice(value), NULL);
        q->lanes_kept = lanes;
    }
    gnt_buf_fini(&bindings);
    return err;
}

gnt_err gnt_queue_keep(struct gnt_queue *q)
{
    q->number = gnt_keep_number(q->home);
    gnt_err err = write_record(q, 0, 0);
    if (err)
        q->number = 0;
    return err;
}

gnt_err gnt_queue_keep_record(struct gnt_queue *q)
{
    return q->number ? write_record(q, q->lanes_kept, 0) : GNT_OK;
}

/* What is left of it for want of memory is swept out at the next start. */
void gnt_queue_keep_end(struct gnt_queue *q)
{
    if (!q->number)
        return;
    if (reserve(q, 1 + GNT_QUEUE_LANES, 0)) {
        gnt_count(&q->home->counters, GNT_COUNT_KEEP_FAILURES, 1);
        return;
    }
    struct gnt_batch *batch = gnt_keep_batch(q->home);
    struct gnt_record_key key = gnt_record_key_number(q->number);
    gnt_batch_delete(batch, table(), gnt_record_key_slice(&key));
    for (unsigned lane = 0; lane < GNT_QUEUE_LANES; lane++) {
        struct gnt_record_log log = gnt_queue_log(q->number, lane);
        if (q->lanes_kept >> lane & 1)
            gnt_batch_drop(batch, gnt_record_log_slice(&log));
    }
}

/* ---- Its messages */

gnt_err gnt_queue_keep_arrival(struct gnt_lane *lane, const struct gnt_arrival *a)
{
    struct gnt_queue *q = lane->queue;
    struct gnt_buf *value = &q->home->keep.scratch;
    uint16_t lanes = (uint16_t)(q->lanes_kept | 1u << lane->number);
    const struct gnt_queued_record record = {.durable = a->durable,
                                             .failed = a->failed,
                                             .enqueued_ms = a->enqueued_ms};
    size_t size = gnt_note_size(a->note) + 64;
    gnt_err err = lanes != q->lanes_kept ? write_record(q, lanes, size) : GNT_OK;
    if (!err)
        err = gnt_queued_record_write(&record, a->note, value);
    if (!err)
        err = reserve(q, 1, gnt_buf_size(value));
    if (err)
        return err;
    struct gnt_record_log log = gnt_queue_log(q->number, lane->number);
    gnt_batch_append(gnt_keep_batch(q->home), gnt_record_log_slice(&log), a->sequence,
                     gnt_buf_slice(value), a->message);
    return GNT_OK;
}

gnt_err gnt_queue_keep_lane(struct gnt_lane *lane)
{
    struct gnt_queue *q = lane->queue;
    uint16_t lanes = (uint16_t)(q->lanes_kept | 1u << lane->number);
    return lanes != q->lanes_kept ? write_record(q, lanes, 0) : GNT_OK;
}

void gnt_queue_keep_trim(struct gnt_lane *lane, uint64_t last)
{
    struct gnt_record_log log = gnt_queue_log(lane->queue->number, lane->number);
    gnt_batch_trim(gnt_keep_batch(lane->queue->home), gnt_record_log_slice(&log), last);
}

gnt_err gnt_queue_keep_removed(struct gnt_lane *lane, uint64_t sequence)
{
    struct gnt_queue *q = lane->queue;
    struct gnt_record_log log = gnt_queue_log(q->number, lane->number);
    gnt_err err = reserve(q, 1, 0);
    if (!err)
        gnt_batch_remove(gnt_keep_batch(q->home), gnt_record_log_slice(&log), sequence);
    return err;
}

gnt_err gnt_queue_keep_removal(struct gnt_entry *e)
{
    struct gnt_queue *q = e->queue;
    if (!e->kept || !q->number)
        return GNT_OK;
    gnt_err err = reserve(q, 2, 0);
    if (err)
        return err;
    struct gnt_batch *batch = gnt_keep_batch(q->home);
    struct gnt_record_log log = gnt_queue_log(q->number, e->lane->number);
    gnt_batch_remove(batch, gnt_record_log_slice(&log), e->sequence);
    if (e->stated) {
        struct gnt_record_key key = key_of(e);
        gnt_batch_delete(batch, states(), gnt_record_key_slice(&key));
    }
    return GNT_OK;
}

/* For want of memory it comes again after a restart. */
void gnt_queue_keep_settled(struct gnt_entry *e)
{
    if (gnt_queue_keep_removal(e))
        gnt_count(&e->queue->home->counters, GNT_COUNT_KEEP_FAILURES, 1);
}

/* For want of memory it is as it was after a restart. */
void gnt_queue_keep_state(struct gnt_entry *e)
{
    struct gnt_queue *q = e->queue;
    struct gnt_buf *value = &q->home->keep.scratch;
    const struct gnt_queued_record record = {.durable = e->durable,
                                             .failed = e->failed,
                                             .enqueued_ms = e->enqueued_ms};
    if (!e->kept || !q->number)
        return;
    if (gnt_queued_record_write(&record, e->note, value) || reserve(q, 1, gnt_buf_size(value))) {
        gnt_count(&q->home->counters, GNT_COUNT_KEEP_FAILURES, 1);
        return;
    }
    struct gnt_record_key key = key_of(e);
    gnt_batch_put(gnt_keep_batch(q->home), states(), gnt_record_key_slice(&key),
                  gnt_buf_slice(value), NULL);
    e->stated = true;
}

/* ---- States that an earlier process has left, of messages that are in the store only */

gnt_err gnt_queue_state_new(struct gnt_queue *q, uint64_t sequence,
                            const struct gnt_queued_record *state)
{
    struct gnt_queue_state *s = calloc(1, sizeof *s);
    gnt_err err = s ? gnt_note_new(&state->note, &s->note) : GNT_NOMEM;
    if (!err)
        err = gnt_map_insert(&q->states, &s->by_sequence, gnt_hash_mix(0, sequence));
    if (err) {
        if (s)
            gnt_note_unref(&s->note);
        free(s);
        return err;
    }
    s->sequence = sequence;
    s->failed = state->failed;
    return GNT_OK;
}

struct gnt_queue_state *gnt_queue_state_of(const struct gnt_queue *q, uint64_t sequence)
{
    struct gnt_map_node *node = gnt_map_first(&q->states, gnt_hash_mix(0, sequence));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_queue_state *s = GNT_CONTAINER(node, struct gnt_queue_state, by_sequence);
        if (s->sequence == sequence)
            return s;
    }
    return NULL;
}

void gnt_queue_state_free(struct gnt_queue *q, struct gnt_queue_state *state)
{
    gnt_map_remove(&q->states, &state->by_sequence);
    gnt_note_unref(&state->note);
    free(state);
}

void gnt_queue_keep_no_state(struct gnt_queue *q, uint64_t sequence)
{
    if (!q->number || q->home->ending || reserve(q, 1, 0))
        return;
    struct gnt_record_key key = gnt_record_key_numbers(q->number, sequence);
    gnt_batch_delete(gnt_keep_batch(q->home), states(), gnt_record_key_slice(&key));
}

bool gnt_queue_states_sweep(struct gnt_queue *q)
{
    enum { SLICE = 1024 };
    struct gnt_map_cursor cursor = {0};
    struct gnt_map_node *node;
    if (!q->states.count)
        return false;
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++)
        if (q->lanes[i] && q->lanes[i]->stored.count)
            return false;
    for (int i = 0; i < SLICE && (node = gnt_map_walk(&q->states, &cursor)); i++) {
        struct gnt_queue_state *state = GNT_CONTAINER(node, struct gnt_queue_state, by_sequence);
        gnt_queue_keep_no_state(q, state->sequence);
        gnt_queue_state_free(q, state);
    }
    return q->states.count != 0;
}
