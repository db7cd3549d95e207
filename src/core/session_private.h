/* The inside of a session, for the session_*.c files and nobody else:
 *   session.c            birth, take-over, parting, will, expiry, death
 *   session_flow.c       deliveries: sending, queueing, settling
 *   session_queue.c      what waits for its client
 *   session_subscribe.c  subscriptions, retained messages for new ones
 *   session_share.c      shared ones
 *   session_consume.c    those to queues
 *   session_puller.c     what is got by them (core/session_puller.h)
 *   session_rights.c     who its client is, and what it may
 *   session_keep.c       what of it is in the store (core/keep.h) */
#ifndef GNT_CORE_SESSION_PRIVATE_H
#define GNT_CORE_SESSION_PRIVATE_H

#include "auth/rights.h"
#include "core/pending.h"
#include "core/session.h"
#include "model/idset.h"
#include "model/window.h"

enum gnt_bounded {
    GNT_UNBOUND, /* nobody has said who its client is, and it may do everything */
    GNT_NAMED,   /* home->bounds says who it is; it may do everything */
    GNT_BOUNDED, /* and what it may; where nothing stands there, for want of memory, nothing */
};

struct gnt_session {
    /* What a delivery at QoS 0 looks at is together, and behind it what the others look at too:
     * with ten thousand sessions none of it is in the cache. */
    struct gnt_sink sink;
    struct gnt_home *home;
    struct gnt_receiver *receiver; /* NULL: the client is away */
    struct gnt_pending *queue;     /* NULL while nothing waits */
    struct gnt_ledger *ledger;     /* NULL: nothing has ever come for it */
    bool held;                     /* between _open and _resume: nothing is sent yet */
    bool closing;                  /* its connection is to be closed, and nothing more is sent */
    uint8_t why;                   /* enum gnt_close_reason, if closing */
    uint8_t bounded;               /* enum gnt_bounded */
    uint16_t resend_from; /* the first in the window that is still to be sent again, 0: none */
    uint16_t client_id_size;
    struct gnt_session_kept *kept; /* NULL: nothing of it outlives the process */
    struct gnt_window window;
    uint32_t receive_max; /* how many may be unsettled */
    uint32_t unsettled;   /* sent on this connection and not settled */

    struct gnt_idset unreleased; /* exactly-once messages from the client */

    struct gnt_map_node by_client_id; /* in home->sessions */
    struct gnt_work work;

    struct gnt_map subscriptions;    /* struct subscription, by place in the tree */
    struct gnt_shares *shares;       /* NULL before the first shared one, */
    struct gnt_consuming *consuming; /* and before the first to a queue */
    struct gnt_ring walks;           /* struct walk: retained messages still to be got */
    uint32_t subscription_count;     /* of all kinds */

    uint32_t expiry_s;
    uint64_t expires_at;    /* GNT_NEVER while connected */
    struct gnt_will *will;  /* NULL: none */
    struct gnt_timer timer; /* expiry or will, whatever is earlier; always set, so that setting
                               cannot fail */

    uint8_t client_id[]; /* client_id_size */
};

/* What is published when the client parts without a word. */
struct gnt_will {
    struct gnt_message *message;
    uint32_t delay_s, expiry_s;
    uint64_t due; /* GNT_NEVER: not on its way */
};

/* A session in the store.  Its deliveries of QoS 1 and 2 are numbered by the sequence of its log,
 * and a packet id follows from that: so a delivery has the same id after a restart, without a word
 * written about it when it is sent.  What a shared group lends takes a number, and is not written
 * here (core/group.h). */
struct gnt_session_kept {
    uint64_t number;    /* among all sessions that ever were */
    uint64_t last;      /* sequence of the last delivery that was written */
    uint64_t sent;      /* of the last that went into the window */
    uint64_t parted_ms; /* when its client went, in store time; meaningless while it is connected */
    struct gnt_fetch *fetch; /* deliveries on their way from the store; NULL: none */
};

/* ---- session.c */

static inline struct gnt_session *gnt_session_of(struct gnt_sink *sink)
{
    return GNT_CONTAINER(sink, struct gnt_session, sink);
}

void gnt_sessions_free(struct gnt_home *home);

/* A session of an earlier process, which was PARTED from its client (a time of the loops, which may
 * be long past), at its HOME; nothing of it is kept yet.  WILL is lent, NULL: none. */
struct gnt_session_restore {
    struct gnt_slice client_id, user;
    uint32_t expiry_s;
    uint64_t parted;
    struct gnt_message *will;
    uint32_t will_delay_s, will_expiry_s;
};
GNT_MUST gnt_err gnt_session_restore(struct gnt_home *home, const struct gnt_session_restore *from,
                                     struct gnt_session **out);

/* The session of this client at HOME; NULL: there is none. */
struct gnt_session *gnt_session_find(const struct gnt_home *home, struct gnt_slice client_id);

/* S was restored by mistake: it ends without a will, and without a word in the store. */
void gnt_session_discard(struct gnt_session *s);

/* Goes on soon with closing the connection, walks, and telling groups. */
void gnt_session_work_later(struct gnt_session *s);

/* ---- session_flow.c */

/* Of a session all of whose subscriptions reach no further than it may, and of the others: these
 * look at each message.  So those who have all rights, which is to say everybody where there is no
 * access list, pay nothing. */
extern const struct gnt_sink_ops gnt_session_sink_ops, gnt_session_looking_ops;

bool gnt_session_is(const struct gnt_sink *sink);

/* Sends or queues one delivery; MESSAGE and IDS are lent.  RECEIPT as in gnt_sink_ops. */
void gnt_session_send(struct gnt_session *s, struct gnt_message *message, uint8_t qos, bool retain,
                      const struct gnt_sub_ids *ids, struct gnt_receipt *receipt);

/* Makes its ledger, if it has none; false: out of memory. */
bool gnt_session_have_ledger(struct gnt_session *s);

/* Sends what can be sent: first again, then what is queued. */
void gnt_session_pump(struct gnt_session *s);

/* Whether nothing is queued and the next message could be sent at once, whatever its QoS. */
bool gnt_session_has_room(const struct gnt_session *s);

/* Whether a message of QOS could be sent at once, if nothing is queued. */
bool gnt_session_can_send(const struct gnt_session *s, uint8_t qos);

/* *flight, of which nothing is kept, is in the window, and its message the window's. */
GNT_MUST gnt_err gnt_session_place_unkept(struct gnt_session *s, struct gnt_flight *flight,
                                          struct gnt_flight **out);

/* The receiver has gone, maybe for good: gives back to shared groups what they lent. */
void gnt_session_flow_stop(struct gnt_session *s, bool for_good);

/* Has what GROUP lent, which it has left just now, to itself. */
void gnt_session_own(struct gnt_session *s, uint64_t group);

/* Frees window, queue and ledger; what is lost with them is counted. */
void gnt_session_flow_fini(struct gnt_session *s);

/* Its connection is closed soon; nothing is lost if the client comes again. */
void gnt_session_close_later(struct gnt_session *s, enum gnt_close_reason why);

/* ---- session_queue.c */

/* Made when there is something for it, and freed when nothing is left. */
struct gnt_session_queue {
    struct gnt_pending queue;
    struct gnt_session *session;
    bool doubtful; /* some of it may have come under other rights */
};

/* Of S, which has one. */
static inline struct gnt_session_queue *gnt_session_queue_of(struct gnt_session *s)
{
    return GNT_CONTAINER(s->queue, struct gnt_session_queue, queue);
}

/* The queue of S, made if there is none; NULL: no memory. */
struct gnt_pending *gnt_session_queue(struct gnt_session *s);

/* Frees the queue of S, if it has one; what is lost with it is counted. */
void gnt_session_queue_free(struct gnt_session *s);

/* The rights of S have changed: what has been queued under those of before is looked at when it
 * goes out. */
void gnt_session_doubt_queue(struct gnt_session *s);

/* Drops what S may not have any more, up to the first in its doubtful queue that it may; NULL:
 * nothing is left. */
struct gnt_waiting *gnt_session_first_permitted(struct gnt_session *s);

/* ---- session_keep.c
 *
 * All but the first of these do nothing for a session of which nothing is kept.  What says GNT_MUST
 * is written as a whole or not at all; the rest may be left out for want of memory, at the price of
 * something that comes again after a restart. */

/* Begins to keep S, whose expiry is not 0. */
GNT_MUST gnt_err gnt_session_keep(struct gnt_session *s);

/* Writes who S is, and its will. */
GNT_MUST gnt_err gnt_session_keep_record(struct gnt_session *s);

/* Its client has come, or gone, just now: for the record. */
void gnt_session_keep_connected(struct gnt_session *s, bool connected);

/* S ends: nothing of it is kept any more. */
void gnt_session_keep_end(struct gnt_session *s);

/* S is freed, and stays in the store. */
void gnt_session_keep_free(struct gnt_session *s);

/* A subscription; RETAINED_DUE: retained messages for it are still to be sent, after a restart too.
 * _room: room for one, which then cannot fail in the same call. */
GNT_MUST gnt_err gnt_session_keep_filter_room(struct gnt_session *s, struct gnt_slice filter);
GNT_MUST gnt_err gnt_session_keep_filter(struct gnt_session *s, struct gnt_slice filter,
                                         const struct gnt_sub_options *options, bool retained_due);
/* Of a session with this number (0: none), which may have gone. */
void gnt_session_keep_no_filter(struct gnt_home *home, uint64_t number, struct gnt_slice filter);
uint64_t gnt_session_kept_number(const struct gnt_session *s);

/* The next delivery, of QoS 1 or 2; its sequence is filled in: 0 if nothing is kept.  GNT_NOMEM;
 * GNT_TOOBIG: it has more subscription identifiers than a record may. */
GNT_MUST gnt_err gnt_session_keep_delivery(struct gnt_session *s, struct gnt_waiting *w);
void gnt_session_keep_no_delivery(struct gnt_session *s, uint64_t sequence);

/* The same for what a group offers, w->message, at w->qos, where QoS 1 takes an id and is not
 * written, and QoS 2 is taken over from the group's log.  *lent: the group keeps it until it has
 * been settled. */
GNT_MUST gnt_err gnt_session_keep_offered(struct gnt_session *s, struct gnt_waiting *w,
                                          const struct gnt_offered *o, bool *lent);

/* Writes FLIGHT, which was lent, at its place. */
GNT_MUST gnt_err gnt_session_keep_flight(struct gnt_session *s, const struct gnt_flight *flight);

/* The id of the delivery with this sequence, and the sequence of one in flight with this id. */
uint16_t gnt_session_id_of(uint64_t sequence);
uint64_t gnt_session_sequence_of(const struct gnt_session *s, uint16_t id);

/* PUBREC and PUBCOMP for the delivery ID. */
GNT_MUST gnt_err gnt_session_keep_released(struct gnt_session *s, uint16_t id);
void gnt_session_keep_completed(struct gnt_session *s, uint16_t id);

/* An exactly-once message of the client: before and after its PUBREL. */
GNT_MUST gnt_err gnt_session_keep_received(struct gnt_session *s, uint16_t id);
GNT_MUST gnt_err gnt_session_keep_not_received(struct gnt_session *s, uint16_t id);

/* Gets deliveries that are in the store only, if there is room for them in memory; gnt_session_pump
 * follows when they are there.  _no_more: the receiver has gone, and what is on its way stays in
 * the store. */
void gnt_session_fetch(struct gnt_session *s);
void gnt_session_fetch_no_more(struct gnt_session *s);

/* ---- session_rights.c
 *
 * A subscription that reaches further than its client may is marked.  Which these are is found
 * again when the rights change, in slices; until then, and as long as there are any, the session
 * looks at each message that comes for it. */

/* The client of S is USER from now on, which is copied, and has these RIGHTS, which are lent; or
 * what the list of its home gives it.  GNT_NOMEM: nothing has changed. */
GNT_MUST gnt_err gnt_session_bind(struct gnt_session *s, struct gnt_slice user,
                                  struct gnt_rights *rights);
GNT_MUST gnt_err gnt_session_bind_by_list(struct gnt_session *s, struct gnt_slice user);

/* S ends. */
void gnt_session_unbind(struct gnt_session *s);

/* Whether S looks at what comes for it; how much of FILTER it may be given; whether what comes on
 * TOPIC; whether it may publish there. */
static inline bool gnt_session_looks(const struct gnt_session *s)
{
    return s->sink.ops == &gnt_session_looking_ops;
}
enum gnt_reach gnt_session_reach(const struct gnt_session *s, struct gnt_slice filter);
bool gnt_session_may_receive(const struct gnt_session *s, struct gnt_slice topic);
bool gnt_session_may_publish(const struct gnt_session *s, struct gnt_slice topic);

/* So many marked subscriptions more, or fewer. */
void gnt_session_marked(struct gnt_session *s, int n);

/* Some group does not know yet what S may. */
void gnt_session_mark_shared_again(struct gnt_session *s);

/* Whether it is still being found out which subscriptions are to be marked. */
bool gnt_session_marking(const struct gnt_session *s);

/* home->renewing. */
void gnt_sessions_renew(struct gnt_home *home, struct gnt_work *work);

/* ---- session_subscribe.c */

static inline bool gnt_session_subscriptions_full(const struct gnt_session *s)
{
    return s->subscription_count >= s->home->config.subscriptions_per_session;
}

/* N more subscriptions, or fewer. */
void gnt_session_count_subscriptions(struct gnt_session *s, int n);

/* Marks about COUNT subscriptions from the bucket *at on, which is moved; true if there are more.
 */
bool gnt_session_mark_plain(struct gnt_session *s, size_t *at, size_t count);

/* Goes on with retained messages while there is room for them; true if more can be done at once. */
bool gnt_session_walk(struct gnt_session *s);

/* Ends all subscriptions. */
void gnt_session_unsubscribe_all(struct gnt_session *s);

/* ---- session_share.c */

/* The same, and tells their groups, GNT_NOMEM: *at is where that had no memory. */
GNT_MUST gnt_err gnt_session_mark_shared(struct gnt_session *s, size_t *at, size_t count,
                                         bool *more);

/* Subscribes to KEY, "$share/GROUP/FILTER", as gnt_session_subscribe. */
bool gnt_session_share(struct gnt_session *s, struct gnt_slice key,
                       const struct gnt_sub_options *options, bool marked,
                       struct gnt_subscribing *answer, enum gnt_outcome *outcome);

/* False: there is no such subscription. */
bool gnt_session_unshare(struct gnt_session *s, struct gnt_slice key);
void gnt_session_unshare_all(struct gnt_session *s);

/* Tells shared groups that were turned down that there is room again, if so; false if there was no
 * memory to tell them. */
bool gnt_session_tell_groups(struct gnt_session *s);

/* What S has to say to GROUP's offer in ROUND before it looks at its own room: GNT_OFFER_TAKEN if
 * nothing.  *sub is for gnt_session_turn_down. */
struct shared;
enum gnt_offer gnt_session_consider(struct gnt_session *s, uint64_t group, uint32_t round,
                                    struct shared **sub);

/* The group will be told when there is room. */
void gnt_session_turn_down(struct gnt_session *s, struct shared *sub);

bool gnt_session_is_member(const struct gnt_session *s, uint64_t group);

/* The receiver has gone: nobody waits for answers to its subscriptions any more, and all groups are
 * to be told when there is room again. */
void gnt_session_shared_stop(struct gnt_session *s);

/* Its groups are told that the receiver has gone, so that nobody waits for it. */
void gnt_session_shared_away(struct gnt_session *s);

/* ---- session_consume.c
 *
 * A subscription to "$queue/NAME" is a consumer of that queue (core/queue.h) as long as the client
 * is connected and may listen to it.  What is given to it is locked there, not queued here, and
 * not in the session's ledger, for it is in the queue's: a PUBACK settles it, and what has none
 * when the connection ends is ready again, so that it may go to others.  What the session has
 * queued itself goes first. */

/* Subscribes to KEY, "$queue/NAME", as gnt_session_subscribe; at QoS 0 or 1. */
bool gnt_session_consume(struct gnt_session *s, struct gnt_slice key,
                         const struct gnt_sub_options *options, struct gnt_subscribing *answer,
                         enum gnt_outcome *outcome);

/* False: there is no such subscription. */
bool gnt_session_unconsume(struct gnt_session *s, struct gnt_slice key);
void gnt_session_unconsume_all(struct gnt_session *s);

/* Its client has come, or may do other things than before: consumes what it may. */
void gnt_session_consume_review(struct gnt_session *s);

/* Its client has gone: what it has not acknowledged is the queues' again, and has FAILED or not. */
void gnt_session_consume_stop(struct gnt_session *s, bool failed);

/* ---- session_puller.c */

/* Sends what came when there was no room, as far as there is. */
void gnt_session_consume_on(struct gnt_session *s);

/* FLIGHT, drawn from a queue, has been acknowledged, or turned down; it is the caller's to remove.
 * GNT_NOMEM: that could not be told. */
GNT_MUST gnt_err gnt_session_consumed(const struct gnt_flight *flight,
                                      const struct gnt_refusal *refusal);

#endif
