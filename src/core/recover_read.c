#include "core/recover_private.h"

#include "base/assert.h"

static void on_record(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    struct gnt_reading *reading = GNT_CONTAINER(read, struct gnt_reading, read);
    GNT_ASSERT(record->key.size <= sizeof reading->last.bytes);
    if (record->key.size)
        memcpy(reading->last.bytes, record->key.data, record->key.size);
    reading->last.size = record->key.size;
    reading->last_sequence = record->sequence;
    reading->record(reading->recover, record);
}

static void on_done(struct gnt_completion *c, gnt_err result)
{
    GNT_CONTAINER(c, struct gnt_reading, read.completion)->result = result;
}

static void deliver(void *context, struct gnt_completion *c)
{
    struct gnt_reading *reading = context;
    (void)c;
    pthread_mutex_lock(&reading->lock);
    reading->arrived = true;
    pthread_cond_signal(&reading->there);
    pthread_mutex_unlock(&reading->lock);
}

void gnt_reading_begin(struct gnt_reading *reading, struct gnt_recover *r,
                       void (*record)(struct gnt_recover *r, const struct gnt_store_record *record))
{
    *reading = (struct gnt_reading){.recover = r, .record = record};
    reading->read.record = on_record;
    reading->read.completion =
        (struct gnt_completion){.done = on_done, .deliver = deliver, .context = reading};
    pthread_mutex_init(&reading->lock, NULL);
    pthread_cond_init(&reading->there, NULL);
}

void gnt_reading_end(struct gnt_reading *reading)
{
    pthread_cond_destroy(&reading->there);
    pthread_mutex_destroy(&reading->lock);
}

/* The result of what has been asked for, on this thread. */
static gnt_err await(struct gnt_reading *reading)
{
    const struct gnt_recovery *how = reading->recover->how;
    pthread_mutex_lock(&reading->lock);
    while (!reading->arrived) {
        if (how->run) {
            pthread_mutex_unlock(&reading->lock);
            how->run(how->context);
            pthread_mutex_lock(&reading->lock);
        } else {
            pthread_cond_wait(&reading->there, &reading->lock);
        }
    }
    reading->arrived = false;
    pthread_mutex_unlock(&reading->lock);
    gnt_store_complete(&reading->read.completion);
    return reading->recover->err ? reading->recover->err : reading->result;
}

gnt_err gnt_recover_each(struct gnt_recover *r, const char *table,
                         void (*record)(struct gnt_recover *r,
                                        const struct gnt_store_record *record))
{
    static const struct gnt_slice all;
    struct gnt_reading reading;
    gnt_reading_begin(&reading, r, record);
    gnt_err err;
    uint64_t count = 0;
    do {
        struct gnt_record_key after = reading.last;
        gnt_store_scan(r->how->store, gnt_slice_str(table), all, gnt_record_key_slice(&after),
                       GNT_STORE_READ_MAX, &reading.read);
        err = await(&reading);
        count += GNT_STORE_READ_MAX;
        if (r->how->progress)
            r->how->progress(r->how->context, table, count);
    } while (!err && reading.read.more);
    gnt_reading_end(&reading);
    return err;
}

gnt_err gnt_recover_log(struct gnt_recover *r, struct gnt_record_log log, uint64_t from,
                        uint32_t most, struct gnt_reading *reading)
{
    gnt_store_read(r->how->store, gnt_record_log_slice(&log), from, most, &reading->read);
    return await(reading);
}

gnt_err gnt_recover_front(struct gnt_recover *r, struct gnt_record_log log,
                          struct gnt_reading *reading)
{
    enum { SLICE = 64 };
    gnt_err err = GNT_OK;
    uint64_t from = r->log.first;
    while (!err && !r->plain_from && r->placed < r->log.count) {
        uint64_t before = r->placed;
        err = gnt_recover_log(r, log, from, SLICE, reading);
        from = reading->last_sequence + 1;
        if (r->placed == before)
            break; /* what should follow is not there */
    }
    return err;
}

gnt_err gnt_recover_look_at(struct gnt_recover *r, struct gnt_record_log log,
                            struct gnt_reading *reading)
{
    gnt_err err = gnt_recover_log(r, log, 0, 0, reading);
    r->log = reading->read.log;
    r->placed = r->plain_from = 0;
    r->released = 0;
    return err;
}

void gnt_recover_add_up(struct gnt_recover *r)
{
    uint64_t found = r->placed + (r->plain_from ? r->log.last - r->plain_from + 1 : 0);
    r->result->deliveries += found;
    r->result->damaged += r->log.count > found ? r->log.count - found : 0;
}

/* ---- Single records */

void gnt_recover_take_out(struct gnt_home *home, const char *table,
                          const struct gnt_store_record *record)
{
    if (gnt_keep_reserve(home, 1, GNT_STORE_NAME_MAX + record->key.size) == GNT_OK)
        gnt_batch_delete(gnt_keep_batch(home), gnt_slice_str(table), record->key);
}

bool gnt_recover_entry(struct gnt_recover *r, const struct gnt_store_record *record,
                       struct gnt_entry_record *entry)
{
    gnt_err err = record->message ? gnt_entry_record_read(record->value, entry) : GNT_MALFORMED;
    if (err == GNT_MALFORMED)
        r->result->damaged++;
    else
        r->err = err;
    return err == GNT_OK;
}
