/* The inside of a session, for the session_*.c files and nobody else:
 *   session.c            birth, take-over, parting, will, expiry, death
 *   session_flow.c       deliveries: sending, queueing, settling
 *   session_subscribe.c  subscriptions, shared ones, retained messages for new ones */
#ifndef GNT_CORE_SESSION_PRIVATE_H
#define GNT_CORE_SESSION_PRIVATE_H

#include "core/queue.h"
#include "core/session.h"
#include "model/idset.h"
#include "model/window.h"

struct gnt_session {
    /* What a delivery at QoS 0 looks at is together, and behind it what the others look at too:
     * with ten thousand sessions none of it is in the cache. */
    struct gnt_sink sink;
    struct gnt_home *home;
    struct gnt_receiver *receiver; /* NULL: the client is away */
    struct gnt_queue *queue;       /* NULL while nothing waits */
    struct gnt_ledger *ledger;     /* NULL: nothing has ever come for it */
    bool held;                     /* between _open and _resume: nothing is sent yet */
    bool closing;                  /* its connection is to be closed, and nothing more is sent */
    uint8_t why;                   /* enum gnt_close_reason, if closing */
    uint16_t resend_from; /* the first in the window that is still to be sent again, 0: none */
    uint16_t client_id_size;
    struct gnt_window window;
    uint32_t receive_max; /* how many may be unsettled */
    uint32_t unsettled;   /* sent on this connection and not settled */

    struct gnt_idset unreleased; /* exactly-once messages from the client */

    struct gnt_map_node by_client_id; /* in home->sessions */
    struct gnt_work work;

    struct gnt_map subscriptions; /* struct subscription, by place in the tree */
    struct gnt_shares *shares;    /* NULL before the first shared one */
    struct gnt_ring walks;        /* struct walk: retained messages still to be got */
    uint32_t subscription_count;  /* of both kinds */

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

/* ---- session.c */

static inline struct gnt_session *gnt_session_of(struct gnt_sink *sink)
{
    return GNT_CONTAINER(sink, struct gnt_session, sink);
}

void gnt_sessions_free(struct gnt_home *home);

/* Goes on soon with closing the connection, walks, and telling groups. */
void gnt_session_work_later(struct gnt_session *s);

/* ---- session_flow.c */

extern const struct gnt_sink_ops gnt_session_sink_ops;

/* Sends or queues one delivery; MESSAGE and IDS are lent.  RECEIPT as in gnt_sink_ops. */
void gnt_session_send(struct gnt_session *s, struct gnt_message *message, uint8_t qos, bool retain,
                      const struct gnt_sub_ids *ids, struct gnt_receipt *receipt);

/* Makes its ledger, if it has none; false: out of memory. */
bool gnt_session_have_ledger(struct gnt_session *s);

/* Sends what can be sent: first again, then what is queued. */
void gnt_session_pump(struct gnt_session *s);

/* Whether nothing is queued and the next message could be sent at once, whatever its QoS. */
bool gnt_session_has_room(const struct gnt_session *s);

/* The receiver has gone, maybe for good: gives back to shared groups what they lent. */
void gnt_session_flow_stop(struct gnt_session *s, bool for_good);

/* Frees window, queue and ledger; what is lost with them is counted. */
void gnt_session_flow_fini(struct gnt_session *s);

/* ---- session_subscribe.c */

/* Goes on with retained messages while there is room for them; true if more can be done at once. */
bool gnt_session_walk(struct gnt_session *s);

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

/* Ends all subscriptions. */
void gnt_session_unsubscribe_all(struct gnt_session *s);

#endif
