#include "core/recover_private.h"

#include "core/queue_private.h"
#include "core/queue_record.h"

#include <stdlib.h>

static uint64_t number_hash(uint64_t number)
{
    return gnt_hash_mix(0, number);
}

static struct gnt_queue *find(const struct gnt_recover *r, uint64_t number)
{
    struct gnt_map_node *node = gnt_map_first(&r->queues, number_hash(number));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_queue *q = GNT_CONTAINER(node, struct gnt_queue, by_number);
        if (q->number == number)
            return q;
    }
    return NULL;
}

/* ---- Which there are */

static void forget(struct gnt_recover *r, struct gnt_queue *q)
{
    if (q->dead)
        gnt_map_remove(&r->queues, &q->dead->by_number);
    gnt_map_remove(&r->queues, &q->by_number);
}

/* A queue of this name has ended, and there was no memory to say so: numbers rise, so that it is
 * the one that has come back already. */
static void end_earlier(struct gnt_recover *r, struct gnt_home *home, struct gnt_slice name)
{
    struct gnt_queue *earlier = gnt_queue_named(home, name);
    if (!earlier)
        return;
    forget(r, earlier);
    gnt_queue_end(earlier, GNT_COUNT_DROPPED_DELETED);
    r->result->queues--;
}

static gnt_err bind(struct gnt_queue *q, struct gnt_slice bindings)
{
    struct gnt_reader reader = gnt_reader(bindings);
    size_t count = 0;
    while (gnt_read_left(&reader))
        count += gnt_read_str16(&reader).size != 0;
    if (reader.bad || !count)
        return reader.bad ? GNT_MALFORMED : GNT_OK;
    struct gnt_slice *filters = calloc(count, sizeof *filters);
    if (!filters)
        return GNT_NOMEM;
    reader = gnt_reader(bindings);
    for (size_t i = 0; i < count; i++)
        filters[i] = gnt_read_str16(&reader);
    gnt_err err = gnt_queue_bind(q, filters, count);
    free(filters);
    return err;
}

static gnt_err come_back(struct gnt_recover *r, struct gnt_home *home,
                         const struct gnt_queue_record *record, struct gnt_queue *parent)
{
    struct gnt_queue *q;
    struct gnt_queue_options options =
        parent ? gnt_queue_dead_options(&parent->options) : record->options;
    gnt_err err = gnt_queue_new(home, record->name, &options, parent, &q);
    if (err)
        return err;
    q->number = record->number;
    q->lanes_kept = record->lanes;
    if (parent)
        parent->dead = q;
    err = gnt_map_insert(&r->queues, &q->by_number, number_hash(q->number));
    if (!err)
        err = bind(q, record->bindings);
    r->result->queues += !parent;
    return err;
}

/* What is nobody's dead-letter queue any more is taken out. */
static void end_orphan(struct gnt_recover *r, const struct gnt_store_record *record,
                       const struct gnt_queue_record *queue)
{
    struct gnt_home *first = &r->core->homes[0];
    gnt_recover_take_out(first, "queue", record);
    for (unsigned lane = 0; lane < GNT_QUEUE_LANES; lane++) {
        struct gnt_record_log log = gnt_queue_log(queue->number, lane);
        if (queue->lanes >> lane & 1 && gnt_keep_reserve(first, 1, GNT_STORE_NAME_MAX) == GNT_OK)
            gnt_batch_drop(gnt_keep_batch(first), gnt_record_log_slice(&log));
    }
}

static void on_queue(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_queue_record queue;
    if (r->err)
        return;
    if (!gnt_queue_record_read(record->value, &queue)) {
        r->result->damaged++;
        return;
    }
    r->last_number = queue.number > r->last_number ? queue.number : r->last_number;
    struct gnt_queue *parent = queue.parent ? find(r, queue.parent) : NULL;
    if (queue.parent && !parent) {
        end_orphan(r, record, &queue);
        return;
    }
    struct gnt_home *first = &r->core->homes[0];
    unsigned at = gnt_entity_home(first->config.home_key, r->core->count, queue.name);
    struct gnt_home *home = parent ? parent->home : &r->core->homes[at];
    if (!parent)
        end_earlier(r, home, queue.name);
    r->err = come_back(r, home, &queue, parent);
    if (r->err == GNT_MALFORMED) {
        r->result->damaged++;
        r->err = GNT_OK;
    }
}

gnt_err gnt_recover_queues(struct gnt_recover *r)
{
    return gnt_recover_each(r, "queue", on_queue);
}

/* ---- What is in them */

/* How often it failed, and what was left with it. */
static void on_state(struct gnt_recover *r, const struct gnt_store_record *record)
{
    uint64_t number, sequence;
    struct gnt_queued_record state;
    if (r->err)
        return;
    if (!gnt_record_numbers(record->key, &number, &sequence) ||
        !gnt_queued_record_read(record->value, &state)) {
        r->result->damaged++;
        return;
    }
    struct gnt_queue *q = find(r, number);
    if (!q)
        gnt_recover_take_out(&r->core->homes[0], "queued", record);
    else
        r->err = gnt_queue_state_new(q, sequence, &state);
}

/* One of the first of a lane. */
static void on_sample(struct gnt_recover *r, const struct gnt_store_record *record)
{
    if (!record->message)
        return;
    r->placed++;
    r->sampled.bytes += record->message->payload.size;
    r->sampled.mortal |= record->message->expires != GNT_NEVER;
}

/* SIZE, or as much as Q may have besides what it has: a guess is no reason to drop anything. */
static uint64_t bounded(const struct gnt_queue *q, uint64_t size)
{
    uint64_t most = q->options.max_bytes, has = q->ready_bytes;
    uint64_t room = most > has ? most - has : 0;
    return most && size > room ? room : size;
}

/* What the first ones are like stands for all, until they are read: how large they are, and whether
 * they expire. */
static gnt_err look_into(struct gnt_recover *r, struct gnt_lane *lane, struct gnt_reading *reading)
{
    struct gnt_queue *q = lane->queue;
    struct gnt_lane_stored *s = &lane->stored;
    r->sampled = (struct gnt_sampled){.bytes = 0};
    gnt_err err = s->count ? gnt_recover_log(r, gnt_queue_log(q->number, lane->number), s->next,
                                             GNT_QUEUE_WINDOW_AWAY, reading)
                           : GNT_OK;
    if (err || !r->placed)
        return err;
    s->mortal = r->sampled.mortal;
    s->bytes = bounded(q, r->sampled.bytes * s->count / r->placed);
    q->ready_bytes += s->bytes;
    gnt_count(&q->home->counters, GNT_COUNT_QUEUED_BYTES, (int64_t)s->bytes);
    if (gnt_lane_comes(lane))
        gnt_queue_stir(q);
    return GNT_OK;
}

/* All of it stays in the store until somebody asks for it. */
static gnt_err recover_lane(struct gnt_recover *r, struct gnt_queue *q, unsigned number,
                            struct gnt_reading *reading)
{
    gnt_err err = gnt_recover_look_at(r, gnt_queue_log(q->number, number), reading);
    struct gnt_lane *lane = err ? NULL : gnt_queue_lane_at(q, number);
    if (!lane)
        return err ? err : GNT_NOMEM;
    const struct gnt_store_log *log = &r->log;
    q->last = log->last > q->last ? log->last : q->last;
    lane->stored =
        (struct gnt_lane_stored){.next = log->first, .last = log->last, .count = log->count};
    q->ready += log->count;
    gnt_ledger_recover(q->home, &q->ledger, log->count);
    r->result->deliveries += log->count;
    return look_into(r, lane, reading);
}

gnt_err gnt_recover_of_queues(struct gnt_recover *r)
{
    struct gnt_reading reading;
    struct gnt_map_cursor cursor = {0};
    gnt_err err = gnt_recover_each(r, "queued", on_state);
    gnt_reading_begin(&reading, r, on_sample);
    for (struct gnt_map_node *node; !err && (node = gnt_map_walk(&r->queues, &cursor));) {
        struct gnt_queue *q = GNT_CONTAINER(node, struct gnt_queue, by_number);
        for (unsigned lane = 0; !err && lane < GNT_QUEUE_LANES; lane++)
            if (q->lanes_kept >> lane & 1)
                err = recover_lane(r, q, lane, &reading);
    }
    gnt_reading_end(&reading);
    return err;
}

void gnt_recover_queues_end(struct gnt_recover *r)
{
    gnt_map_fini(&r->queues); /* the nodes are the queues' */
}
