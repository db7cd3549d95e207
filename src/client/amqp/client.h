/* What the files of the AMQP client share.
 *
 * Three layers, as in client/mqtt: the engine (amqp/engine) knows AMQP; the link of client/base
 * knows how to get a byte stream, and the dialer on it when; the thread (thread.c) carries bytes
 * between the two, and calls back.  What the program holds (sessions, ends, sendings, deliveries)
 * outlives a connection; what the engine holds does not, and each side's pointer to the other is
 * NULL then.
 *
 * Calling back: whoever finds something to tell puts a piece of news into `news`; the thread tells
 * it all, without the lock, between two steps.  So nothing of the program's runs in the middle of
 * anything.
 *
 * The lock (thread.lock) guards all of it.  Engine calls are made with the lock, by any thread. */
#ifndef GNT_CLIENT_AMQP_CLIENT_H
#define GNT_CLIENT_AMQP_CLIENT_H

#include "amqp/engine/link.h"
#include "auth/sasl.h"
#include "base/buf.h"
#include "client/amqp/message.h"
#include "client/base/dialer.h"

#include <gnatter/amqp.h>

enum gnt_news_kind {
    GNT_NEWS_CONNECTED,
    GNT_NEWS_DISCONNECTED,
    GNT_NEWS_ATTACHED, /* of an end */
    GNT_NEWS_DETACHED, /* of an end */
    GNT_NEWS_LEFT,     /* of an end: it is freed behind all that was to be told about it */
    GNT_NEWS_OUTCOME,  /* of a sending, which ends with it */
    GNT_NEWS_MESSAGE,  /* of a delivery */
    GNT_NEWS_WANTED,   /* of a sender that a container has: its credit has changed */
};

struct gnt_news {
    struct gnt_list in;
    uint8_t kind; /* enum gnt_news_kind */
};

struct gnt_guest;
struct gnt_node;

struct gnatter_amqp {
    struct gnt_thread *thread;
    struct gnt_thread own_thread;        /* a client's */
    struct gnt_guest *guest;             /* a container's side of it; NULL: it is a client's */
    struct gnatter_amqp_options options; /* its texts, as they are not the link's, are owned */
    struct gnt_amqp_options terms;       /* of the engine */
    uint32_t mechanisms;                 /* a set of SASL's; 0: none at all */
    struct gnt_list sessions;            /* of gnatter_amqp_session.in_amqp */
    struct gnatter_amqp_session *own;    /* the connection's own; NULL: not yet */
    struct gnt_list deliveries;          /* that the program has, or will get */
    struct gnt_list news;
    uint64_t names; /* given to links so far */

    struct gnt_dialer dialer;
    struct gnatter_amqp_error why; /* of the last one's end */
    size_t queued_messages, queued_bytes;
    char peer[128]; /* its container id */

    struct gnt_news connected_news, disconnected_news;
    struct gnatter_amqp_disconnected disconnected;

    /* The thread's own, but for engine calls. */
    bool has_engine;
    struct gnt_amqp_connection engine;
    struct gnt_outq out;
    struct gnt_buf in;
    struct gnt_sasl_client sasl;
    bool sasl_begun;
};

struct gnatter_amqp_session {
    gnatter_amqp *amqp;
    struct gnt_list in_amqp;
    struct gnt_list ends; /* of gnt_end.in_session */
    struct gnt_amqp_session *engine;
    struct gnatter_amqp_sender *coordinator; /* for transactions; NULL: none yet */
    struct gnt_list transactions;
    int error; /* the peer has ended it: GNT_REFUSED */
    struct gnatter_amqp_error why;
};

/*   state      what it waits for                                    next states */
enum gnt_end_state {
    GNT_END_DETACHED,  /* a connection                               ATTACHING, ENDED */
    GNT_END_ATTACHING, /* the peer's attach                          ATTACHED, DETACHED, ENDED */
    GNT_END_ATTACHED,  /*                                            DETACHED, ENDED */
    GNT_END_ENDED,     /* nothing: the peer has ended it */
};

/* What senders and receivers have in common. */
struct gnt_end {
    gnatter_amqp *amqp;
    gnatter_amqp_session *session; /* NULL: its session has been freed */
    struct gnt_list in_session;
    struct gnt_amqp_link *engine;
    enum gnt_end_state state;
    bool sender;
    bool coordinates;      /* the target is a coordinator */
    bool refused;          /* the peer's attach had no terminus: detach comes */
    bool leaving;          /* the program has let go of it */
    bool *left;            /* set when it is gone; NULL: nobody waits for that */
    struct gnt_node *node; /* a peer's link: what it is attached to, counted; NULL: it is ours */
    enum gnatter_amqp_settle settle;
    char *name;
    char *address;         /* as the peer says; NULL: nothing yet */
    struct gnt_buf attach; /* the frame, encoded, that is said on each connection */
    int error;
    struct gnatter_amqp_error why;
    struct gnt_news attached_news, detached_news, left_news;
    gnatter_amqp_on_attached *on_attached;
    gnatter_amqp_on_detached *on_detached;
    void *context;
};

struct gnatter_amqp_sender {
    struct gnt_end end;
    struct gnt_list waiting; /* of gnt_sending: not sent, or the first of them in part */
    struct gnt_list flying;  /* sent, not settled */
    uint64_t tags;
    size_t count; /* of both, and of what is to be told */
    struct gnt_news wanted_news;
    char *reply_to; /* a peer's link: what requests name for an answer over it; NULL: nothing */
};

struct gnatter_amqp_receiver {
    struct gnt_end end;
    gnatter_amqp_on_message *on_message;
    struct gnt_list waiting; /* of gnatter_amqp_delivery.in_waiting: whole, not taken */
    struct gnatter_amqp_delivery *partial;
    size_t waiting_count;
    uint32_t held;   /* deliveries that have begun to come and have not ended */
    uint32_t target; /* automatic: of credit and `held` together */
    uint32_t left;   /* manual: credit that has not been used */
    bool manual;
    bool draining;
    bool drain_asked; /* of the peer, for this time */
};

/* What waits for an outcome. */
struct gnt_waiter {
    bool done;
    struct gnatter_amqp_outcome outcome;
    uint8_t declared[32]; /* the id of a transaction */
    size_t declared_size;
};

/* A message on its way. */
struct gnt_sending {
    struct gnt_list in_sender;
    struct gnt_news news;
    struct gnatter_amqp_sender *sender;
    struct gnt_amqp_delivery *delivery;           /* NULL: not begun on this connection */
    struct gnatter_amqp_transaction *transaction; /* NULL: none */
    gnatter_amqp_on_outcome *done;
    void *context;
    struct gnt_waiter *waiter; /* NULL: nobody waits, or not any more */

    /* The outcome, once there is one. */
    bool decided, delivery_failed, undeliverable_here;
    uint8_t outcome; /* enum gnatter_amqp_state */
    int error;
    struct gnatter_amqp_error *why; /* NULL: nothing was said */

    uint64_t tag;
    uint32_t references; /* its own, and those of the output queue */
    uint32_t format;
    size_t sent; /* bytes that the engine has taken */
    size_t size;
    uint8_t payload[];
};

struct gnatter_amqp_delivery {
    struct gnt_thread *thread;
    gnatter_amqp *amqp;              /* NULL: a guest that has gone */
    gnatter_amqp_receiver *receiver; /* NULL: it has been freed */
    struct gnt_list in_amqp;
    struct gnt_list in_waiting;
    struct gnt_news news;
    struct gnt_amqp_delivery *engine; /* NULL: it has ended there */
    bool settled;                     /* it came so */
    bool taken;                       /* the program has, or has had it */
    bool second;                      /* the sender settles first */
    gnatter_amqp_message *message;
    struct gnt_buf bytes; /* what has come, until it is whole */
    uint8_t tag_size;
    uint8_t tag[GNT_AMQP_TAG_MAX];
};

struct gnatter_amqp_transaction {
    gnatter_amqp_session *session;
    struct gnt_list in_session;
    bool lost;      /* the connection has ended */
    bool broken;    /* a part of it has failed: it is rolled back */
    size_t posting; /* messages whose outcome has not been told */
    uint8_t id_size;
    uint8_t id[32];
};

/* ---- client.c */

/* By any thread, with the lock: something was asked of it; _touch wants a connection for it if
 * nobody has said anything about that yet. */
void gnt_amqp_client_wake(gnatter_amqp *c);
void gnt_amqp_client_touch(gnatter_amqp *c);

GNT_MUST gnt_err gnt_amqp_client_new_session(gnatter_amqp *c, gnatter_amqp_session **out);
void gnt_amqp_client_free_session(gnatter_amqp_session *s); /* with its links */

void gnt_amqp_client_news(gnatter_amqp *c, struct gnt_news *news, enum gnt_news_kind kind);

/* An error of the peer's in *out, and of ENCODED (an error, or nothing). */
void gnt_amqp_client_keep_error(struct gnt_slice encoded, struct gnatter_amqp_error *out);
void gnt_amqp_client_keep_text(struct gnt_slice text, char *out, size_t cap);

/* ---- thread.c: the thread, and its part of the dialer's. */
void *gnt_amqp_client_run(void *client);
extern const struct gnt_dialer_ops gnt_amqp_client_dialing;
void gnt_amqp_client_tell(gnatter_amqp *c); /* all of its news */
uint64_t gnt_amqp_client_deadline(const gnatter_amqp *c);

/* ---- login.c: SASL, by the thread.  _answer lets go of the lock while it works. */
GNT_MUST gnt_err gnt_amqp_login_options(const struct gnatter_amqp_options *o,
                                        const struct gnt_link *l, uint32_t *mechanisms);
GNT_MUST gnt_err gnt_amqp_login_begin(gnatter_amqp *c);
GNT_MUST gnt_err gnt_amqp_login_event(gnatter_amqp *c, const struct gnt_amqp_event *event);

/* ---- event.c: what the engine says, by the thread; and the end of a connection for all that has
 * been on it. */
void gnt_amqp_client_event(gnatter_amqp *c, const struct gnt_amqp_event *event);
void gnt_amqp_client_detach_all(gnatter_amqp *c);

/* ---- end.c */

/* Fills E by LINK.  On failure E is to be freed by _fini. */
void gnt_end_zero(struct gnt_end *e, gnatter_amqp *c, bool sender);
GNT_MUST gnt_err gnt_end_init(struct gnt_end *e, gnatter_amqp *c,
                              const struct gnatter_amqp_link *link, bool sender);
void gnt_end_fini(struct gnt_end *e);

/* Says what there is to say: begin, attach, messages, credit.  A failure ends the connection. */
GNT_MUST gnt_err gnt_amqp_client_work(gnatter_amqp *c);

/* The peer has ended it: it is told, and what was to be sent has failed. */
void gnt_end_ended(struct gnt_end *e, struct gnt_slice error);

/* It has no link any more. */
void gnt_end_detached(struct gnt_end *e);

/* The program lets go of it; waits unless it is the thread that asks.  E is gone afterwards, or
 * will be. */
void gnt_end_leave(struct gnt_end *e);
void gnt_end_free(struct gnt_end *e); /* by the thread */

int gnt_end_ready(struct gnt_end *e, uint32_t timeout_ms);
void gnt_end_info(struct gnt_end *e, struct gnatter_amqp_link_info *out);

/* The connection's own session, or the one that is named. */
GNT_MUST gnt_err gnt_amqp_client_session(gnatter_amqp *c, gnatter_amqp_session **session);

static inline struct gnatter_amqp_sender *gnt_sender_of(struct gnt_end *e)
{
    return GNT_CONTAINER(e, struct gnatter_amqp_sender, end);
}

static inline struct gnatter_amqp_receiver *gnt_receiver_of(struct gnt_end *e)
{
    return GNT_CONTAINER(e, struct gnatter_amqp_receiver, end);
}

/* ---- sender.c */

void gnt_sender_init(gnatter_amqp_sender *s);
void gnt_sender_free(gnatter_amqp_sender *s); /* after gnt_end_fini */

GNT_MUST gnt_err gnt_sender_work(gnatter_amqp_sender *s);
void gnt_sender_detached(gnatter_amqp_sender *s);
void gnt_sender_outcome(struct gnt_sending *sending, const struct gnt_amqp_event *event);

/* All that has not been told yet fails with ERROR. */
void gnt_sender_fail_all(gnatter_amqp_sender *s, int error, const struct gnatter_amqp_error *why);
void gnt_sender_tell(gnatter_amqp *c, struct gnt_sending *sending);

/* T goes: what was posted in it and is not settled has failed. */
void gnt_sender_forget(gnatter_amqp_transaction *t);

/* What is sent, and how. */
struct gnt_send_request {
    gnatter_amqp_transaction *transaction;
    gnatter_amqp_on_outcome *done;
    void *context;
    struct gnt_waiter *waiter;
};

/* With the lock. */
GNT_MUST gnt_err gnt_sender_queue(gnatter_amqp_sender *s, const gnatter_amqp_message *m,
                                  const struct gnt_send_request *request, struct gnt_sending **out);
int gnt_sender_wait(gnatter_amqp_sender *s, struct gnt_sending *sending, struct gnt_waiter *w,
                    uint64_t deadline);

/* ---- receiver.c */

void gnt_receiver_work(gnatter_amqp_receiver *r);
void gnt_receiver_transfer(gnatter_amqp_receiver *r, const struct gnt_amqp_event *event);
void gnt_receiver_detached(gnatter_amqp_receiver *r);
void gnt_receiver_left(gnatter_amqp_receiver *r);
void gnt_receiver_tell(gnatter_amqp *c, gnatter_amqp_delivery *d);
void gnt_delivery_end(gnatter_amqp_delivery *d);

/* Settles D, or says an outcome of it, and ends it. */
int gnt_delivery_settle(gnatter_amqp_delivery *d, struct gnt_slice state);

/* ---- transaction.c */

GNT_MUST gnt_err gnt_transaction_state(const gnatter_amqp_transaction *t, struct gnt_slice outcome,
                                       struct gnt_buf *out);
void gnt_transactions_lost(gnatter_amqp_session *session);
void gnt_transaction_free(gnatter_amqp_transaction *t);

#endif
