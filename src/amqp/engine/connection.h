/* One AMQP 1.0 connection without I/O, in either role: bytes and `now` in; events, bytes and the
 * next deadline out.
 *
 * What it does by itself: protocol headers, the order of SASL frames, open, begin, attach, detach,
 * end and close, channels and handles, both windows of sessions, credit, frames of at most what the
 * peer takes, idle time-outs both ways, ranges of dispositions, the discarding of what comes late,
 * and the answer to everything that breaks the protocol: the standard's condition, on the link, the
 * session or the connection.  What it leaves to its owner: SASL mechanisms, what an address means,
 * how much credit to give, outcomes, and closing the transport.
 *
 * A turn of the owner's:
 *
 *     while ((err = gnt_amqp_connection_next(c, &in, now, &event)) == GNT_OK)
 *         act on it: calls of this header and of link.h
 *     keep what `in` still holds; on err < 0 write what there is in the queue, and close
 *     gnt_amqp_connection_flush(c, now);   flows, dispositions: once, not for each message
 *     write the queue; wait for bytes, or until gnt_amqp_connection_deadline(c)
 *
 * Ownership  the owner's memory, _init to _fini.  Bytes to be sent go to the owner's queue.
 * Sessions, links and deliveries belong to the engine: each says when its life ends. Threads    one
 * at a time. Memory     bounded by the options.  An idle connection holds its state, and no buffer.
 * Errors     the peer's bytes are hostile.  A call that fails has put nothing into the queue and
 *            changed nothing, unless it says so.  GNT_STATE: not now, as the call says. */
#ifndef GNT_AMQP_ENGINE_CONNECTION_H
#define GNT_AMQP_ENGINE_CONNECTION_H

#include "amqp/codec/condition.h"
#include "amqp/codec/frame.h"
#include "amqp/codec/performative.h"
#include "amqp/engine/table.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/outq.h"

enum { GNT_AMQP_TAG_MAX = 32 }; /* bytes of a delivery-tag [AMQP 2.8.7] */

/* What this side allows: the same for many connections, so they share it. */
struct gnt_amqp_options {
    struct gnt_slice container_id;
    uint32_t max_frame_size; /* of what comes, told; GNT_AMQP_FRAME_MAX_MIN at least; and of what is
                                sent, where the peer takes more */
    uint32_t idle_timeout_ms; /* a peer that is silent for so long is gone; 0: it may be silent.  It
                                 is told half of it [AMQP 2.4.5] */
    uint32_t open_timeout_ms; /* header, SASL and open take no longer, nor does the peer's close; 0:
                                 any time */
    uint32_t sessions_max;    /* 1 to 65536 */
    uint32_t links_max;       /* of all sessions together, 1 or more */
    uint32_t unsettled_max;   /* deliveries that are unsettled, likewise, for each direction */
    uint32_t incoming_window; /* transfer frames that a session's peer may send ahead, 1 or more */
    uint32_t properties_max;  /* bytes of properties of an open, begin or attach; 0: a frame's */
    uint32_t link_name_max;   /* bytes; 0: a frame's */
    uint32_t overdraft; /* deliveries beyond their credit that are taken from senders all the same:
                           some lose count when credit is given while they send; below 2^31 */
};

/* Whose bytes come first: the standard's client and server at the level of TCP [AMQP 2.2]. */
enum gnt_amqp_side { GNT_AMQP_CLIENT, GNT_AMQP_SERVER };

/*   state            what may come                                  next states */
enum gnt_amqp_state {
    GNT_AMQP_AWAITS_HEADER, /* a protocol header        AWAITS_SASL, AWAITS_TLS, AWAITS_OPEN, ENDED
                             */
    GNT_AMQP_AWAITS_TLS,    /* nothing: the owner's handshake, then _secured        AWAITS_HEADER */
    GNT_AMQP_AWAITS_SASL,   /* a SASL frame, whose turn is the peer's
                                                  DECIDES_SASL, AWAITS_SASL, AWAITS_HEADER, ENDED */
    GNT_AMQP_DECIDES_SASL,  /* nothing: the owner's turn       AWAITS_SASL, AWAITS_HEADER, ENDED */
    GNT_AMQP_AWAITS_OPEN, /* open                                        OPENED, DISCARDS, ENDED */
    GNT_AMQP_OPENED,      /* any frame but open                                  DISCARDS, ENDED */
    GNT_AMQP_DISCARDS,    /* close was sent: close; all else is discarded [AMQP 2.4.6]     ENDED */
    GNT_AMQP_ENDED,       /* nothing, and nothing is sent any more */
};

struct gnt_amqp_session;
struct gnt_amqp_link;
struct gnt_amqp_delivery;

struct gnt_amqp_connection {
    void *context; /* the owner's */

    /* The engine's, for its owner to read. */
    const struct gnt_amqp_options *options;
    struct gnt_outq *out;
    struct gnt_list sessions; /* of gnt_amqp_session.in_connection */
    uint32_t peer_max_frame_size;
    uint32_t peer_idle_ms; /* 0: it does not mind silence */
    uint16_t peer_channel_max;
    uint8_t side;  /* enum gnt_amqp_side */
    uint8_t state; /* enum gnt_amqp_state */

    /* Of a failure of _next: the condition that the peer was told, if it could be told any. */
    uint8_t condition; /* enum gnt_amqp_condition */
    const char *why;   /* a text for the log; NULL: none */

    /* The engine's alone. */
    uint8_t sasl_turn;                /* enum in sasl.c: the frames that may come */
    bool sasl_offered, sasl_required; /* a server: with `mechanisms`; it has to be used */
    bool sasl_header, sasl_init;      /* a client: that was sent */
    bool sasl_done;                   /* the outcome was 0 */
    bool tls_offered, secured;        /* a client: it has been asked for */
    bool header_sent, open_sent;
    bool wrote;   /* since the last _flush */
    uint8_t hold; /* enum in inside.h: why the first frame of the owner's bytes is still there */
    uint32_t mechanism_count;
    const struct gnt_slice *mechanisms;
    struct gnt_amqp_table local, remote; /* sessions by the channel that each side says */
    uint32_t link_count;                 /* those that wait for the peer's detach included */
    uint32_t unsettled[2];               /* deliveries that came, and that went */
    uint32_t channels_seen;              /* one past the highest that the peer has used */
    uint64_t heard_at;        /* the last frame of the peer's; before OPENED: the beginning */
    uint64_t wrote_at;        /* our last one */
    struct gnt_list ghosts;   /* sessions that only wait for the peer's end */
    struct gnt_list dirty;    /* sessions that have something for _flush */
    struct gnt_list writable; /* links that are to be told that they may go on */

    /* What ends with the next call of _next; NULL: nothing. */
    struct gnt_amqp_session *gone_session;
    struct gnt_amqp_link *gone_link;
    struct gnt_amqp_delivery *gone_delivery;

    /* What the frame that is still the first of the owner's bytes has left to tell. */
    struct {
        struct gnt_amqp_session *session; /* a disposition's; NULL: none is unfinished */
        struct gnt_amqp_link *link;       /* an attach's whose unsettled deliveries are compared */
        struct gnt_list *delivery;        /* the next of them in its list, when `compared` */
        uint32_t first, last;             /* ids of the disposition that are left */
        uint32_t value_at, value_size;    /* in the frame, its state or its map; 0: none */
        uint8_t state;                    /* the state's descriptor */
        bool receiver, settled, incomplete, compared;
    } rest;
};

/*   what has happened        and what of the event says it (of the frame: its member) */
enum gnt_amqp_event_type {
    GNT_AMQP_EVENT_TLS,             /* the peer speaks TLS next: shake hands, then _secured */
    GNT_AMQP_EVENT_SASL_MECHANISMS, /* client: the frame; _sasl_init, if that has not been said */
    GNT_AMQP_EVENT_SASL_INIT,       /* server: the frame; _sasl_challenge or _sasl_outcome */
    GNT_AMQP_EVENT_SASL_CHALLENGE,  /* client: the frame; _sasl_respond */
    GNT_AMQP_EVENT_SASL_RESPONSE,   /* server: the frame; as SASL_INIT */
    GNT_AMQP_EVENT_SASL_OUTCOME,    /* client: the frame; a code that is not 0 has ended it */
    GNT_AMQP_EVENT_OPEN,            /* the frame; _open or _close, unless _open was said before */
    GNT_AMQP_EVENT_BEGIN,           /* the frame, session: the peer's, which has been answered, or
                                       its answer */
    GNT_AMQP_EVENT_ATTACH,          /* the frame, link: the peer's, to be answered or refused at
                                       any time, or its answer */
    GNT_AMQP_EVENT_RESUME,      /* link, delivery, resume, state: of what was unsettled before */
    GNT_AMQP_EVENT_FLOW,        /* link: its credit has changed, it is to drain, or its sender
                                   may go on (then there is no frame) */
    GNT_AMQP_EVENT_TRANSFER,    /* the frame, link, delivery, payload and what is below it */
    GNT_AMQP_EVENT_DISPOSITION, /* link, delivery, state, settled; not the frame, which may be
                                   of many deliveries */
    GNT_AMQP_EVENT_DETACH,      /* link, the frame or condition: it has ended, see link.h */
    GNT_AMQP_EVENT_END,         /* session, the frame or condition: it has ended */
    GNT_AMQP_EVENT_CLOSE,       /* the frame: the connection has ended */
    GNT_AMQP_EVENT_NOTHING,     /* a long disposition has told nothing so far: others may be served
                                   before the next call */
};

/* Lent until the next call of _next, as is what it points to in the owner's bytes. */
struct gnt_amqp_event {
    enum gnt_amqp_event_type type;
    struct gnt_amqp_session *session;
    struct gnt_amqp_link *link;
    struct gnt_amqp_delivery *delivery;

    /* The frame that brought it.  Its code is 0 if there is none to show, as where the engine has
     * ended a link or a session for what the peer did: condition and why say what that was. */
    struct gnt_amqp_composite performative;
    enum gnt_amqp_condition condition;
    const char *why;

    /* TRANSFER */
    struct gnt_slice payload;
    bool first, last; /* frame of its delivery */
    bool aborted;     /* what has come of it is to be forgotten, and so is the delivery */

    /* DISPOSITION, TRANSFER, RESUME */
    struct gnt_amqp_value state; /* null: none was told */
    bool settled;                /* by the peer: the delivery ends with this event if it is whole */

    uint8_t resume; /* RESUME: enum gnt_amqp_resume */
};

/* OPTIONS and OUT are lent for the connection's life.  Needs no memory. */
void gnt_amqp_connection_init(struct gnt_amqp_connection *c, enum gnt_amqp_side side,
                              const struct gnt_amqp_options *options, struct gnt_outq *out,
                              uint64_t now);

/* Frees the sessions, links and deliveries that there are: look at them before, if they have a
 * context of yours. */
void gnt_amqp_connection_fini(struct gnt_amqp_connection *c);

/* Takes the next frame off the front of *in.
 *   GNT_OK    *out is to be acted on.  The frame stays at the front of *in as long as it brings
 * more events. GNT_MORE  *in holds no whole frame any more, or the owner has to say something first
 * (see `state`, and EVENT_OPEN); *need (may be NULL) is the size of the frame that it begins with,
 * 0 if that is not known yet. else      the connection has ended, and what there is to say about it
 * is in the queue: GNT_PROTOCOL, GNT_MALFORMED, GNT_TOOBIG: the peer broke the protocol, see
 * `condition` and `why`; GNT_UNSUPPORTED: its protocol header is none for us, and it has been sent
 * ours; GNT_NOMEM. */
GNT_MUST gnt_err gnt_amqp_connection_next(struct gnt_amqp_connection *c, struct gnt_slice *in,
                                          uint64_t now, struct gnt_amqp_event *out, size_t *need);

/* Puts what the turn has left to say into the queue: flows, dispositions, answers to echo.
 * GNT_NOMEM: some of it; call it again, or end the connection. */
GNT_MUST gnt_err gnt_amqp_connection_flush(struct gnt_amqp_connection *c, uint64_t now);

/* When _tick must be called even if nothing happens; GNT_NEVER. */
uint64_t gnt_amqp_connection_deadline(const struct gnt_amqp_connection *c);

/* Sends an empty frame if it is time for one.  GNT_TIMEOUT: the peer was silent too long; it has
 * been told, and the connection has ended. */
GNT_MUST gnt_err gnt_amqp_connection_tick(struct gnt_amqp_connection *c, uint64_t now);

/* The peer lives although no whole frame of it has come. */
void gnt_amqp_connection_lives(struct gnt_amqp_connection *c, uint64_t now);

/* ---- TLS by protocol header [AMQP 5.2] */

/* A server: it may be asked for, until the connection is secured; to be said before the first
 * bytes.  A client: asks for it, as the first thing that it says. */
GNT_MUST gnt_err gnt_amqp_connection_tls(struct gnt_amqp_connection *c);

/* The handshake is over: headers come anew, over TLS. */
void gnt_amqp_connection_secured(struct gnt_amqp_connection *c);

/* ---- SASL [AMQP 5.3]: the frames and their order; what is in them is the mechanism's */

/* A server: these mechanisms (lent until the outcome) are offered, and a peer that goes without
 * SASL is sent away if it is REQUIRED.  To be said before the first bytes. */
void gnt_amqp_connection_sasl_offer(struct gnt_amqp_connection *c,
                                    const struct gnt_slice *mechanisms, uint32_t count,
                                    bool required);

/* A server's answers to SASL_INIT and SASL_RESPONSE; CODE is of [AMQP 5.3.3.6], and 0 goes on with
 * open.  Any other one ends the connection.  GNT_STATE: it is not asked for one. */
GNT_MUST gnt_err gnt_amqp_connection_sasl_challenge(struct gnt_amqp_connection *c,
                                                    struct gnt_slice challenge);
GNT_MUST gnt_err gnt_amqp_connection_sasl_outcome(struct gnt_amqp_connection *c, uint8_t code,
                                                  struct gnt_slice additional_data);

/* A client: sends the SASL header, as the first thing that it says (after TLS).  _sasl_init may
 * follow at once, or wait for SASL_MECHANISMS.  GNT_STATE: it is too late for that, or not yet
 * time. */
GNT_MUST gnt_err gnt_amqp_connection_sasl_start(struct gnt_amqp_connection *c);
GNT_MUST gnt_err gnt_amqp_connection_sasl_init(struct gnt_amqp_connection *c,
                                               const struct gnt_amqp_sasl_init *init);
GNT_MUST gnt_err gnt_amqp_connection_sasl_respond(struct gnt_amqp_connection *c,
                                                  struct gnt_slice response);

/* ---- Open and close */

/* Sends open, and before it the protocol header if that is not done: a client may do so before
 * anything has come.  Of OPEN hostname, locales, capabilities and properties are told; all else is
 * the options'.  GNT_STATE: it was said before, or SASL is not over.  GNT_TOOBIG: the peer does not
 * take a frame of that size. */
GNT_MUST gnt_err gnt_amqp_connection_open(struct gnt_amqp_connection *c,
                                          const struct gnt_amqp_open *open);

/* Sends close, with open before it if need be; ERROR may be NULL.  Then all that comes is discarded
 * up to EVENT_CLOSE.  An error that the peer takes no frame of is sent without its text and info.
 * Before the protocol headers are through it just ends. */
GNT_MUST gnt_err gnt_amqp_connection_close(struct gnt_amqp_connection *c,
                                           const struct gnt_amqp_error *error);

#endif
