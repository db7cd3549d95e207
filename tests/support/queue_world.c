#include "support/queue_world.h"

#include "core/queue_private.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);

/* ---- Asking */

/* Lives until it is answered: the store may have had no memory, and then that is at the end. */
struct asked {
    struct gnt_entity_asking asking;
    bool done, abandoned;
    enum gnt_queue_result result;
};

static void on_answer(struct gnt_home *home, struct gnt_entity_asking *asking,
                      enum gnt_queue_result result)
{
    struct asked *a = GNT_CONTAINER(asking, struct asked, asking);
    (void)home;
    assert_false(a->done);
    a->done = true;
    a->result = result;
    if (a->abandoned)
        free(a);
}

static enum gnt_queue_result ask(struct world *w, unsigned from,
                                 const struct gnt_entity_asking *asking,
                                 struct gnt_queue_facts *facts)
{
    struct asked *a = __real_malloc(sizeof *a);
    assert_non_null(a);
    *a = (struct asked){.asking = *asking};
    a->asking.done = on_answer;
    gnt_entity_ask(&w->core->homes[from], &a->asking);
    assert_false(a->done);
    world_settle(w);
    if (facts)
        *facts = a->asking.facts;
    if (!a->done) {
        a->abandoned = true;
        return GNT_QUEUE_NO_STORE;
    }
    enum gnt_queue_result result = a->result;
    free(a);
    return result;
}

enum gnt_queue_result queue_ask(struct world *w, unsigned from, enum gnt_entity_verb verb,
                                const char *name, const struct gnt_queue_options *options,
                                struct gnt_queue_facts *facts)
{
    const struct gnt_entity_asking a = {.verb = verb,
                                        .name = gnt_slice_str(name),
                                        .options = options};
    return ask(w, from, &a, facts);
}

enum gnt_queue_result queue_ask_bound(struct world *w, const char *name, const char *filter,
                                      const struct gnt_queue_options *options)
{
    struct gnt_slice bind = gnt_slice_str(filter);
    const struct gnt_entity_asking a = {.verb = GNT_ENTITY_DECLARE,
                                        .name = gnt_slice_str(name),
                                        .options = options,
                                        .bind = &bind,
                                        .bind_count = filter ? 1 : 0};
    return ask(w, 0, &a, NULL);
}

uint64_t queue_id(struct world *w, const char *name, const struct gnt_queue_options *options)
{
    struct gnt_queue_facts facts;
    assert_int_equal(queue_ask(w, 0, GNT_ENTITY_FIND_OR_CREATE, name, options, &facts),
                     GNT_QUEUE_DONE);
    assert_true(facts.id != 0);
    return facts.id;
}

struct gnt_queue_facts queue_facts(struct world *w, const char *name)
{
    struct gnt_queue_facts facts;
    assert_int_equal(queue_ask(w, 0, GNT_ENTITY_FIND, name, NULL, &facts), GNT_QUEUE_DONE);
    return facts;
}

/* ---- Sending */

struct letter {
    struct gnt_sending sending;
    struct queue_sent *sent;
};

static void on_sent(struct gnt_home *home, struct gnt_sending *sending,
                    enum gnt_queue_result result)
{
    struct letter *l = GNT_CONTAINER(sending, struct letter, sending);
    (void)home;
    assert_null(sending->message);
    if (l->sent) {
        assert_false(l->sent->done);
        *l->sent = (struct queue_sent){result, true, sending->full, sending->sequence};
    }
    free(l);
}

void queue_send_with(struct world *w, unsigned from, uint64_t queue, const char *payload,
                     bool durable, uint8_t priority, const char *group, uint64_t expires,
                     struct queue_sent *sent)
{
    char text[64];
    int size = snprintf(text, sizeof text, "%s", payload);
    struct gnt_message_init init = {.topic = gnt_slice_str("q"),
                                    .payload = gnt_slice(text, (size_t)size),
                                    .extras = gnt_slice_str(group),
                                    .format = GNT_EXTRAS_AMQP,
                                    .qos = durable,
                                    .expires = expires};
    struct letter *l = __real_malloc(sizeof *l);
    assert_non_null(l);
    *l = (struct letter){.sent = sent};
    if (sent)
        *sent = (struct queue_sent){.result = GNT_QUEUE_CANCELLED};
    if (gnt_message_new(&init, &l->sending.message)) {
        if (sent)
            *sent = (struct queue_sent){GNT_QUEUE_NO_MEMORY, true, false, 0};
        free(l);
        return;
    }
    l->sending.done = on_sent;
    l->sending.durable = durable;
    l->sending.priority = priority;
    l->sending.group = l->sending.message->extras;
    gnt_queue_send(&w->core->homes[from], queue, &l->sending);
}

void queue_send(struct world *w, unsigned from, uint64_t queue, const char *payload, bool durable,
                struct queue_sent *sent)
{
    queue_send_with(w, from, queue, payload, durable, GNT_QUEUE_PRIORITY_DEFAULT, NULL, GNT_NEVER,
                    sent);
}

void queue_send_words(struct world *w, uint64_t queue, const char *words, bool durable)
{
    char copy[256];
    snprintf(copy, sizeof copy, "%s", words);
    for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        queue_send(w, 0, queue, word, durable, NULL);
    world_settle(w);
}

static void on_room(struct gnt_home *home, struct gnt_room *room, enum gnt_queue_result result)
{
    struct queue_room *r = GNT_CONTAINER(room, struct queue_room, room);
    (void)home;
    r->times++;
    r->result = result;
}

void queue_await(struct world *w, unsigned home, uint64_t queue, struct queue_room *r)
{
    r->room.done = on_room;
    gnt_queue_await_room(&w->core->homes[home], queue, &r->room);
}

/* ---- Receiving */

void queue_filter_unref(struct gnt_consumer_filter *filter)
{
    (void)filter;
}

static struct queue_reader *reader_of(struct gnt_consumer *c)
{
    return GNT_CONTAINER(c, struct queue_reader, c);
}

static void at_home(const struct queue_reader *r, const struct gnt_home *home)
{
    assert_int_equal(home->index, r->home);
    assert_false(r->closed);
}

static void on_opened(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result result)
{
    struct queue_reader *r = reader_of(c);
    at_home(r, home);
    assert_false(r->opened);
    r->opened = true;
    r->result = result;
}

static void text(char *out, size_t cap, struct gnt_slice from)
{
    size_t size = from.size < cap - 1 ? from.size : cap - 1;
    if (size)
        memcpy(out, from.data, size);
    out[size] = 0;
}

static void on_deliver(struct gnt_home *home, struct gnt_consumer *c, const struct gnt_queued *d)
{
    struct queue_reader *r = reader_of(c);
    at_home(r, home);
    assert_true(r->opened && !r->ended);
    assert_true(++r->delivered <= r->credit);
    struct queue_held h = {.sequence = d->sequence,
                           .delivery = d->delivery,
                           .failed = d->failed,
                           .acquired = d->acquired,
                           .durable = d->durable,
                           .locked_until = d->locked_until,
                           .source_sequence = d->source_sequence};
    text(h.payload, sizeof h.payload, d->message->payload);
    text(h.annotations, sizeof h.annotations, d->annotations);
    text(h.reason, sizeof h.reason, d->reason);
    text(h.description, sizeof h.description, d->description);
    text(h.source, sizeof h.source, d->source);
    size_t size = strlen(h.payload);
    r->text = __real_realloc(r->text, r->text_size + size + 2);
    assert_non_null(r->text);
    memcpy(r->text + r->text_size, h.payload, size);
    memcpy(r->text + r->text_size + size, " ", 2);
    r->text_size += size + 1;
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->held = __real_realloc(r->held, r->cap * sizeof *r->held);
        assert_non_null(r->held);
    }
    r->held[r->count++] = h;
    if (r->on_delivered)
        r->on_delivered(r);
}

static void on_drained(struct gnt_home *home, struct gnt_consumer *c, uint64_t upto)
{
    struct queue_reader *r = reader_of(c);
    at_home(r, home);
    r->drained++;
    r->drained_upto = upto;
    r->delivered = upto;
}

static void on_settled(struct gnt_home *home, struct gnt_consumer *c, uint64_t delivery,
                       enum gnt_queue_result result)
{
    struct queue_reader *r = reader_of(c);
    at_home(r, home);
    r->settled++;
    r->settled_delivery = delivery;
    r->settled_result = result;
    if (r->on_settled)
        r->on_settled(r, delivery, result);
}

static void on_ended(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result why)
{
    struct queue_reader *r = reader_of(c);
    at_home(r, home);
    assert_false(r->ended);
    r->ended = true;
    r->result = why;
}

static void on_closed(struct gnt_home *home, struct gnt_consumer *c)
{
    struct queue_reader *r = reader_of(c);
    at_home(r, home);
    r->closed = true;
}

void queue_open(struct world *w, unsigned home, uint64_t queue, enum gnt_consume mode,
                struct queue_reader *r)
{
    static const struct gnt_consumer_ops ops = {on_opened,  on_deliver, on_drained,
                                                on_settled, on_ended,   on_closed};
    r->world = w;
    r->home = home;
    r->opened = r->ended = r->closed = false;
    r->credit = 0;
    r->delivered = 0;
    r->c.ops = &ops;
    r->c.mode = mode;
    gnt_consumer_open(&w->core->homes[home], queue, &r->c);
}

void queue_credit(struct queue_reader *r, unsigned more, bool drain)
{
    r->credit += more;
    gnt_consumer_credit(&r->c, r->credit, drain);
}

void queue_settle_one(struct queue_reader *r, const char *payload, const struct gnt_settling *like)
{
    size_t i = 0;
    while (i < r->count && payload && strcmp(r->held[i].payload, payload) != 0)
        i++;
    assert_true(i < r->count);
    struct gnt_settling s = *like;
    s.delivery = r->held[i].delivery;
    assert_int_equal(gnt_consumer_settle(&r->c, &s), GNT_OK);
    if (s.outcome != GNT_SETTLE_RENEW)
        memmove(&r->held[i], &r->held[i + 1], (--r->count - i) * sizeof *r->held);
}

void queue_settle(struct queue_reader *r, enum gnt_settle outcome)
{
    queue_settle_one(r, NULL, &(struct gnt_settling){.outcome = outcome});
}

void queue_close(struct queue_reader *r, bool failed)
{
    gnt_consumer_close(&r->c, failed);
    assert_false(r->closed);
    world_settle(r->world);
    assert_true(r->closed);
}

const char *queue_text(const struct queue_reader *r)
{
    return r->text ? r->text : "";
}

void queue_forget(struct queue_reader *r)
{
    free(r->text);
    free(r->held);
    r->text = NULL;
    r->held = NULL;
    r->count = r->cap = r->text_size = 0;
}

const char *queue_take_all(struct world *w, const char *name)
{
    static char text[4096];
    struct queue_reader r = {.count = 0};
    queue_open(w, 0, queue_facts(w, name).id, GNT_CONSUME_TAKE, &r);
    queue_credit(&r, 1000, true);
    world_settle(w);
    assert_int_equal(r.drained, 1);
    snprintf(text, sizeof text, "%s", queue_text(&r));
    queue_close(&r, false);
    queue_forget(&r);
    return text;
}

/* ---- Looking inside */

struct gnt_queue *queue_inside(const struct world *w, const char *name)
{
    struct gnt_queue *q = NULL;
    for (unsigned i = 0; !q && i < w->homes; i++)
        q = gnt_queue_named(&w->core->homes[i], gnt_slice_str(name));
    return q;
}

size_t queue_in_memory(const struct gnt_queue *q)
{
    size_t n = 0;
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++)
        if (q->lanes[i])
            gnt_list_each (place, &q->lanes[i]->all)
                n++;
    return n;
}

struct counting {
    struct gnt_store_read read;
    size_t count;
};

static void count_one(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    (void)record;
    GNT_CONTAINER(read, struct counting, read)->count++;
}

static void counted(struct gnt_completion *c, gnt_err result)
{
    (void)c;
    assert_int_equal(result, GNT_OK);
}

size_t queue_records(struct gnt_store *store, const char *table)
{
    static const struct gnt_slice all;
    struct counting counting = {
        .read = {.completion = {.done = counted, .deliver = gnt_store_deliver_here},
                 .record = count_one}};
    gnt_store_scan(store, gnt_slice_str(table), all, all, GNT_STORE_READ_MAX, &counting.read);
    return counting.count;
}
