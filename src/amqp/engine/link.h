/* Sessions, links and deliveries of an AMQP connection (connection.h).
 *
 * Life     A session, a link or a delivery is there from the call or the event that first shows it.
 *          A session ends with its event END, a link with its event DETACH: it is out of the lists
 *          then, and gone with the next call of _next.  What ends takes with it what is in it,
 *          without further events: look through session->links and link->deliveries, if they have
 *          contexts of yours.  A delivery ends
 *            - when this side settles it, in the call that does so;
 *            - when the peer settles or aborts it, with the event that says so;
 *            - when it is sent settled, with its last frame; when it came settled, with its last
 *              event;
 *          but one that is being sent lives on until it is whole or given up.
 * Errors   GNT_STATE from any call: the session, the link or the connection is about to end, or was
 *          never answered.  GNT_NOMEM.  GNT_TOOBIG: the peer takes no frame of that size. */
#ifndef GNT_AMQP_ENGINE_LINK_H
#define GNT_AMQP_ENGINE_LINK_H

#include "amqp/engine/connection.h"
#include "amqp/engine/ids.h"
#include "base/hash.h"

struct gnt_amqp_range { /* dispositions that have not been put yet */
    bool pending, settled;
    uint8_t state_size;
    uint32_t first, last;
    uint8_t state[30];
};

struct gnt_amqp_session {
    void *context; /* the owner's */

    /* The engine's, for its owner to read. */
    struct gnt_amqp_connection *connection;
    struct gnt_list in_connection;
    struct gnt_list links;    /* of gnt_amqp_link.in_session */
    uint32_t outgoing_window; /* frames that the peer still takes */
    bool answered;            /* both have said begin */

    /* The engine's alone. */
    uint16_t channel, remote_channel;
    bool begin_seen, end_sent, ghost;
    bool flow_due;                               /* the peer is to be told of the window */
    bool ask_due, asked;                         /* it is to tell its window, or has been asked */
    uint32_t next_outgoing_id, next_incoming_id; /* of frames */
    uint32_t incoming_window;                    /* frames that the peer may send, as it knows */
    uint32_t peer_handle_max;
    uint32_t next_delivery_id;           /* of the next that is sent */
    uint32_t handles_seen;               /* one past the highest that the peer has used */
    struct gnt_amqp_table local, remote; /* links by the handle that each side says */
    struct gnt_map names;                /* links that an attach may mean, by name and role */
    struct gnt_amqp_ids sent, received;
    uint32_t last_received; /* the last id that came, if any did */
    bool any_received;
    struct gnt_amqp_range ranges[2]; /* by role: enum gnt_amqp_role */
    struct gnt_list ghosts;          /* links that only wait for the peer's detach */
    struct gnt_list in_dirty;
    struct gnt_list dirty;   /* links that have a flow for _flush */
    struct gnt_list blocked; /* links that wait for the window, in that order */
};

struct gnt_amqp_link {
    void *context; /* the owner's */

    /* The engine's, for its owner to read. */
    struct gnt_amqp_session *session;
    struct gnt_list in_session;
    struct gnt_list deliveries; /* unsettled or unfinished, of gnt_amqp_delivery.in_link */
    struct gnt_slice name;
    bool sender;   /* this side sends */
    bool answered; /* both have said attach: deliveries may flow */
    bool drain;    /* sender: use the credit or drop it, by _drained; receiver: as asked */
    uint8_t snd_settle_mode;   /* as this side said; a receiver has taken over the sender's */
    uint8_t rcv_settle_mode;   /* the other way round */
    uint32_t credit;           /* deliveries that may still be sent, or may still come */
    uint32_t delivery_count;   /* of deliveries sent or received, from where the sender began */
    uint32_t restored;         /* deliveries that were told of as unsettled, see _attach */
    uint32_t available;        /* receiver: what the sender has told; sender: what it tells */
    uint64_t max_message_size; /* sender: that the peer takes; receiver: that we take; 0: any */

    /* The engine's alone. */
    uint32_t handle, remote_handle;
    uint32_t limit; /* receiver: the delivery_count up to which the peer has been told to go on;
                       sender: the one that it began with */
    bool attach_sent, attach_seen, detach_sent, closed, ghost, kept;
    bool incomplete; /* the receiver's map of unsettled deliveries was not all of it: nothing new
                        may be sent [AMQP 2.7.3] */
    struct gnt_amqp_delivery *partial; /* the one whose frames are coming, or going */
    struct gnt_map_node by_name;       /* if `named`: in session->names */
    bool named;
    struct gnt_list in_dirty;
    struct gnt_list in_waiting; /* session->blocked or connection->writable */
    char text[];                /* the name */
};

/* What a delivery is restored for, on a link that is attached again [AMQP 2.6.13]. */
enum gnt_amqp_resume {
    GNT_AMQP_RESUME_NONE,     /* not restored */
    GNT_AMQP_RESUME_WAIT,     /* the peer has not spoken yet; receiver: it will send it again */
    GNT_AMQP_RESUME_AGAIN,    /* sender: the peer does not know it: all of it */
    GNT_AMQP_RESUME_CONTINUE, /* sender: what is behind what `state`, a received, says; null: all */
    GNT_AMQP_RESUME_SETTLE,   /* sender: the peer has an outcome, `state`; nothing but the word */
    GNT_AMQP_RESUME_RESTATE,  /* sender: another outcome than here; ours is told, and it holds */
    GNT_AMQP_RESUME_ABORT,    /* sender: it cannot go on; the peer is told */
    GNT_AMQP_RESUME_FORGET,   /* nothing to be done: it ends with this event */
};

struct gnt_amqp_delivery {
    void *context; /* the owner's */

    /* The engine's, for its owner to read. */
    struct gnt_amqp_link *link;
    struct gnt_list in_link;
    uint64_t size;   /* bytes of payload that have gone or come */
    uint32_t id;     /* within session and direction, once a frame of it has gone or come */
    uint32_t format; /* message-format */
    uint8_t tag_size;
    uint8_t tag[GNT_AMQP_TAG_MAX];
    uint8_t peer_state; /* the descriptor of the last state that the peer told, 0: none */
    uint8_t resume;     /* enum gnt_amqp_resume */
    bool whole;         /* all frames have gone or come */
    bool settled;       /* by the sender in its transfer, or by the peer while it was being sent */
    bool aborted;

    /* The engine's alone. */
    bool known;          /* in the session's ring */
    bool dropped;        /* the owner has done with it, but not all frames have come or
                            gone */
    uint8_t local_state; /* restored: the descriptor of our state, */
    uint32_t section;    /* and if it is `received` its numbers */
    uint64_t offset;
    uint32_t state_at, state_size; /* restored: the peer's state in its attach; 0: it has none */
};

static inline struct gnt_slice gnt_amqp_delivery_tag(const struct gnt_amqp_delivery *d)
{
    return gnt_slice(d->tag, d->tag_size);
}

/* ---- Sessions */

/* Begins one; links may be attached at once.  GNT_FULL: as many as both sides allow.  GNT_STATE:
 * open has not been said. */
GNT_MUST gnt_err gnt_amqp_session_begin(struct gnt_amqp_connection *c,
                                        struct gnt_amqp_session **out);

/* Sends end; ERROR may be NULL.  What the peer still sends is discarded up to the event END. */
GNT_MUST gnt_err gnt_amqp_session_end(struct gnt_amqp_session *s,
                                      const struct gnt_amqp_error *error);

/* ---- Links */

/* A delivery that was unsettled when its link was detached or its connection cut, and goes on. */
struct gnt_amqp_unsettled {
    struct gnt_slice tag;
    struct gnt_slice state; /* ours, encoded; empty: none */
    void *context;          /* of the delivery that it becomes */
};

/* A link of ours.  Of ATTACH everything goes out but handle, unsettled and incomplete-unsettled,
 * which are the engine's; initial_delivery_count is 0 if it is absent.  GNT_EXISTS: the session has
 * a link of that name and role.  GNT_FULL: as many as both sides allow.
 *
 * UNSETTLED (COUNT of them; lent) is what a link that is attached again has to settle, in any
 * connection [AMQP 2.6.13].  Behind the event ATTACH each of them has its event RESUME, which says
 * what to do: a sender, when it has credit, calls gnt_amqp_link_send for one after the other, and
 * before anything new.  If the peer's frames have no room for all, link->restored says how many
 * were told: finish these, detach without closing, attach again with the rest [AMQP 2.7.3]. */
GNT_MUST gnt_err gnt_amqp_link_attach(struct gnt_amqp_session *s,
                                      const struct gnt_amqp_attach *attach,
                                      const struct gnt_amqp_unsettled *unsettled, size_t count,
                                      struct gnt_amqp_link **out);

/* The answer to an event ATTACH of the peer's: name, handle and role are the engine's, too.  With
 * UNSETTLED before the next _next only, else GNT_STATE. */
GNT_MUST gnt_err gnt_amqp_link_answer(struct gnt_amqp_link *l, const struct gnt_amqp_attach *attach,
                                      const struct gnt_amqp_unsettled *unsettled, size_t count);

/* The answer that says no: attach without the terminus that was asked for, then detach with ERROR
 * [AMQP 2.6.3].  The link ends with its event DETACH. */
GNT_MUST gnt_err gnt_amqp_link_refuse(struct gnt_amqp_link *l, const struct gnt_amqp_error *error);

/* Sends detach: with CLOSED for good, else the terminus lives on and the link may be attached
 * again. ERROR may be NULL.  What the peer still sends for it is discarded up to the event DETACH.
 * One of the peer's that was not answered is refused instead. */
GNT_MUST gnt_err gnt_amqp_link_detach(struct gnt_amqp_link *l, bool closed,
                                      const struct gnt_amqp_error *error);

/* With its event DETACH, where the peer has detached it without closing it and this side wants it
 * to live on: what is unsettled of it is settled on its session as before, by either side, until
 * _let_go or the end of the session, among whose links it is again.  Its name is free.  What had
 * come or gone in part is given up. */
void gnt_amqp_link_keep(struct gnt_amqp_link *l);

/* A link that was kept is gone with its deliveries, in this moment. */
void gnt_amqp_link_let_go(struct gnt_amqp_link *l);

/* A receiver: so many deliveries may come from now on; with DRAIN only what the sender has now, and
 * an event FLOW with credit 0 says that this is all.  The sender is told by the next _flush; what
 * it has sent before that may be over a credit that was lowered. */
void gnt_amqp_link_credit(struct gnt_amqp_link *l, uint32_t credit, bool drain);

/* A sender: no delivery is left for its credit.  If the receiver drains, the credit is gone, and
 * the receiver is told by the next _flush; else nothing happens. */
void gnt_amqp_link_drained(struct gnt_amqp_link *l);

/* A sender: how many deliveries wait, as the receiver is told with the next flow. */
void gnt_amqp_link_available(struct gnt_amqp_link *l, uint32_t available);

/* ---- Sending */

/* A piece of a payload.  With KEEP it may be linked instead of copied: KEEP takes one more
 * reference for each frame that it is linked into, RELEASE gives one back when the bytes have been
 * written. */
struct gnt_amqp_piece {
    struct gnt_slice bytes;
    void (*keep)(void *context);
    void (*release)(void *context);
    void *context;
};

struct gnt_amqp_sending {
    struct gnt_slice tag;   /* at most GNT_AMQP_TAG_MAX bytes */
    uint32_t format;        /* message-format */
    struct gnt_slice state; /* an encoded delivery state, say of a transaction; empty: none */
    bool settled;
    bool batchable; /* the peer may take its time to answer */
    bool more;      /* the payload goes on behind these pieces, in another call */
};

/* A sender: sends the next bytes of a delivery, in as many frames as it takes.  With *delivery NULL
 * it begins one, and *delivery is that from then on, unless it has ended; else it goes on with it,
 * or with a restored one, of which tag, format and settled are known.  The links of a session may
 * take turns; each of them sends one delivery after the other.  *taken: bytes of PIECES that are in
 * the queue, on failure, too.
 *
 *   GNT_OK       all of it.  Without `more` the delivery is whole.
 *   GNT_MORE     the session's window or the link's credit is used up: call again with the rest
 *                after an event FLOW of the link.
 *   GNT_FULL     as many are unsettled as may be: call again when some have been settled.
 *   GNT_TOOBIG   over the peer's max-message-size, as far as it is seen at the beginning.
 *   GNT_INVALID  a tag of too many bytes, another delivery of the link that is not whole, `settled`
 *                against the link's snd-settle-mode.
 *   GNT_STATE    besides: a new delivery while the receiver has not told all that it has. */
GNT_MUST gnt_err gnt_amqp_link_send(struct gnt_amqp_link *l, const struct gnt_amqp_sending *sending,
                                    const struct gnt_amqp_piece *pieces, size_t count,
                                    size_t *taken, struct gnt_amqp_delivery **delivery);

/* Gives up a delivery that is not whole: the peer forgets what has come of it [AMQP 2.6.14].  It
 * ends here for the owner, and the frame is sent when the window is open. */
GNT_MUST gnt_err gnt_amqp_delivery_abort(struct gnt_amqp_delivery *d);

/* ---- Settling, either role */

/* Tells the peer STATE (encoded, as gnt_amqp_fieldless has it; empty: none) of a delivery, and
 * whether it is SETTLED here, which ends it.  What is equal for ids that follow one another goes
 * out as one range, by _flush at the latest.  Of one that the peer has settled it tells nothing and
 * says GNT_OK.  GNT_STATE besides: a sender's that is not whole. */
GNT_MUST gnt_err gnt_amqp_delivery_settle(struct gnt_amqp_delivery *d, struct gnt_slice state,
                                          bool settled);

#endif
