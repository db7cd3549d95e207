#include "core/enqueue.h"

#include "core/ledger.h"
#include "core/queue.h"

#include <stdlib.h>

/* To one queue, from one home: while the directory is asked what is published waits, in order. */
struct way {
    struct gnt_map_node by_name; /* in home->ways, while it is good */
    struct gnt_entity_asking asking;
    bool found, good;
    struct gnt_list waiting; /* struct letter */
    size_t letters;          /* waiting, and on their way */
    struct gnt_slice name;   /* as it was written, behind the struct */
};

struct letter {
    struct gnt_list link; /* in way->waiting */
    struct way *way;
    struct gnt_sending sending;
    struct gnt_receipt *receipt; /* held; NULL: nobody waits */
    struct gnt_room room;
};

enum gnt_outcome gnt_enqueue_outcome(enum gnt_queue_result result)
{
    static const uint8_t outcomes[] = {
        [GNT_QUEUE_DONE] = GNT_DONE,
        [GNT_QUEUE_NOT_FOUND] = GNT_TOPIC_INVALID,
        [GNT_QUEUE_EXISTS] = GNT_FAILED,
        [GNT_QUEUE_BAD_NAME] = GNT_TOPIC_INVALID,
        [GNT_QUEUE_BAD_OPTION] = GNT_FAILED,
        [GNT_QUEUE_LIMIT] = GNT_QUOTA,
        [GNT_QUEUE_IN_USE] = GNT_QUOTA,
        [GNT_QUEUE_FULL] = GNT_QUOTA,
        [GNT_QUEUE_TOO_LARGE] = GNT_QUOTA,
        [GNT_QUEUE_NO_MEMORY] = GNT_FAILED,
        [GNT_QUEUE_NO_STORE] = GNT_NO_ROOM,
        [GNT_QUEUE_LOCK_LOST] = GNT_FAILED,
        [GNT_QUEUE_READ_ONLY] = GNT_NOT_ALLOWED,
        [GNT_QUEUE_CANCELLED] = GNT_FAILED,
    };
    return (enum gnt_outcome)outcomes[result];
}

/* ---- Ways */

static struct way *way_find(const struct gnt_home *home, struct gnt_slice name, uint64_t hash)
{
    struct gnt_map_node *node = gnt_map_first(&home->ways, hash);
    for (; node; node = gnt_map_next(node)) {
        struct way *way = GNT_CONTAINER(node, struct way, by_name);
        if (gnt_slice_eq(way->name, name))
            return way;
    }
    return NULL;
}

/* What comes next asks again. */
static void way_is_lost(struct gnt_home *home, struct way *way)
{
    if (way->good)
        gnt_map_remove(&home->ways, &way->by_name);
    way->good = false;
}

static void on_found(struct gnt_home *home, struct gnt_entity_asking *asking,
                     enum gnt_queue_result result);

/* The way to NAME, which is asked for if there is none; NULL: no memory. */
static struct way *way_to(struct gnt_home *home, struct gnt_slice name)
{
    uint64_t hash = gnt_hash(name);
    struct way *way = way_find(home, name, hash);
    if (way)
        return way;
    way = calloc(1, sizeof *way + name.size);
    if (!way)
        return NULL;
    if (gnt_map_insert(&home->ways, &way->by_name, hash)) {
        free(way);
        return NULL;
    }
    way->good = true;
    memcpy(way + 1, name.data, name.size);
    way->name = gnt_slice(way + 1, name.size);
    gnt_list_init(&way->waiting);
    way->asking = (struct gnt_entity_asking){.done = on_found,
                                             .verb = gnt_entity_verb_for(home),
                                             .name = way->name};
    gnt_entity_ask(home, &way->asking);
    return way;
}

/* ---- Letters */

/* Whoever waits is told, and what nobody waits for is counted, if it was lost. */
static void tell(struct gnt_home *home, const struct letter *l, enum gnt_queue_result result)
{
    enum gnt_outcome outcome = gnt_enqueue_outcome(result);
    bool waits = l->receipt && l->sending.durable;
    if (outcome == GNT_QUOTA)
        gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_QUEUE_FULL);
    else if ((outcome == GNT_FAILED || outcome == GNT_NO_ROOM) && !waits)
        gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_NO_MEMORY);
    if (!l->receipt)
        return;
    l->receipt->outcome = outcome;
    gnt_receipt_release(home, l->receipt);
}

static void letter_end(struct gnt_home *home, struct letter *l, enum gnt_queue_result result)
{
    struct way *way = l->way;
    tell(home, l, result);
    gnt_message_unref(&l->sending.message);
    free(l);
    if (--way->letters)
        return;
    way_is_lost(home, way);
    free(way);
}

/* It is in the queue; that there is room, or will never be, only lets its publisher go on. */
static void on_room(struct gnt_home *home, struct gnt_room *room, enum gnt_queue_result result)
{
    (void)result;
    letter_end(home, GNT_CONTAINER(room, struct letter, room), GNT_QUEUE_DONE);
}

static void on_sent(struct gnt_home *home, struct gnt_sending *sending,
                    enum gnt_queue_result result)
{
    struct letter *l = GNT_CONTAINER(sending, struct letter, sending);
    if (result == GNT_QUEUE_NOT_FOUND)
        way_is_lost(home, l->way);
    if (result == GNT_QUEUE_DONE && sending->full && l->receipt) {
        l->room = (struct gnt_room){.done = on_room};
        gnt_queue_await_room(home, l->way->asking.facts.id, &l->room);
    } else {
        letter_end(home, l, result);
    }
}

static void on_found(struct gnt_home *home, struct gnt_entity_asking *asking,
                     enum gnt_queue_result result)
{
    struct way *way = GNT_CONTAINER(asking, struct way, asking);
    struct gnt_list waiting;
    gnt_list_init(&waiting);
    gnt_list_splice_back(&waiting, &way->waiting);
    way->found = result == GNT_QUEUE_DONE;
    if (!way->found)
        way_is_lost(home, way);
    for (struct gnt_list *link; (link = gnt_list_pop_front(&waiting));) {
        struct letter *l = GNT_CONTAINER(link, struct letter, link);
        if (result == GNT_QUEUE_DONE)
            gnt_queue_send(home, asking->facts.id, &l->sending);
        else
            letter_end(home, l, result); /* WAY goes with the last one */
    }
}

enum gnt_outcome gnt_enqueue(struct gnt_home *home, struct gnt_slice name,
                             struct gnt_message *message, struct gnt_receipt *receipt)
{
    struct letter *l = calloc(1, sizeof *l);
    struct way *way = l ? way_to(home, name) : NULL;
    if (!way) {
        free(l);
        if (!receipt || message->qos == 0)
            gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_NO_MEMORY);
        return GNT_FAILED;
    }
    l->way = way;
    l->receipt = receipt;
    l->sending = (struct gnt_sending){.done = on_sent,
                                      .message = gnt_message_ref(message),
                                      .durable = message->qos > 0,
                                      .priority = GNT_QUEUE_PRIORITY_DEFAULT,
                                      .unwaited = !receipt};
    way->letters++;
    if (receipt) {
        receipt->outcome = GNT_DONE;
        gnt_receipt_hold(receipt);
    }
    if (way->found)
        gnt_queue_send(home, way->asking.facts.id, &l->sending);
    else
        gnt_list_push_back(&way->waiting, &l->link);
    return receipt ? GNT_WITHHELD : GNT_DONE;
}
