/* One AMQP connection, for the files of this room only:
 *   front.c        all of a worker's: what they share, from start to stop
 *   peer.c         its life: accepting, time, writing, closing
 *   io.c           reading
 *   secure.c       TLS, where the peer asks for it
 *   login.c        who the peer is
 *   rights.c       what it may do
 *   attach.c       what a link is wanted to
 *   answer.c       what is said about this side
 *   link.c         our ends of links, and their events
 *   suspended.c    those that no connection has
 *   incoming*.c    messages from the peer, and
 *   verdict.c      what becomes of them
 *   outlet.c       messages to it:
 *   outgoing*.c    from queues, and
 *   topics*.c      from topics
 *   coordinator.c  transactions
 *   delivery.c     outcomes
 *   select.c       filters, and
 *   fields.c       what they ask for
 *   management*.c  requests about entities
 *   envelope.c     what of a message changes on its way, and what does not */
#ifndef GNT_FRONT_AMQP_PEER_H
#define GNT_FRONT_AMQP_PEER_H

#include "amqp/engine/connection.h"
#include "front/base/lobby.h"
#include "front/amqp/front.h"

/*   state       what goes on                                             next states */
enum gnt_amqp_peer_state {
    GNT_PEER_OPEN,    /* frames both ways                                 ENDING, DEAD */
    GNT_PEER_ENDING,  /* the last bytes are written, nothing is read      LINGERING, DEAD */
    GNT_PEER_LINGERS, /* written and finished; input is thrown away until the peer ends, so that
                         it can read what it was told                     DEAD */
    GNT_PEER_DEAD,    /* freed when its turn is over */
};

enum { GNT_PEER_NAME_SIZE = 24, GNT_PEER_READ_SIZE = 64 * 1024 };

struct gnt_access;
struct gnt_amqp_login;
struct gnt_rights;

struct gnt_amqp_peer {
    struct gnt_amqp_connection engine;
    struct gnt_amqp_front *front;
    struct gnt_list link;   /* in front->peers */
    struct gnt_list paused; /* in front->paused or ->held: nothing is read */
    struct gnt_list dirty;  /* in front->dirty: it has something to write or to end */
    struct gnt_stream *stream;
    struct gnt_outq out;
    struct gnt_buf in; /* a frame that has come in part */
    struct gnt_timer timer;
    struct gnt_list termini;      /* our ends of its links, */
    struct gnt_list waiting;      /* and those that have something to send when there is room */
    struct gnt_list coordinators; /* those that are (coordinator.h) */
    uint32_t terminus_count;
    uint32_t resting;             /* of them, those that the peer has detached */
    uint32_t awaits;              /* attaches that have to be answered before more is read */
    size_t assembled;             /* bytes of messages that have come in part */
    struct gnt_amqp_login *login; /* until the connection is open */
    char *container;              /* its container id */
    char *user;                   /* NULL: anonymous, or not known yet */
    const char *by;               /* what it has shown that with, for the log */
    struct gnt_access *access;    /* counted: of which `rights` are */
    struct gnt_rights *rights;    /* counted */
    uint32_t reviewed;            /* in which round of front->review its links were */
    uint32_t number;              /* of the broker's connections, in the log */
    uint32_t took_ms;             /* while stalled: when its peer took something last */
    uint32_t untaken;             /* while stalled: gnt_stream_untaken then, or UINT32_MAX */
    uint8_t state : 2;            /* enum gnt_amqp_peer_state */
    bool opened : 1;              /* both sides have opened the connection */
    bool stalled : 1;             /* there is output that could not be written */
    bool unread : 1;              /* was not to be read, and what has come may be whole frames */
    bool admitted : 1;            /* within the rate at which peers may come */
    bool writes : 1;              /* has made its home write what has to be kept */
};

/* What the peers of one front that came under the same limits share.  They own it together. */
struct gnt_amqp_terms {
    struct gnt_amqp_options options;
    uint32_t peers; /* that have them */
};

static inline struct gnt_home *gnt_amqp_peer_home(const struct gnt_amqp_peer *p)
{
    return p->front->home;
}

static inline struct gnt_counters *gnt_amqp_peer_counters(const struct gnt_amqp_peer *p)
{
    return &p->front->home->counters;
}

/* What its messages have as their publisher: no sink's id, as no home has such a number. */
static inline uint64_t gnt_amqp_peer_publisher(const struct gnt_amqp_peer *p)
{
    enum { NO_HOME = 0x7f, GENERATION_BITS = 28 };
    _Static_assert((int)NO_HOME >= (int)GNT_HOMES_MAX, "it is beyond all homes");
    return gnt_sink_id(NO_HOME, p->number >> GENERATION_BITS, p->number);
}

/* ---- peer.c */

/* What the log calls it, "c17": OUT. */
const char *gnt_amqp_peer_name(const struct gnt_amqp_peer *p, char out[GNT_PEER_NAME_SIZE]);

/* It, as the lobby sees it; lends NAME. */
struct gnt_visitor gnt_amqp_peer_visitor(const struct gnt_amqp_peer *p,
                                         char name[GNT_PEER_NAME_SIZE]);

/* There may be something to write: that is done at the end of the turn. */
void gnt_amqp_peer_dirty(struct gnt_amqp_peer *p);

/* front->flush: writes to all that are dirty. */
void gnt_amqp_peer_flush(struct gnt_task *task);

/* Something else is waited for than what the timer is set for. */
void gnt_amqp_peer_keep_time(struct gnt_amqp_peer *p);

/* Acts on one event of the engine's. */
void gnt_amqp_peer_on_event(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event);

/* Ends the connection from this side, and tells the peer CONDITION and TEXT. */
void gnt_amqp_peer_fail(struct gnt_amqp_peer *p, enum gnt_amqp_condition condition,
                        const char *text);

/* It has ended, and the engine has put into the output what there is to say; WHY is for the log. */
void gnt_amqp_peer_end(struct gnt_amqp_peer *p, const char *why);

/* The engine says ERR, after which nothing can be said; or memory is out. */
void gnt_amqp_peer_broke(struct gnt_amqp_peer *p, gnt_err err);

/* The peer writes no more, or has gone: ERR of the stream. */
void gnt_amqp_peer_input_ended(struct gnt_amqp_peer *p, gnt_err err);

/* The broker stops, which peers are told; _drop is for what is still there after that: it goes
 * without a word, and is freed. */
void gnt_amqp_peer_shut_down(struct gnt_amqp_peer *p);
void gnt_amqp_peer_drop(struct gnt_amqp_peer *p);

/* Nothing more can be written; REASON is for the log. */
void gnt_amqp_peer_lost(struct gnt_amqp_peer *p, const char *reason);

/* The peer, who has said OPEN, may, or why not: GNT_DENIED, GNT_BUSY, or what else went wrong. */
void gnt_amqp_peer_opens(struct gnt_amqp_peer *p, gnt_err may);

/* ---- answer.c: says OPEN, to the peer's. */
GNT_MUST gnt_err gnt_amqp_peer_open(struct gnt_amqp_peer *p);

/* ---- io.c */

/* Wants of the stream what the connection waits for, by its state. */
void gnt_amqp_peer_want(struct gnt_amqp_peer *p);

/* Reads what has come, within bounds, and acts on it. */
void gnt_amqp_peer_read(struct gnt_amqp_peer *p);

/* Whether it is not read for reasons that are not its peer's. */
bool gnt_amqp_peer_is_unheard(const struct gnt_amqp_peer *p);

/* front->held_until: the store has caught up. */
void gnt_amqp_peer_hear_held(struct gnt_home *home, struct gnt_kept *kept);

/* It may be read again: acts on what had come before, and reads on. */
void gnt_amqp_peer_unpause(struct gnt_amqp_peer *p);

/* What it awaited is there: it is read on in the next turn. */
void gnt_amqp_peer_go_on(struct gnt_amqp_peer *p);

/* Reads and throws away; an error is the end of the stream. */
GNT_MUST gnt_err gnt_amqp_peer_discard(struct gnt_amqp_peer *p);

/* ---- secure.c */

/* Whether the handshake goes on. */
bool gnt_amqp_peer_shakes_hands(const struct gnt_amqp_peer *p);

/* The peer has been written to: the handshake begins where it has asked for one, and has the answer
 * to that. */
void gnt_amqp_peer_secure(struct gnt_amqp_peer *p);

/* Something has come of the handshake. */
void gnt_amqp_peer_shook_hands(struct gnt_amqp_peer *p);

/* The handshake has failed, or will not be over any more: the connection is lost. */
void gnt_amqp_peer_unsecured(struct gnt_amqp_peer *p, const char *reason);

/* ---- rights.c: front->review. */
void gnt_amqp_peer_review(struct gnt_home *home, struct gnt_work *work);

/* ---- login.c */

/* Before the first bytes: what the peer is offered, TLS too where there is some; takes the
 * reference.  GNT_NOMEM; GNT_DENIED: it has to be named by its certificate, and is not. */
GNT_MUST gnt_err gnt_amqp_login_offer(struct gnt_amqp_peer *p, struct gnt_tls_context **tls);

/* The same once more, over TLS. */
GNT_MUST gnt_err gnt_amqp_login_offer_anew(struct gnt_amqp_peer *p);

/* Lent: what it was offered; not NULL where its engine waits for TLS. */
struct gnt_tls_context *gnt_amqp_login_tls(const struct gnt_amqp_peer *p);

/* SASL_INIT or SASL_RESPONSE. */
void gnt_amqp_login_on_event(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event);

/* Whether the peer, which opens the connection now, may.  GNT_DENIED, GNT_BUSY; GNT_MORE: somebody
 * is asked, and gnt_amqp_peer_opens says what came of it. */
GNT_MUST gnt_err gnt_amqp_login_at_open(struct gnt_amqp_peer *p);

/* It may: p->user is who it is, and what was kept to ask it is freed.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_amqp_login_end(struct gnt_amqp_peer *p);

/* Whether somebody is asked about it, and it is not read meanwhile. */
bool gnt_amqp_login_waits(const struct gnt_amqp_peer *p);

/* While the outcome of a login that has failed is held back: until when; else GNT_NEVER. */
uint64_t gnt_amqp_login_held_until(const struct gnt_amqp_peer *p);

/* Tells it. */
void gnt_amqp_login_tell(struct gnt_amqp_peer *p);

void gnt_amqp_login_free(struct gnt_amqp_login **login);

#endif
