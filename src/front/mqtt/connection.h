/* One MQTT connection, for the files of this room only:
 *   front.c        all of a worker's: what they share, from start to stop
 *   connection.c   its life: accepting, moving home, time, closing
 *   io.c           reading and writing
 *   connect.c      CONNECT and its answer
 *   login*.c       who the client is
 *   packets.c      what an open connection does with each packet
 *   withhold.c     acknowledgements that wait for somebody's queue
 *   gate.c         output that waits until what it says is safe
 *   subscribe.c    SUBSCRIBE and UNSUBSCRIBE, in slices
 *   deliver.c      the core's receiver: from the session to the client */
#ifndef GNT_FRONT_MQTT_CONNECTION_H
#define GNT_FRONT_MQTT_CONNECTION_H

#include "core/session.h"
#include "front/base/lobby.h"
#include "front/mqtt/front.h"

/*   state       what goes on                                             next states */
enum gnt_connection_state {
    GNT_CONNECTION_OPEN,    /* packets both ways                           ENDING, DEAD */
    GNT_CONNECTION_ENDING,  /* the last bytes are written, nothing is read LINGERING, DEAD */
    GNT_CONNECTION_LINGERS, /* written and finished; input is thrown away until the peer ends, so
                              that it can read what it was told              DEAD */
    GNT_CONNECTION_DEAD,    /* freed when its turn is over */
};

struct gnt_login;
struct gnt_withholding;

/* Of the texts that gnt_connection_name and an assigned client id come to. */
enum { GNT_NAME_SIZE = 24, GNT_ASSIGNED_SIZE = 24 };

struct gnt_mqtt_connection {
    struct gnt_receiver receiver;
    struct gnt_mqtt_server engine;
    struct gnt_mqtt_front *front;
    struct gnt_list link;   /* in front->connections */
    struct gnt_list paused; /* in front->paused, ->settling, ->held or ->working: nothing is read */
    struct gnt_stream *stream;
    struct gnt_session *session; /* NULL before CONNECT was accepted, and when it is over */
    struct gnt_login *login;     /* NULL: anonymous, or nothing is known yet */
    struct gnt_outq out;
    struct gnt_buf in;     /* a packet that has come in part */
    struct gnt_list dirty; /* in front->dirty or ->bulk: it has something to write or to end */
    struct gnt_timer timer;
    struct gnt_ring subscribing;         /* struct subscribing: SUBSCRIBEs not answered yet */
    struct gnt_withholding *withholding; /* acknowledgements; NULL: none (withhold.h) */
    uint32_t took_ms; /* while stalled: when its client took something last (gnt_connection_ms) */
    uint32_t number;  /* of the broker's connections, in the log */
    uint32_t untaken; /* while stalled: gnt_stream_untaken then, or UINT32_MAX */
    uint16_t unreleased; /* exactly-once messages of this connection before their PUBREL */
    uint8_t state : 2;   /* enum gnt_connection_state; with what follows in two bytes */
    bool surplus : 1;    /* beyond connections_max: only to be told where to go */
    bool admitted : 1;   /* has been counted as one that connects */
    bool stalled : 1;    /* there is output that could not be written */
    bool waited : 1;     /* for what its client's earlier connection still had to say */
    bool blocked : 1;    /* turned a delivery down: the session is told when there is room */
    bool gated : 1;      /* has a gate (gate.h) */
    bool writes : 1;     /* has made its home write what has to be kept */
    bool unread : 1;     /* was not to be read, and what has come before may be whole packets */
    bool heavy : 1;      /* said much the last time that it was read, */
    bool bulky : 1;      /* and was told much the last time that it was written to */
};

static inline struct gnt_home *gnt_connection_home(const struct gnt_mqtt_connection *c)
{
    return c->front->home;
}

static inline struct gnt_counters *gnt_connection_counters(const struct gnt_mqtt_connection *c)
{
    return &c->front->home->counters;
}

/* The time in milliseconds; it goes round in 49 days, so only differences mean something. */
static inline uint32_t gnt_connection_ms(const struct gnt_mqtt_connection *c)
{
    return (uint32_t)(c->front->loop->now / GNT_NS_PER_MS);
}

/* ---- connection.c */

/* What the log calls it, "c17": OUT. */
const char *gnt_connection_name(const struct gnt_mqtt_connection *c, char out[GNT_NAME_SIZE]);

/* It, as the lobby sees it; lends NAME. */
struct gnt_visitor gnt_connection_visitor(const struct gnt_mqtt_connection *c,
                                          char name[GNT_NAME_SIZE]);

/* There is something in c->out: it is written at the end of the turn. */
void gnt_connection_dirty(struct gnt_mqtt_connection *c);

/* front->flush: writes to some of those that are dirty. */
void gnt_connection_flush(struct gnt_task *task);

/* Ends the connection: the session is closed as HOW says (if there still is one), what is in c->out
 * is written.  For a client that has to be told why: gnt_connection_fail. */
void gnt_connection_end(struct gnt_mqtt_connection *c, enum gnt_parting how, uint32_t expiry_s);

/* Ends it from this side, and tells the client REASON, and TEXT (NULL: the reason's own) where it
 * wants that.  _broke is the same for what the client has done wrong. */
void gnt_connection_fail(struct gnt_mqtt_connection *c, uint8_t reason, const char *text);
void gnt_connection_broke(struct gnt_mqtt_connection *c, uint8_t reason, const char *text);

/* Ends it, or refuses its client, with the place where that is to go. */
void gnt_connection_refer(struct gnt_mqtt_connection *c);

/* The broker stops, which clients are told; _drop is for what is still there after that: it goes
 * without a word, and is freed. */
void gnt_connection_shut_down(struct gnt_mqtt_connection *c);
void gnt_connection_drop(struct gnt_mqtt_connection *c);

/* The client cannot be answered: memory is out, it takes only packets that are smaller than the
 * answer, or the store takes nothing now. */
void gnt_connection_unanswered(struct gnt_mqtt_connection *c, gnt_err err);

/* Something else is waited for: CONNECT has been accepted, and time is kept by its keep alive from
 * now on, or its answer is held back. */
void gnt_connection_keep_time(struct gnt_mqtt_connection *c);

/* Moves it, with the LEFT bytes that have not been acted on, to the front of HOME, and must not be
 * touched any more; false if that failed, and the connection has been ended. */
bool gnt_connection_move(struct gnt_mqtt_connection *c, unsigned home, struct gnt_slice left);

/* The peer writes no more, or has gone: ERR of the stream. */
void gnt_connection_input_ended(struct gnt_mqtt_connection *c, gnt_err err);

/* ---- io.c */

/* Wants of the stream what the connection waits for, by its state. */
void gnt_connection_want(struct gnt_mqtt_connection *c);

/* Reads what has come, within bounds, and acts on it; who is heavy waits for a visit instead, which
 * gnt_mqtt_front_turn makes.  Ends or frees the connection only through the front's flush task; but
 * where CONNECT moves it, it must not be touched any more. */
void gnt_connection_read(struct gnt_mqtt_connection *c);

/* Whether it is not read for reasons that are not its client's. */
bool gnt_connection_is_unheard(const struct gnt_mqtt_connection *c);

/* front->held_until: the store has caught up. */
void gnt_connection_hear_held(struct gnt_home *home, struct gnt_kept *kept);

/* It is not paused any more: acts on what had come before it was, and reads on. */
void gnt_connection_unpause(struct gnt_mqtt_connection *c);

/* Reads and throws away; an error is the end of the stream. */
GNT_MUST gnt_err gnt_connection_discard(struct gnt_mqtt_connection *c);

/* Writes what the stream takes. */
GNT_MUST gnt_err gnt_connection_write(struct gnt_mqtt_connection *c);

/* ---- connect.c */

/* CONNECT, which began at the front of LEFT: true if it was acted on here, false if the connection
 * has moved (or ended). */
bool gnt_connection_on_connect(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet,
                               struct gnt_slice whole);

/* CONNECT is accepted; AUTH_DATA is what enhanced authentication has to say in the end. */
void gnt_connection_welcome(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet,
                            struct gnt_slice auth_data);

/* ---- login.c, login_scram.c, login_ask.c */

/* Why this client cannot be let in whatever it may prove; GNT_REASON_SUCCESS if it may try. */
uint8_t gnt_login_objection(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet);

/* The client of a CONNECT, at the front of WHOLE, that has no objection has to show who it is:
 * true, and the CONNECT is answered when it has.  False: it need not, being anonymous or known by
 * its certificate. */
bool gnt_login_begin(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet,
                     struct gnt_slice whole);

/* AUTH, whose turn the engine has checked. */
void gnt_login_on_auth(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet);

/* Who the client is, NULL for anonymous ones. */
const char *gnt_login_user(const struct gnt_mqtt_connection *c);

/* What it has shown that with, for the log: "password", "certificate", ..., or "anonymous". */
const char *gnt_login_by(const struct gnt_mqtt_connection *c);

/* While the answer to a login that has failed is held back: when it is to be given; 0: none is. */
uint64_t gnt_login_held_until(const struct gnt_mqtt_connection *c);

/* Whether the client, whose answer is held back, is still listened to, for its end only; what it
 * says is thrown away.  _listen does so. */
bool gnt_login_listens(const struct gnt_mqtt_connection *c);
void gnt_login_listen(struct gnt_mqtt_connection *c);

/* Gives the answer. */
void gnt_login_tell(struct gnt_mqtt_connection *c);

void gnt_login_free(struct gnt_login **login);

/* A program that has the broker inside may want to be told that CLIENT has come (after its CONNECT
 * was accepted, and after _expect, which can fail for lack of memory), and that it has gone. */
GNT_MUST gnt_err gnt_login_expect(struct gnt_mqtt_connection *c, struct gnt_slice client);
void gnt_login_came(struct gnt_mqtt_connection *c);
void gnt_login_went(struct gnt_mqtt_connection *c, const char *why);

/* ---- packets.c */

void gnt_connection_on_packet(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet);

/* Answers the PUBLISH with this QOS and ID.  BEFORE: what gnt_keep_mark was before anything was
 * done with it, 0 if that is not known. */
void gnt_connection_answer_publish(struct gnt_mqtt_connection *c, uint8_t qos, uint16_t id,
                                   enum gnt_outcome outcome, uint64_t before);

/* An outcome of the core in MQTT 5's words. */
uint8_t gnt_connection_reason(enum gnt_outcome outcome);

/* A message of a PUBLISH or a will.  EXPIRY_S is the property's, or GNT_EXPIRY_NEVER. */
struct gnt_publication {
    struct gnt_slice topic, payload;
    const struct gnt_mqtt_props *props;
    uint8_t qos;
    bool retain;
    uint64_t publisher;
    uint32_t expiry_s;
};
GNT_MUST gnt_err gnt_connection_message(struct gnt_mqtt_connection *c,
                                        const struct gnt_publication *p, struct gnt_message **out);

/* ---- subscribe.c */

/* SUBSCRIBE or UNSUBSCRIBE.  What is over this turn's slice is done in the next ones, and the
 * connection is paused meanwhile. */
void gnt_connection_on_filters(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet);

/* SUBSCRIBEs and UNSUBSCRIBEs that are not answered yet need not be. */
void gnt_connection_drop_subscribing(struct gnt_mqtt_connection *c);

/* front->work: the next slice.  _new_slice: a new turn has its own. */
void gnt_connection_work(struct gnt_home *home, struct gnt_work *work);
void gnt_connection_new_slice(struct gnt_mqtt_front *front);

/* ---- deliver.c */

extern const struct gnt_receiver_ops gnt_connection_receiver_ops;

#endif
