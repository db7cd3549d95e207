#include "core/transaction_private.h"

#include "base/assert.h"
#include "core/queue_private.h"
#include "core/publish.h"

#include <stdlib.h>

/* What is published with the commit. */
struct publication {
    struct gnt_list link; /* in transaction->publications */
    struct gnt_transaction *transaction;
    struct gnt_message *message;
    struct gnt_receipt receipt;
};

struct gnt_transaction {
    struct gnt_home *home;
    void (*done)(struct gnt_home *home, void *context, enum gnt_queue_result result);
    void *context;
    struct gnt_errand errand; /* to its own home: what comes next */
    struct gnt_list publications;
    uint32_t count;
    size_t bytes;
    uint32_t waiting; /* answers that are due */
    bool begun;
    enum gnt_queue_result result;
    struct gnt_share *shares[]; /* by home; NULL: that has none */
};

/* ---- Open */

gnt_err gnt_transaction_new(struct gnt_home *home, struct gnt_transaction **out)
{
    struct gnt_transaction *t = calloc(1, sizeof *t + home->config.homes * sizeof *t->shares);
    if (!t)
        return GNT_NOMEM;
    t->home = home;
    gnt_list_init(&t->publications);
    *out = t;
    return GNT_OK;
}

static struct gnt_share *share_of(struct gnt_transaction *t, uint64_t queue)
{
    struct gnt_share **share = &t->shares[gnt_sink_home(queue)];
    if (!*share && (*share = calloc(1, sizeof **share))) {
        (*share)->transaction = t;
        gnt_list_init(&(*share)->parts);
    }
    return *share;
}

static void part_free(struct gnt_part *part)
{
    gnt_list_remove(&part->link);
    gnt_message_unref(&part->message);
    gnt_note_unref(&part->note);
    free(part);
}

/* Zeroed, the last of what is to be done at QUEUE's home.  NULL: no memory. */
static struct gnt_part *part_new(struct gnt_transaction *t, uint64_t queue)
{
    struct gnt_share *share = share_of(t, queue);
    struct gnt_part *part = share ? calloc(1, sizeof *part) : NULL;
    if (!part)
        return NULL;
    part->transaction = t;
    part->queue = queue;
    gnt_list_init(&part->posted);
    gnt_list_init(&part->retired);
    gnt_list_push_back(&share->parts, &part->link);
    return part;
}

static void count_in(struct gnt_transaction *t, size_t size)
{
    t->count++;
    t->bytes += size;
}

static size_t size_of(const struct gnt_message *m)
{
    return m->topic.size + m->payload.size + m->extras.size;
}

gnt_err gnt_transaction_post(struct gnt_transaction *t, uint64_t queue, struct gnt_sending *sending)
{
    struct gnt_part *part = part_new(t, queue);
    if (!part)
        return GNT_NOMEM;
    part->message = sending->message;
    part->durable = sending->durable;
    part->priority = sending->priority;
    part->group = sending->group;
    if (part->group.size > GNT_QUEUE_GROUP_MAX)
        part->group.size = GNT_QUEUE_GROUP_MAX;
    count_in(t, sizeof *part + size_of(part->message));
    sending->message = NULL;
    return GNT_OK;
}

gnt_err gnt_transaction_retire(struct gnt_transaction *t, const struct gnt_retiring *retiring,
                               struct gnt_part **out)
{
    struct gnt_note *note;
    gnt_err err = gnt_settling_note(&retiring->settling, &note);
    if (err)
        return err;
    struct gnt_part *part = part_new(t, retiring->consumer->queue);
    if (!part) {
        gnt_note_unref(&note);
        return GNT_NOMEM;
    }
    part->retiring = *retiring;
    part->note = note;
    count_in(t, sizeof *part + (note ? gnt_note_size(note) : 0));
    *out = part;
    return GNT_OK;
}

/* Once it has begun the queue's home has the consumer, until that is closed, which it hears of
 * later. */
void gnt_part_leave(struct gnt_part *part)
{
    struct gnt_transaction *t = part->transaction;
    part->retiring.over = NULL;
    if (!t->begun)
        t->result = GNT_QUEUE_LOCK_LOST;
}

uint32_t gnt_transaction_count(const struct gnt_transaction *t)
{
    return t->count;
}

size_t gnt_transaction_bytes(const struct gnt_transaction *t)
{
    return t->bytes;
}

/* ---- Its end */

static void share_end(struct gnt_share *share, bool applied)
{
    gnt_list_each_safe (at, &share->parts) {
        struct gnt_part *part = GNT_CONTAINER(at, struct gnt_part, link);
        if (part->retiring.over)
            part->retiring.over(part->retiring.context, applied);
        part_free(part);
    }
    gnt_batch_fini(&share->batch);
    free(share);
}

static void transaction_free(struct gnt_transaction *t)
{
    for (unsigned i = 0; i < t->home->config.homes; i++)
        if (t->shares[i])
            share_end(t->shares[i], t->begun && !t->result);
    gnt_list_each_safe (at, &t->publications) {
        struct publication *p = GNT_CONTAINER(at, struct publication, link);
        gnt_message_unref(&p->message);
        gnt_list_remove(at);
        free(p);
    }
    free(t);
}

static void finish(struct gnt_transaction *t)
{
    struct gnt_home *home = t->home;
    void (*done)(struct gnt_home * home, void *context, enum gnt_queue_result result) = t->done;
    void *context = t->context;
    enum gnt_queue_result result = t->result;
    transaction_free(t);
    done(home, context, result);
}

static void answered(struct gnt_transaction *t)
{
    if (--t->waiting == 0)
        finish(t);
}

void gnt_transaction_roll_back(struct gnt_transaction **t)
{
    GNT_ASSERT(!(*t)->begun);
    transaction_free(*t);
    *t = NULL;
}

/* ---- Publications */

static void on_receipt(struct gnt_home *home, struct gnt_work *work)
{
    (void)home;
    answered(GNT_CONTAINER(work, struct publication, receipt.settled)->transaction);
}

gnt_err gnt_transaction_publish(struct gnt_transaction *t, struct gnt_message **message)
{
    struct publication *p = calloc(1, sizeof *p);
    if (!p)
        return GNT_NOMEM;
    p->transaction = t;
    p->message = *message;
    *message = NULL;
    gnt_work_init(&p->receipt.settled, on_receipt);
    gnt_list_push_back(&t->publications, &p->link);
    count_in(t, sizeof *p + size_of(p->message));
    return GNT_OK;
}

/* All else is decided, so that what cannot be done about it is counted, and the transaction goes
 * on. */
static void publish(struct gnt_transaction *t, struct publication *p)
{
    bool waits = p->message->qos > 0;
    enum gnt_outcome outcome = gnt_publish(t->home, p->message, waits ? &p->receipt : NULL);
    if (outcome == GNT_NO_ROOM)
        (void)gnt_publish(t->home, p->message, NULL);
    else if (outcome == GNT_WITHHELD)
        t->waiting++;
    else if (outcome == GNT_FAILED && waits)
        gnt_ledger_pass(t->home, NULL, GNT_COUNT_DROPPED_NO_MEMORY);
}

static bool publishes_what_is_kept(const struct gnt_transaction *t)
{
    gnt_list_each (at, &t->publications)
        if (GNT_CONTAINER(at, struct publication, link)->message->qos)
            return true;
    return false;
}

/* ---- All homes at once */

/* TODO is run at each home that has a share. */
static void send_all(struct gnt_transaction *t,
                     void (*todo)(struct gnt_home *home, struct gnt_errand *errand))
{
    for (unsigned i = 0; i < t->home->config.homes; i++) {
        struct gnt_share *share = t->shares[i];
        if (!share || share->result)
            continue;
        t->waiting++;
        gnt_errand_send(t->home, i, &share->errand, todo);
    }
}

static struct gnt_share *share_at(struct gnt_errand *errand)
{
    return GNT_CONTAINER(errand, struct gnt_share, errand);
}

static void on_over(struct gnt_home *home, struct gnt_errand *errand)
{
    (void)home;
    answered(share_at(errand)->transaction);
}

static void on_cancel(struct gnt_home *home, struct gnt_errand *errand)
{
    gnt_share_cancel(share_at(errand));
    gnt_errand_send(home, errand->from, errand, on_over);
}

static void on_apply(struct gnt_home *home, struct gnt_errand *errand)
{
    unsigned from = errand->from;
    uint64_t mark = gnt_keep_mark(home);
    gnt_share_apply(home, share_at(errand));
    if (gnt_keep_mark(home) != mark)
        gnt_errand_send_safe(home, from, errand, on_over);
    else
        gnt_errand_send(home, from, errand, on_over);
}

/* It is safe; or the core ends, and its queues with it. */
static void on_safe(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_transaction *t = GNT_CONTAINER(errand, struct gnt_transaction, errand);
    (void)home;
    if (errand->lost)
        t->result = GNT_QUEUE_NO_STORE;
    send_all(t, on_apply);
    answered(t);
}

/* ---- Deciding */

/* The batches of all shares, in the one of this turn.  GNT_NOMEM: none of them. */
static gnt_err write_all(struct gnt_transaction *t)
{
    uint32_t writes = 0;
    size_t size = 0;
    for (unsigned i = 0; i < t->home->config.homes; i++) {
        const struct gnt_share *share = t->shares[i];
        writes += share ? share->batch.count : 0;
        size += share ? gnt_buf_size(&share->batch.bytes) : 0;
    }
    if (!writes)
        return GNT_OK;
    gnt_err err = gnt_keep_reserve(t->home, writes, size);
    if (err)
        return err;
    for (unsigned i = 0; i < t->home->config.homes; i++) {
        if (!t->shares[i])
            continue;
        err = gnt_batch_join(gnt_keep_batch(t->home), &t->shares[i]->batch);
        GNT_ASSERT(err == GNT_OK); /* there is room for all */
    }
    return GNT_OK;
}

/* All are prepared: now it happens, or the store says no. */
static enum gnt_queue_result commit(struct gnt_transaction *t)
{
    if (t->home->ending || (gnt_keep_refuses(t->home) && publishes_what_is_kept(t)))
        return GNT_QUEUE_NO_STORE;
    if (write_all(t))
        return GNT_QUEUE_NO_MEMORY;
    gnt_list_each (at, &t->publications)
        publish(t, GNT_CONTAINER(at, struct publication, link));
    t->waiting++;
    gnt_errand_send_safe(t->home, t->home->index, &t->errand, on_safe);
    return GNT_QUEUE_DONE;
}

static void decide(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_transaction *t = GNT_CONTAINER(errand, struct gnt_transaction, errand);
    (void)home;
    if (!t->result)
        t->result = commit(t);
    if (!t->result)
        return;
    t->waiting++;
    send_all(t, on_cancel);
    answered(t);
}

static void on_prepared(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_share *share = share_at(errand);
    struct gnt_transaction *t = share->transaction;
    if (share->result && !t->result)
        t->result = share->result;
    if (--t->waiting == 0)
        decide(home, &t->errand);
}

static void on_prepare(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_share *share = share_at(errand);
    share->result = gnt_share_prepare(home, share);
    gnt_errand_send(home, errand->from, errand, on_prepared);
}

/* Without a share, decide is the first to be run. */
void gnt_transaction_commit(struct gnt_transaction *t,
                            void (*done)(struct gnt_home *home, void *context,
                                         enum gnt_queue_result result),
                            void *context)
{
    t->begun = true;
    t->done = done;
    t->context = context;
    if (!t->result)
        send_all(t, on_prepare);
    if (!t->waiting)
        gnt_errand_send(t->home, t->home->index, &t->errand, decide);
}
