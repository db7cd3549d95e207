/* The inside of a queue, for the queue_*.c files and core/recover.c; see queue.h for the whole.
 *   entity.c         names, and what is asked about queues
 *   queue.c          birth of queues; messages, and the lists that they are in
 *   queue_end.c      purging, and the end of queues
 *   queue_send.c     what comes in, bounds, who waits for room
 *   queue_consume.c  consumers, at both homes
 *   queue_pump.c     who gets what
 *   queue_settle.c   what comes of it; locks, expiry, dead letters
 *   queue_commit.c   messages that a transaction is about to add or to settle
 *   queue_keep.c     what of it is in the store
 *   queue_fetch.c    and back
 *   queue_scan.c     what others look for there
 *   queue_group.c    message groups
 *   queue_bind.c     topic filters */
#ifndef GNT_CORE_QUEUE_PRIVATE_H
#define GNT_CORE_QUEUE_PRIVATE_H

#include "base/assert.h"
#include "core/ledger.h"
#include "core/note.h"
#include "core/queue.h"
#include "core/record.h"
#include "store/ordered.h"

enum {
    GNT_QUEUE_LANES = GNT_QUEUE_PRIORITY_MAX + 1,
    /* Messages that are parked at a time: when there are as many, consumers wait for those that
     * hold the groups of what comes next. */
    GNT_QUEUE_PARKED_MAX = 4 * GNT_QUEUE_WINDOW,
    /* Of what is kept so much is in memory while there are no consumers. */
    GNT_QUEUE_WINDOW_AWAY = 16,
    /* Who has refused so many messages that are still there gets no more until others have taken
     * some of them: what has come back is in memory. */
    GNT_QUEUE_BARS_MAX = 1024,
    /* In so many milliseconds it is looked again whether there is room in the broker; and so many
     * after a failure it is tried again. */
    GNT_QUEUE_LOOK_MS = 10,
    GNT_QUEUE_RETRY_MS = 100,
};

struct gnt_queue;
struct gnt_queue_group;
struct gnt_queued_record;
struct gnt_receipt;
struct gnt_scan;

/* Where a message in memory is; each is the membership of a list, and gnt_entry_move moves. */
enum gnt_entry_state {
    GNT_ENTRY_FRESH,   /* ready, and nobody has had it: reached by lane->fresh */
    GNT_ENTRY_BACK,    /* ready again: in lane->returned */
    GNT_ENTRY_PARKED,  /* ready, for the consumer that holds its group: in group->parked */
    GNT_ENTRY_OVERDUE, /* ready, but expired, until it can become a dead letter: in queue->overdue
                        */
    GNT_ENTRY_HELD,    /* a consumer's: in taker->held, queue->held and queue->locked */
    /* Of a transaction that is being committed (core/transaction.h), in a list of its: */
    GNT_ENTRY_RETIRED, /* held, and about to be settled: in queue->held and taker->retired */
    GNT_ENTRY_POSTED,  /* not there yet */
};

/* A message in memory. */
struct gnt_entry {
    struct gnt_list place;            /* in lane->all, by sequence, whatever its state */
    struct gnt_list link;             /* in the list that its state says, but for the first two */
    struct gnt_list lock;             /* in queue->locked, if it is held and locks end */
    struct gnt_map_node by_delivery;  /* in queue->held */
    struct gnt_ordered_node returned; /* in lane->returned, by `key` */
    struct gnt_timer expiry;          /* set while it is ready and expires */
    struct gnt_queue *queue;
    struct gnt_lane *lane;
    struct gnt_message *message;
    struct gnt_note *note;         /* NULL: there is nothing to say */
    struct gnt_taker *taker;       /* who holds it */
    struct gnt_queue_group *group; /* that it belongs to, while that is in memory */
    struct gnt_beyond *beyond;     /* it was taken out of the middle of its log; NULL: it was not */
    struct gnt_list bars;          /* struct gnt_bar: who is not to get it again */
    uint64_t sequence, enqueued_ms, expires, locked_until;
    uint64_t delivery; /* its number, while it is held */
    uint32_t failed;
    uint8_t key[8];
    uint8_t state; /* enum gnt_entry_state */
    bool kept;     /* in its lane's log */
    bool stated;   /* there is a record of its state */
    bool durable, acquired;
};

/* A consumer has said that a message is not for it. */
struct gnt_bar {
    struct gnt_list of_entry, of_taker;
    struct gnt_taker *taker;
};

/* Messages that are in the store only: COUNT of them, of the numbers from NEXT to LAST. */
struct gnt_lane_stored {
    uint64_t next, last, count;
    uint64_t bytes; /* of payload, of those that this process has seen */
    uint64_t left;  /* so many ever were */
    bool mortal;    /* some of them expire, by what they say themselves */
};

/* What an earlier process has left of a message that is in the store only. */
struct gnt_queue_state {
    struct gnt_map_node by_sequence;
    uint64_t sequence;
    uint32_t failed;
    struct gnt_note *note;
};

/* A message that has been taken out of the middle of what is in the store only; or was, until that
 * is safe. */
struct gnt_beyond {
    struct gnt_map_node by_sequence; /* in lane->beyond */
    struct gnt_list link;            /* in lane->removed, when it has been */
    struct gnt_entry *entry;         /* NULL: it has been removed */
    uint64_t sequence;
    uint64_t batch; /* with which that is safe */
};

/* From NEXT to LAST; 0: none. */
struct gnt_numbers {
    uint64_t next, last;
};

/* The messages of one priority. */
struct gnt_lane {
    struct gnt_list all;         /* struct gnt_entry, by sequence */
    struct gnt_entry *fresh;     /* the first that is, NULL: none */
    struct gnt_ordered returned; /* by sequence */
    uint64_t ready, ready_bytes; /* fresh, in memory */
    struct gnt_lane_stored stored;
    struct gnt_numbers purge; /* are purged, and still to be removed from the log */
    struct gnt_map beyond;    /* struct gnt_beyond */
    struct gnt_list removed;  /* likewise */
    uint64_t admitted;        /* the last number that a transaction has put behind `stored` */
    uint32_t reads; /* of its log, under way: they may give out what is removed meanwhile */
    struct gnt_lane_fetch *fetch; /* under way from the store; NULL: none */
    struct gnt_queue *queue;
    uint8_t number;
    bool failed; /* the store, or memory, at the last fetch: whatever happens next tries again */
};

/* A topic filter that is bound to the queue. */
struct gnt_binding {
    struct gnt_tree_node *node;
    uint8_t *filter; /* owned */
    size_t size;
};

static inline struct gnt_slice gnt_binding_filter(const struct gnt_binding *b)
{
    return gnt_slice(b->filter, b->size);
}

struct gnt_queue {
    struct gnt_sink sink;
    struct gnt_map_node by_name;   /* in home->queues, by the folded name */
    struct gnt_map_node by_number; /* while it is recovered */
    struct gnt_home *home;
    struct gnt_queue *dead;   /* its dead-letter queue; NULL: there is none yet */
    struct gnt_queue *parent; /* whose dead-letter queue this is; NULL: nobody's */
    struct gnt_queue_options options;
    struct gnt_lane *lanes[GNT_QUEUE_LANES]; /* by priority; NULL: nothing has ever come */
    uint64_t last;                           /* sequence number */
    uint64_t ready, ready_bytes;             /* wherever they are */
    uint64_t held_bytes;
    uint64_t posted, posted_bytes; /* for which there is to be room */
    struct gnt_map held;           /* struct gnt_entry, by delivery */
    struct gnt_list locked;        /* those of them whose locks end, by time */
    struct gnt_timer lock_due;
    struct gnt_chore pump;
    struct gnt_list takers; /* all of them, browsers too */
    /* Those with credit, by priority and then by turn: who takes all that comes, who looks first;
     * and of the latter those that have seen everything. */
    struct gnt_list plain, picky, sated;
    struct gnt_list browsers; /* with credit */
    struct gnt_list pickers;  /* all that look first: those who are picky, and browsers */
    struct gnt_list loaded;   /* takers with deliveries to be sent */
    uint32_t consumers, draining;
    uint64_t taker_numbers, deliveries; /* the last ones */
    uint64_t parked;                    /* messages that wait for who holds their group */
    struct gnt_taker *exclusive;
    struct gnt_map groups;   /* struct gnt_queue_group, by id */
    struct gnt_list rooms;   /* struct gnt_room's errands: who waits for room */
    struct gnt_list holds;   /* receipts that do */
    struct gnt_list overdue; /* struct gnt_entry */
    bool shows_full;         /* is counted in home->full */
    bool temporary;
    bool ended;             /* its messages are being freed; nobody knows of it any more */
    struct gnt_list purges; /* struct gnt_entity_asking's errands */
    uint64_t purge_upto; /* what is below was there when the first of them began; 0: it has not */
    uint64_t purged;     /* of that */
    uint32_t looks;      /* so many more at messages in this run of its pump */
    struct gnt_binding *bindings;
    size_t binding_count;
    uint64_t placed; /* the id under which it is in the tree */
    struct gnt_ledger ledger;
    struct gnt_timer idle_due;
    uint64_t used; /* when it was last of use to anybody */
    /* In the store: */
    uint64_t number;       /* of its logs; 0: it is not kept */
    struct gnt_map states; /* struct gnt_queue_state */
    uint16_t lanes_kept;   /* a bit for each lane that has ever had a log */
    struct gnt_slice name; /* behind the struct, with the folded one behind it */
};

/* How far one that looks first has looked, in one lane. */
struct gnt_sight {
    struct gnt_entry *at; /* the next in memory, NULL: the end */
    uint64_t back;        /* from which number on in what came back */
    uint64_t deep;        /* and in the store; of a browser, in all */
};

/* A consumer's part at its queue's home.  Lives until its consumer has been told that it is closed.
 */
struct gnt_taker {
    struct gnt_list link;          /* in queue->takers */
    struct gnt_list turn;          /* in queue->plain, picky, sated or browsers; or none */
    struct gnt_list pick;          /* in queue->pickers */
    struct gnt_list load;          /* in queue->loaded, while CRATE is there */
    struct gnt_queue *queue;       /* NULL: let go */
    struct gnt_consumer *consumer; /* of its home: mailed back, not looked into; NULL: it has been
                                      suspended */
    unsigned home;
    enum gnt_consume mode;
    int32_t priority;
    uint64_t number; /* in the queue */
    bool picky, sated, drain, endless;
    struct gnt_consumer_filter *filter;
    uint64_t delivered, upto;
    struct gnt_list held;    /* struct gnt_entry, by delivery */
    struct gnt_list retired; /* struct gnt_entry.lock */
    uint32_t held_count, held_max;
    struct gnt_list bars; /* struct gnt_bar: what it is not to get again */
    uint32_t bar_count;
    struct gnt_crate *crate;
    struct gnt_list parked;   /* struct gnt_entry, by sequence: of groups that it holds */
    struct gnt_sight *sights; /* of one that looks: for each lane; else NULL */
    struct gnt_scan *scan;    /* under way in the store; NULL: none */
    unsigned pulled;          /* by that */
    uint64_t browsed;         /* where a browser begins is behind this */
    struct gnt_errand ended;
    enum gnt_queue_result why;
};

/* ---- queue.c */

static inline struct gnt_queue *gnt_queue_of(struct gnt_sink *sink)
{
    return GNT_CONTAINER(sink, struct gnt_queue, sink);
}

bool gnt_queue_is(const struct gnt_sink *sink);

/* NULL: it has gone. */
struct gnt_queue *gnt_queue_find(struct gnt_home *home, uint64_t id);

/* Of HOME, empty and not kept; what is bound follows with gnt_queue_bind.  PARENT: it is that
 * one's dead-letter queue.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_queue_new(struct gnt_home *home, struct gnt_slice name,
                               const struct gnt_queue_options *options, struct gnt_queue *parent,
                               struct gnt_queue **out);

/* Its dead-letter queue, made if there is none.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_queue_dead(struct gnt_queue *q, struct gnt_queue **out);

void gnt_queue_facts_of(const struct gnt_queue *q, struct gnt_queue_facts *out);

/* It is of use to somebody just now (options.auto_delete_ms). */
void gnt_queue_used(struct gnt_queue *q);

/* Has its pump run in so many milliseconds, at the latest, also where nothing happens. */
void gnt_queue_look_later(struct gnt_queue *q, unsigned ms);
void gnt_queue_on_idle(struct gnt_timer *timer, uint64_t now);

/* Other options; for it and its dead-letter queue. */
void gnt_queue_set_options(struct gnt_queue *q, const struct gnt_queue_options *options);

/* Those of the dead-letter queue of one with the options OF. */
struct gnt_queue_options gnt_queue_dead_options(const struct gnt_queue_options *of);

unsigned gnt_queue_lane_number(const struct gnt_queue *q, uint8_t priority);

/* The lane with this number, and that of PRIORITY, made if there is none; NULL: no memory. */
struct gnt_lane *gnt_queue_lane_at(struct gnt_queue *q, unsigned number);
struct gnt_lane *gnt_queue_lane(struct gnt_queue *q, uint8_t priority);

struct gnt_arrival;

/* A message that is ready in memory, FRESH or BACK, behind all others of its lane; it refers to
 * what *arrival lends.  NULL: no memory. */
struct gnt_entry *gnt_entry_new(struct gnt_lane *lane, const struct gnt_arrival *arrival,
                                enum gnt_entry_state state);

/* Into another state, other than held. */
void gnt_entry_move(struct gnt_entry *e, enum gnt_entry_state state);

/* Now T has it.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_entry_hold(struct gnt_entry *e, struct gnt_taker *t);

/* The one that somebody holds by this delivery, or NULL. */
struct gnt_entry *gnt_queue_held(const struct gnt_queue *q, uint64_t delivery);

/* It is in no list any more, and gone; not counted out. */
void gnt_entry_free(struct gnt_entry *e);

/* It ends as WHY: out of the store, the counters and memory. */
void gnt_entry_end(struct gnt_entry *e, enum gnt_counter why);

static inline struct gnt_entry *gnt_entry_at(struct gnt_list *place)
{
    return GNT_CONTAINER(place, struct gnt_entry, place);
}

/* Whether it waits for somebody. */
static inline bool gnt_entry_is_ready(const struct gnt_entry *e)
{
    return e->state < GNT_ENTRY_HELD;
}

/* The first of those that came back, and the next one; NULL: there is none. */
struct gnt_entry *gnt_lane_back_from(const struct gnt_lane *lane, uint64_t sequence);

/* Whether it was taken out of the middle, and what is before it is in the store only. */
bool gnt_entry_is_ahead(const struct gnt_entry *e);

/* The first that is ready, in memory, and not ahead; NULL: none. */
struct gnt_entry *gnt_lane_first(const struct gnt_lane *lane);

static inline uint64_t gnt_queue_count(const struct gnt_queue *q)
{
    return q->ready + q->held.count;
}

static inline uint64_t gnt_queue_bytes(const struct gnt_queue *q)
{
    return q->ready_bytes + q->held_bytes;
}

/* So many fresh messages of a lane are in memory, if it is kept. */
uint64_t gnt_queue_window(const struct gnt_queue *q);

/* Has its pump run soon. */
static inline void gnt_queue_stir(struct gnt_queue *q)
{
    gnt_errand_chore(q->home, &q->pump);
}

/* Milliseconds since 1970. */
uint64_t gnt_queue_time_ms(const struct gnt_home *home);

/* ---- queue_end.c */

/* With all that is in it, dropped as WHY, its dead-letter queue, and out of the store.  Q is gone
 * for the caller. */
void gnt_queue_end(struct gnt_queue *q, enum gnt_counter why);

/* Drops what waits, then answers *a (gnt_entity_answer), which waits in `purges` meanwhile:
 * GNT_QUEUE_IN_USE: some are held of few in the store among so many numbers that this would take
 * too long; NO_MEMORY.  _on, some more of it. */
void gnt_queue_purge(struct gnt_queue *q, struct gnt_entity_asking *a);
void gnt_queue_purge_on(struct gnt_queue *q);

/* HOME ends: whatever becomes of its queues, what is kept of them stays. */
void gnt_queues_leave_store(struct gnt_home *home);

/* Frees all queues of HOME, with the help of its errands. */
void gnt_queues_free(struct gnt_home *home);

/* ---- queue_send.c */

/* What comes into a queue. */
struct gnt_arrival {
    struct gnt_message *message; /* lent */
    struct gnt_note *note;       /* likewise; may be NULL */
    uint64_t enqueued_ms;
    uint32_t failed;
    uint8_t priority;
    bool durable;
    bool moves; /* it was in another queue, and makes the broker no fuller */
    /* What comes of it: */
    uint64_t sequence; /* its number here */
    bool kept;
};

/* Takes it in, whatever the bounds; counts it in.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_queue_append(struct gnt_queue *q, struct gnt_arrival *arrival);

/* The same within the bounds, by options.overflow: DONE, FULL, NO_STORE, NO_MEMORY. */
enum gnt_queue_result gnt_queue_take_in(struct gnt_queue *q, struct gnt_arrival *arrival);

bool gnt_queue_is_full(const struct gnt_queue *q, size_t size);

/* Whether it drops what has waited longest, now or soon. */
bool gnt_queue_drops(const struct gnt_queue *q);

/* Drops some of what is more than it may have, if it does so.  True: there is more to drop. */
bool gnt_queue_drop_over(struct gnt_queue *q);

/* When MESSAGE, which came at ENQUEUED_MS, expires in Q. */
uint64_t gnt_queue_expiry(const struct gnt_queue *q, const struct gnt_message *message,
                          uint64_t enqueued_ms);

/* Whether a message that comes, and is written, need not be in memory; and whether one is to be
 * written wherever it is. */
bool gnt_lane_leaves_memory(const struct gnt_lane *lane, size_t size);
bool gnt_queue_is_to_keep(const struct gnt_queue *q, const struct gnt_arrival *a);

/* Whoever waits for room is told if there is some; END: the queue ends. */
void gnt_queue_tell_room(struct gnt_queue *q, bool end);

void gnt_queue_take(struct gnt_sink *sink, struct gnt_message *message,
                    const struct gnt_match *match, struct gnt_receipt *receipt);

/* ---- queue_consume.c */

/* T is let go because of WHY: what it holds is ready again. */
void gnt_taker_end(struct gnt_taker *t, enum gnt_queue_result why);

/* What T holds is ready again; the deliveries up to FAILED have failed. */
void gnt_taker_return_all(struct gnt_taker *t, uint64_t failed);

/* Has it a turn, or none, as its credit and what it holds say. */
void gnt_taker_place(struct gnt_taker *t);

/* From now on it looks before it takes.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_taker_make_picky(struct gnt_taker *t);

/* Room for one more delivery to it, which the pump sends.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_taker_load(struct gnt_taker *t);

/* The delivery of E, for which there is room: what else is to be said may be added. */
struct gnt_queued *gnt_taker_put(struct gnt_taker *t, const struct gnt_entry *e);

/* Likewise, the end of its credit. */
void gnt_taker_drained(struct gnt_taker *t);

/* What has been put goes out. */
void gnt_taker_send(struct gnt_taker *t);

/* One time what C has said to be told of has been told. */
void gnt_consumer_answered(struct gnt_consumer *c);

/* What C has said goes to the queue; as a chore. */
void gnt_consumer_flush(struct gnt_consumer *c);
void gnt_consumer_on_flush(struct gnt_home *home, struct gnt_chore *chore);

/* ---- queue_pump.c */

void gnt_queue_pump(struct gnt_home *home, struct gnt_chore *chore);

/* E has become ready, or come into memory: whoever waits for that is to look. */
void gnt_queue_woken(struct gnt_queue *q, struct gnt_entry *e);

/* Whether T's filter, and what it has said before, let it have E. */
bool gnt_taker_may_have(const struct gnt_taker *t, const struct gnt_entry *e);

/* All who have seen everything are to look again. */
void gnt_queue_wake(struct gnt_queue *q);

/* Cursors that are at E move on: it leaves the lane. */
void gnt_queue_cursors_leave(struct gnt_entry *e);

/* ---- queue_settle.c */

bool gnt_entry_is_barred(const struct gnt_entry *e, const struct gnt_taker *t);
void gnt_bar_free(struct gnt_bar *bar);

/* Locks it from now on; until when. */
uint64_t gnt_entry_lock(struct gnt_entry *e);

void gnt_queue_on_expiry(struct gnt_timer *timer, uint64_t now);
void gnt_queue_on_locks(struct gnt_timer *timer, uint64_t now);

/* No lock lasts longer than options.lock_ms from now on. */
void gnt_queue_cut_locks(struct gnt_queue *q);

/* It has expired, and is to be dropped or dead-lettered: OVERDUE until _end_overdue, of the pump,
 * gets to it.  That does some of them; what cannot be now is tried again later. */
void gnt_entry_expire(struct gnt_entry *e);
void gnt_queue_end_overdue(struct gnt_queue *q);

/* What was held is ready again, or a dead letter if it has failed too often. */
void gnt_entry_give_back(struct gnt_entry *e, bool failed);

/* To the dead-letter queue, or dropped where there is none.  GNT_NOMEM: it stays where it is. */
GNT_MUST gnt_err gnt_entry_dead_letter(struct gnt_entry *e, struct gnt_slice reason,
                                       struct gnt_slice description);

/* What there is of E, as it arrives at its dead-letter queue; the note is the caller's to unref.
 * GNT_NOMEM. */
GNT_MUST gnt_err gnt_entry_dead_arrival(const struct gnt_entry *e, struct gnt_slice reason,
                                        struct gnt_slice description, struct gnt_arrival *out);

/* E, which T has had (NULL: it has gone), is ready again, with the annotations of NOTE (NULL: those
 * that it had). */
enum gnt_queue_result gnt_entry_modify(struct gnt_taker *t, struct gnt_entry *e,
                                       const struct gnt_note *note, bool failed, bool elsewhere);

/* What *SAID leaves with a message, *out; NULL: nothing.  GNT_NOMEM, GNT_TOOBIG. */
GNT_MUST gnt_err gnt_settling_note(const struct gnt_settling *said, struct gnt_note **out);

/* ---- queue_commit.c: what core/transaction_queue.c does to a queue.  In two steps: the first may
 * fail, and what has to be written for it goes into a batch of the transaction's; the second comes
 * when that is safe, or when nothing has come of it, and cannot fail.  Meanwhile entries are in a
 * list of the transaction's, by their `link`, and leave it if their queue ends. */

/* What arrives is in POSTED.  FULL: of a queue that blocks, too, as nobody can be made to wait for
 * room; NO_STORE, NO_MEMORY.  Then _admit or _not. */
enum gnt_queue_result gnt_queue_post(struct gnt_queue *q, struct gnt_arrival *arrival,
                                     struct gnt_batch *batch, struct gnt_list *posted);
void gnt_queue_post_admit(struct gnt_entry *e);
void gnt_queue_post_not(struct gnt_entry *e);

/* E, which is held, is in RETIRED; GOES: out of the store.  GNT_NOMEM.  Then whatever ends it or
 * gives it back, or _not: it is held again, or ready if who held it has gone. */
GNT_MUST gnt_err gnt_entry_retire(struct gnt_entry *e, bool goes, struct gnt_batch *batch,
                                  struct gnt_list *retired);
void gnt_entry_retire_not(struct gnt_entry *e);

/* Who has held it has gone, or is about to. */
void gnt_entry_retire_alone(struct gnt_entry *e);

/* ---- queue_keep.c */

/* Q is kept from now on, if anything is.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_queue_keep(struct gnt_queue *q);

/* The filters that are bound to it, each as two bytes of size, and itself, behind what TO has.
 * GNT_NOMEM. */
GNT_MUST gnt_err gnt_queue_put_bindings(const struct gnt_queue *q, struct gnt_buf *to);

/* Its record as it is now.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_queue_keep_record(struct gnt_queue *q);

/* It has ended, and so has what is kept of it. */
void gnt_queue_keep_end(struct gnt_queue *q);

/* *ARRIVAL, with its number, into the log of LANE.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_queue_keep_arrival(struct gnt_lane *lane, const struct gnt_arrival *arrival);
/* Its queue's record says that LANE has a log.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_queue_keep_lane(struct gnt_lane *lane);
/* What LANE has up to LAST is no more: there is room for that in the batch. */
void gnt_queue_keep_trim(struct gnt_lane *lane, uint64_t last);

/* Nor is what has this number, if it is there.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_queue_keep_removed(struct gnt_lane *lane, uint64_t sequence);
GNT_MUST gnt_err gnt_queue_keep_removal(struct gnt_entry *e); /* it is no more.  GNT_NOMEM */
void gnt_queue_keep_settled(struct gnt_entry *e); /* likewise, counted if there is no memory */
void gnt_queue_keep_state(struct gnt_entry *e);   /* its count and note have changed */

/* What is known of a message that is in the store only, or NULL; it is in memory now. */
GNT_MUST gnt_err gnt_queue_state_new(struct gnt_queue *q, uint64_t sequence,
                                     const struct gnt_queued_record *state);
struct gnt_queue_state *gnt_queue_state_of(const struct gnt_queue *q, uint64_t sequence);
void gnt_queue_state_free(struct gnt_queue *q, struct gnt_queue_state *state);

/* Ends some of those whose messages were purged, or lost, if nothing is in the store only any more.
 * True: there are others. */
bool gnt_queue_states_sweep(struct gnt_queue *q);

/* It goes with its message, out of the store. */
void gnt_queue_keep_no_state(struct gnt_queue *q, uint64_t sequence);

/* ---- queue_fetch.c */

/* Gets messages that are in the store only, if there is room for them in memory. */
void gnt_lane_fetch(struct gnt_lane *lane);
void gnt_lane_fetch_drop(struct gnt_lane *lane);

/* Also where the store, or memory, has failed before. */
void gnt_queue_try_again(struct gnt_queue *q);

/* There are no consumers any more: what need not be in memory is left to the store. */
void gnt_lane_unload(struct gnt_lane *lane);

/* E, whose record is safe, is left to the store, where it stands at its place. */
void gnt_entry_leave_to_store(struct gnt_entry *e);

/* Whether it may still get some of them. */
bool gnt_lane_comes(const struct gnt_lane *lane);

/* RECORD, of the store only until now, comes into memory.  NULL: no memory. */
struct gnt_entry *gnt_lane_enter(struct gnt_lane *lane, const struct gnt_store_record *record,
                                 const struct gnt_queued_record *queued,
                                 enum gnt_entry_state state);

/* One of SIZE bytes of those in the store only is in memory now. */
void gnt_lane_take_stored(struct gnt_lane *lane, uint64_t size);

/* ---- queue_scan.c */

/* Has those look in the store who have seen all that is in memory. */
void gnt_queue_scan(struct gnt_queue *q);
void gnt_scan_drop(struct gnt_taker *t);

/* Whether T, which looks, has not seen all of LANE that is in the store only. */
bool gnt_taker_comes(const struct gnt_taker *t, const struct gnt_lane *lane);

/* Whether this one has been taken out of the middle, or NULL. */
struct gnt_beyond *gnt_lane_beyond(const struct gnt_lane *lane, uint64_t sequence);
/* From now on E is one, which is not written yet, or about to be.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_lane_beyond_join(struct gnt_entry *e);
void gnt_lane_beyond_leave(struct gnt_entry *e); /* it is no more */
void gnt_lane_beyond_sweep(struct gnt_lane *lane);
void gnt_lane_beyond_free(struct gnt_lane *lane);

/* ---- queue_group.c */

/* Whether E, which is ready and comes next for T, is T's: GNT_OK.  GNT_MORE: it belongs to a group
 * that somebody else holds, and has been parked for him.  GNT_FULL: the same, but as much is parked
 * as may be. */
GNT_MUST gnt_err gnt_queue_group_asks(struct gnt_entry *e, const struct gnt_taker *t);

/* The first of what is parked for T, or NULL. */
struct gnt_entry *gnt_queue_group_first(const struct gnt_taker *t);

/* The group of E, which T is to hold next: NULL if it has none.  GNT_NOMEM.  Then _join, when E is
 * held, or _not. */
GNT_MUST gnt_err gnt_queue_group_for(struct gnt_entry *e, struct gnt_queue_group **out);
void gnt_queue_group_join(struct gnt_entry *e, struct gnt_queue_group *group);
void gnt_queue_group_not(struct gnt_queue *q, struct gnt_queue_group *group);

/* E, parked or held until now, is not in its group any more. */
void gnt_queue_group_leave(struct gnt_entry *e);
void gnt_queue_groups_free(struct gnt_queue *q);

/* ---- queue_bind.c */

/* Has it get what is published to topics that match FILTERS, which are valid, and nothing else any
 * more.  GNT_NOMEM; GNT_FULL: limits.filter_reach.  Then all is as before. */
GNT_MUST gnt_err gnt_queue_bind(struct gnt_queue *q, const struct gnt_slice *filters, size_t count);
void gnt_queue_unbind(struct gnt_queue *q);

/* ---- entity.c */

/* *a has been done, with RESULT: sends it back when what has been written of it is safe. */
void gnt_entity_answer(struct gnt_home *home, struct gnt_entity_asking *a,
                       enum gnt_queue_result result);

uint64_t gnt_entity_hash(struct gnt_slice name);

/* The one of this name, or NULL; it is none of dead letters. */
struct gnt_queue *gnt_queue_named(struct gnt_home *home, struct gnt_slice name);

#endif
