/* An AMQP 1.0 client with a thread of its own that connects, keeps the connection, and connects
 * again.
 *
 *     struct gnatter_amqp_options options;
 *     gnatter_amqp *amqp;
 *     gnatter_amqp_sender *sender;
 *     gnatter_amqp_options_init(&options);
 *     options.url = "amqp://localhost";
 *     gnatter_amqp_new(&options, &amqp);
 *     gnatter_amqp_sender_new(amqp, &(struct gnatter_amqp_link){.address = "queue"}, &sender);
 *     gnatter_amqp_message *hello;
 *     gnatter_amqp_message_new(&hello);
 *     gnatter_amqp_add_data(hello, "hello", 5);
 *     int error = gnatter_amqp_send_wait(sender, hello, 5000, NULL);
 *     gnatter_amqp_message_free(hello);
 *     gnatter_amqp_free(amqp);
 *
 * A connection carries senders and receivers, each on a link to one address of the peer's.  It is
 * made when there is first something to do (or by gnatter_amqp_connect or _start).  From then on it
 * is kept: when it breaks it is made again, after a while that doubles with each failure, all links
 * are attached again, and what was sent and not settled is sent again.  So a message whose outcome
 * was lost with a connection may arrive twice, and none is lost.  After gnatter_amqp_close,
 * or a refusal that will not go away by itself (not authorised, a certificate that is expired or
 * another host's, ...) it stays down until it is told to connect again.
 *
 * Ownership  each _new() to its _free(); gnatter_amqp_free() frees what is left of a connection's
 *            links, sessions, deliveries and transactions, too.  What you pass in is copied before
 *            the call returns; what a callback gets is lent until it returns, but for a delivery.
 * Threads    any function from any thread.  Callbacks run one at a time on the connection's own
 *            thread.  The functions that wait (they have a timeout_ms) return GNATTER_ESTATE when
 *            called from a callback, as they would wait for themselves; gnatter_amqp_free may not
 *            be called from one.  No callback of a sender or receiver is called after its _free
 *            has returned; but where that is called in a callback, what there is to tell about it
 *            is told right after that one.
 * Many       connections of one process share nothing.
 * Memory     bounded: what is sent by queue_messages and queue_bytes, what is received by the
 *            receiver's credit (and up to 1,000 messages more, as there are peers that lose count
 *            of it) and message_max.
 * Units      milliseconds (_ms), bytes.
 * Errors     0 or a negative GNATTER_E*; a call that fails has changed nothing. */
#ifndef GNATTER_AMQP_H
#define GNATTER_AMQP_H

#include <gnatter/amqp_types.h>
#include <gnatter/tls.h>
#include <gnatter/transport.h>

GNATTER_BEGIN

typedef struct gnatter_amqp gnatter_amqp;                 /* a connection, or the wish for one */
typedef struct gnatter_amqp_session gnatter_amqp_session; /* shares the connection's window */
typedef struct gnatter_amqp_sender gnatter_amqp_sender;
typedef struct gnatter_amqp_receiver gnatter_amqp_receiver;
typedef struct gnatter_amqp_delivery gnatter_amqp_delivery; /* a message that has been received */
typedef struct gnatter_amqp_transaction gnatter_amqp_transaction;

/* What a peer says is wrong [AMQP 2.8.14]; both "" if it has said nothing, and cut if longer. */
struct gnatter_amqp_error {
    char condition[96];    /* "amqp:not-found" */
    char description[256]; /* in its words */
};

/* ---- Callbacks */

/* error is
 *   0                  gnatter_amqp_close or _free
 *   GNATTER_EREFUSED   nobody listens there; or the peer's close says why, or TLS or WebSocket in
 *                      words of ours
 *   GNATTER_EDENIED    the user or the password is not the right one, or no mechanism is in common
 *                      that may be used; the peer could not prove that it knows the user, or its
 *                      certificate is not good enough
 *   GNATTER_ECLOSED    the peer ended it, with an error in `why` or without
 *   GNATTER_ERESOLVE   host name not found
 *   GNATTER_ETIMEOUT   no connection in time, or the peer was silent for too long
 *   GNATTER_EINVALID   the files that TLS takes cannot be read, or do not go together
 *   GNATTER_EUNSUPPORTED  the peer speaks another protocol, or wants SASL where there is none
 *   GNATTER_EIO        the transport broke
 *   GNATTER_EMALFORMED, GNATTER_EPROTOCOL, GNATTER_ETOOBIG   the peer broke the protocol
 *   GNATTER_ENOMEM     out of memory; no message is lost by it */
struct gnatter_amqp_disconnected {
    int error;
    struct gnatter_amqp_error why; /* of ours the condition is "" and the description says it */
    bool was_connected;            /* else an attempt has failed */
    bool will_reconnect;           /* and when: */
    uint32_t retry_in_ms;
};

typedef void gnatter_amqp_on_connected(gnatter_amqp *amqp, void *context);
typedef void gnatter_amqp_on_disconnected(gnatter_amqp *amqp,
                                          const struct gnatter_amqp_disconnected *disconnected,
                                          void *context);

enum gnatter_amqp_state {
    GNATTER_AMQP_NO_STATE, /* it was sent settled, or has no outcome: see error */
    GNATTER_AMQP_ACCEPTED,
    GNATTER_AMQP_REJECTED, /* it is invalid: why says more */
    GNATTER_AMQP_RELEASED, /* it was not, and will not be processed there */
    GNATTER_AMQP_MODIFIED  /* the same, and: */
};

/* How sending ended.  error is
 *   0                  accepted; sent settled: handed to the transport
 *   GNATTER_EREFUSED   another outcome, which state says; without one: the peer has refused or
 *                      closed the link, or the session, or the message: why
 *   GNATTER_ETOOBIG    over what the peer takes
 *   GNATTER_ECLOSED    the sender was freed; or it was part of a transaction that is lost */
struct gnatter_amqp_outcome {
    int error;
    enum gnatter_amqp_state state;
    struct gnatter_amqp_error why;
    bool delivery_failed, undeliverable_here; /* of MODIFIED */
};

/* Each message sent ends in exactly one call. */
typedef void gnatter_amqp_on_outcome(gnatter_amqp_sender *sender,
                                     const struct gnatter_amqp_outcome *outcome, void *context);

/* DELIVERY is yours: see there. */
typedef void gnatter_amqp_on_message(gnatter_amqp_receiver *receiver,
                                     gnatter_amqp_delivery *delivery, void *context);

/* ---- Connection: the values in brackets are gnatter_amqp_options_init's */

struct gnatter_amqp_options {
    size_t size; /* of this struct, set by gnatter_amqp_options_init: leave it */

    /* "amqp://HOST:PORT" (5672 unless it is named), "amqps://" (5671) by TLS, "ws://HOST:PORT/PATH"
     * (80, /amqp) and "wss://" (443) over WebSocket, or "unix:///PATH" ("amqp+unix" is the same).
     * USER:PASSWORD@ may stand in front of HOST, with %XX for what is special in a URL.
     * ["amqp://localhost"] */
    const char *url;

    /* Who one is.  Without a user: nobody (ANONYMOUS), or whom the certificate or the socket names
     * (EXTERNAL). [NULL: the URL's] */
    const char *user, *password;

    /* The SASL mechanism that has to be used: "EXTERNAL", "SCRAM-SHA-512", "SCRAM-SHA-256",
     * "PLAIN" or "ANONYMOUS"; or "none": no SASL at all. [NULL: the best that the peer offers] */
    const char *mechanism;

    /* PLAIN says the password as it is: it is used over TLS, to this machine, and: [false] */
    bool allow_plain;

    const char *container_id; /* how this client is called [NULL: a random name] */
    const char *hostname;     /* whom it wants to speak to at the peer's [NULL: the URL's host] */

    struct gnatter_tls_options tls;     /* for amqps and wss */
    struct gnatter_transport transport; /* [TCP: all NULL] */

    uint32_t max_frame_size;     /* of what the peer may send, 512 or more [64 KiB] */
    uint32_t idle_timeout_ms;    /* a peer that is silent for so long is gone [60,000; 0: never] */
    uint32_t connect_timeout_ms; /* until both have said open [30,000] */

    /* Messages that were sent and are not settled, with or without a connection.  At a bound,
     * sending is refused with GNATTER_EFULL. */
    size_t queue_messages; /* [10,000] */
    size_t queue_bytes;    /* [64 MiB] */

    uint64_t message_max; /* a larger message that is received ends its link [64 MiB] */

    bool no_reconnect;         /* [false] */
    bool reconnect_on_refusal; /* also after refusals that will not go away by themselves [false] */
    uint32_t reconnect_min_ms; /* the first wait; it doubles [1,000] */
    uint32_t
        reconnect_max_ms; /* up to this; a wait is shortened at random by up to half [60,000] */

    gnatter_amqp_on_connected *on_connected; /* these may be NULL */
    gnatter_amqp_on_disconnected *on_disconnected;
    gnatter_on_trace *on_trace;
    void *context; /* handed to these three */
};

#define gnatter_amqp_options_init(options) \
    gnatter_amqp_options_init_size((options), sizeof *(options))
GNATTER_API void gnatter_amqp_options_init_size(struct gnatter_amqp_options *options, size_t size);

/* GNATTER_EINVALID: an option that cannot be.  GNATTER_EUNSUPPORTED: another mechanism. */
GNATTER_API int gnatter_amqp_new(const struct gnatter_amqp_options *options, gnatter_amqp **out);

/* Closes at once (see gnatter_amqp_close for the patient way), ends what is outstanding with
 * GNATTER_ECLOSED (callbacks are called), frees all that belongs to it, and waits for its thread.
 * Nobody may be in a function of this connection.  NULL is fine. */
GNATTER_API void gnatter_amqp_free(gnatter_amqp *amqp);

/* Connects, and waits at most TIMEOUT_MS for it: one attempt.  If that fails (the errors are
 * on_disconnected's) it stays disconnected.  0 at once if it is connected. */
GNATTER_API int gnatter_amqp_connect(gnatter_amqp *amqp, uint32_t timeout_ms);

/* Connects without waiting, and tries again for as long as it takes. */
GNATTER_API int gnatter_amqp_start(gnatter_amqp *amqp);

/* Waits until what was sent is settled, then closes.  GNATTER_ETIMEOUT: some was not, within
 * TIMEOUT_MS; it is closed all the same and they stay in the queue, as the links stay. */
GNATTER_API int gnatter_amqp_close(gnatter_amqp *amqp, uint32_t timeout_ms);

struct gnatter_amqp_info {
    bool connected;
    int error;                     /* of the last connection or attempt: see on_disconnected */
    struct gnatter_amqp_error why; /* likewise */
    char container_id[128];        /* this client's */
    char peer_container_id[128];   /* cut if longer */
    char mechanism[32];            /* of SASL; "": none */
    uint32_t peer_max_frame_size;
    size_t queued_messages, queued_bytes; /* sent and not settled */
    uint64_t connections;                 /* that succeeded, ever */
};
GNATTER_API void gnatter_amqp_get_info(gnatter_amqp *amqp, struct gnatter_amqp_info *out);

/* ---- Sessions: links of one session share its order and its flow.  A connection has one by
 * itself, so most programs need none. */
GNATTER_API int gnatter_amqp_session_new(gnatter_amqp *amqp, gnatter_amqp_session **out);

/* After its links and transactions.  NULL is fine. */
GNATTER_API void gnatter_amqp_session_free(gnatter_amqp_session *session);

/* ---- Links: what senders and receivers have in common.  All but the address may be left zero. */

/* When a delivery is forgotten [AMQP 2.8.2, 2.8.3]. */
enum gnatter_amqp_settle {
    GNATTER_AMQP_UNSETTLED, /* its outcome is told; then the receiver forgets it at once: once or
                               more often */
    GNATTER_AMQP_SETTLED,   /* at once, its outcome is not told: once or never */
    GNATTER_AMQP_SECOND     /* as UNSETTLED, but the receiver forgets when the sender has */
};

/* It is attached, perhaps again; ADDRESS is what the peer says it goes to or comes from. */
typedef void gnatter_amqp_on_attached(const char *address, void *context);

/* The peer has refused or ended it, for good: nothing is sent or received any more, and it is to be
 * freed.  ERROR is GNATTER_EREFUSED. */
typedef void gnatter_amqp_on_detached(int error, const struct gnatter_amqp_error *why,
                                      void *context);

struct gnatter_amqp_link {
    const char *address;           /* at the peer's; a sender's NULL: each message's own `to` */
    const char *name;              /* of the link [NULL: a random one] */
    gnatter_amqp_session *session; /* [NULL: the connection's own] */
    enum gnatter_amqp_settle settle;
    bool dynamic; /* a receiver: a new address, which the peer makes and which lasts as long as
                     the connection: for replies */

    /* A receiver. */
    uint32_t credit; /* messages that may be on their way, waiting or unsettled [0: 100] */
    bool manual;     /* none comes but by gnatter_amqp_receiver_credit */
    bool browse;     /* look at messages without taking them */
    bool durable;    /* what comes while it is away is kept for it: a subscription; needs a name.
                        gnatter's broker keeps nothing for it: a queue that binds the topic does */
    bool no_local;   /* not what this connection has sent itself; gnatter's broker knows that */
    const char *selector;                     /* SQL: "colour = 'red' AND size > 3" [NULL: all] */
    const struct gnatter_amqp_value *filters; /* other ones: a MAP [NULL: none] */

    const char *const *capabilities; /* that the node has to have: "queue", "topic" [none] */
    size_t capability_count;
    const struct gnatter_amqp_value *properties; /* of the link: a MAP [NULL: none] */

    gnatter_amqp_on_message *on_message;   /* a receiver [NULL: gnatter_amqp_receive] */
    gnatter_amqp_on_attached *on_attached; /* these may be NULL */
    gnatter_amqp_on_detached *on_detached;
    void *context; /* handed to these three */
};

struct gnatter_amqp_link_info {
    bool attached;
    int error;                     /* once it has ended: see on_detached */
    struct gnatter_amqp_error why; /* likewise */
    char address[512];             /* as the peer says; "" while it is not attached */
    uint64_t message_max;          /* a sender: that the peer takes; 0: any */
    uint32_t credit;               /* a sender: messages that the peer takes now; a receiver: that
                                      may still come */
    size_t waiting;                /* a sender: not settled; a receiver: not taken */
};

/* ---- Senders */

/* GNATTER_EINVALID: an option that cannot be.  GNATTER_EEXISTS: the session has a sender of that
 * name.  It is attached as soon as there is a connection; a refusal is told by on_detached and to
 * who sends. */
GNATTER_API int gnatter_amqp_sender_new(gnatter_amqp *amqp, const struct gnatter_amqp_link *link,
                                        gnatter_amqp_sender **out);

/* Closes the link.  What is not settled ends with GNATTER_ECLOSED (callbacks are called).  NULL is
 * fine. */
GNATTER_API void gnatter_amqp_sender_free(gnatter_amqp_sender *sender);

/* Waits until it is attached; the peer's refusal is GNATTER_EREFUSED, and _get_info says why. */
GNATTER_API int gnatter_amqp_sender_ready(gnatter_amqp_sender *sender, uint32_t timeout_ms);
GNATTER_API void gnatter_amqp_sender_get_info(gnatter_amqp_sender *sender,
                                              struct gnatter_amqp_link_info *out);

/* Sends M, or what it is now: it may be changed, sent again or freed afterwards.  It waits in the
 * queue until there is a connection and the peer gives credit.  DONE (may be NULL) is called with
 * CONTEXT when it is settled.
 *   GNATTER_EFULL     the queue
 *   GNATTER_EREFUSED  the link has been ended by the peer
 *   GNATTER_EINVALID  M is empty, or has remembered a failure; GNATTER_ENOMEM */
GNATTER_API int gnatter_amqp_send(gnatter_amqp_sender *sender, const gnatter_amqp_message *m,
                                  gnatter_amqp_on_outcome *done, void *context);

/* The same, waiting for the outcome, which comes in *outcome (may be NULL), and whose error is what
 * it returns.  GNATTER_ETIMEOUT: no outcome yet; the message stays and may arrive later.  While the
 * connection is down for good it returns at once what it went down with. */
GNATTER_API int gnatter_amqp_send_wait(gnatter_amqp_sender *sender, const gnatter_amqp_message *m,
                                       uint32_t timeout_ms, struct gnatter_amqp_outcome *outcome);

/* Waits until all that was sent is settled. */
GNATTER_API int gnatter_amqp_sender_flush(gnatter_amqp_sender *sender, uint32_t timeout_ms);

/* ---- Receivers */

GNATTER_API int gnatter_amqp_receiver_new(gnatter_amqp *amqp, const struct gnatter_amqp_link *link,
                                          gnatter_amqp_receiver **out);

/* Closes the link.  Deliveries of it that you still have stay readable; the peer does with them
 * what it does with what was not settled.  NULL is fine. */
GNATTER_API void gnatter_amqp_receiver_free(gnatter_amqp_receiver *receiver);

/* As of senders; of a dynamic one _get_info has the address then. */
GNATTER_API int gnatter_amqp_receiver_ready(gnatter_amqp_receiver *receiver, uint32_t timeout_ms);
GNATTER_API void gnatter_amqp_receiver_get_info(gnatter_amqp_receiver *receiver,
                                                struct gnatter_amqp_link_info *out);

/* The next message.  GNATTER_ETIMEOUT: none came; with 0: none is there now.  GNATTER_EREFUSED: the
 * peer has ended the link.  GNATTER_EINVALID: messages go to on_message. */
GNATTER_API int gnatter_amqp_receive(gnatter_amqp_receiver *receiver, uint32_t timeout_ms,
                                     gnatter_amqp_delivery **out);

/* Of a manual one: so many more may come.  Of another one: what `credit` is from now on, 0 to come
 * to rest. */
GNATTER_API int gnatter_amqp_receiver_credit(gnatter_amqp_receiver *receiver, uint32_t credit);

/* The peer is to send what it has now, as far as the credit goes, and to forget the rest of the
 * credit; waits until it has said that it did.  After that nothing comes until _credit is called.
 * What came may be waiting for gnatter_amqp_receive. */
GNATTER_API int gnatter_amqp_receiver_drain(gnatter_amqp_receiver *receiver, uint32_t timeout_ms);

/* ---- Deliveries.  Each is yours from when you get it, and ends in exactly one call of one of
 * these six functions, by any thread; after that it and its message are gone.  They return
 *   GNATTER_ECLOSED  the connection or the link that it came over has ended, and the peer is not
 *                    told: it will deliver it again
 *   GNATTER_ENOMEM   the peer was not told
 * and in both cases the delivery has ended nevertheless.  Of what came settled it is all the same.
 */
GNATTER_API int gnatter_amqp_accept(gnatter_amqp_delivery *delivery);

/* It was not processed, and may be by somebody else. */
GNATTER_API int gnatter_amqp_release(gnatter_amqp_delivery *delivery);

/* It is invalid, for good; DESCRIPTION in words for people.  Both may be NULL. */
GNATTER_API int gnatter_amqp_reject(gnatter_amqp_delivery *delivery, const char *condition,
                                    const char *description);

/* As release, and: FAILED counts it as a delivery that failed, UNDELIVERABLE_HERE lets it not come
 * here again, and ANNOTATIONS (a MAP; NULL: none) go into its message annotations. */
GNATTER_API int gnatter_amqp_modify(gnatter_amqp_delivery *delivery, bool failed,
                                    bool undeliverable_here,
                                    const struct gnatter_amqp_value *annotations);

/* Accepts it as part of a transaction: it is so when that is discharged well. */
GNATTER_API int gnatter_amqp_retire(gnatter_amqp_delivery *delivery,
                                    gnatter_amqp_transaction *transaction);

/* Without an outcome: it stays unsettled, and is the peer's affair when the link ends.  NULL is
 * fine. */
GNATTER_API void gnatter_amqp_delivery_free(gnatter_amqp_delivery *delivery);

/* Its message, which is lent as long as the delivery, and may be changed.  NULL never. */
GNATTER_API gnatter_amqp_message *gnatter_amqp_delivery_message(gnatter_amqp_delivery *delivery);

struct gnatter_amqp_delivery_info {
    gnatter_amqp_receiver *receiver; /* NULL: it has been freed */
    struct gnatter_bytes tag;        /* by which the peer knows it; lent as long as the delivery */
    bool settled;                    /* it came so */
};
GNATTER_API void gnatter_amqp_delivery_get_info(gnatter_amqp_delivery *delivery,
                                                struct gnatter_amqp_delivery_info *out);

/* ---- Transactions [AMQP 4]: what is posted and retired in one happens as a whole or not at all.
 * They live on one connection: when that ends they are rolled back, which _discharge tells with
 * GNATTER_ECLOSED.  gnatter's broker has them for any of its queues; a container has none. */

/* SESSION may be NULL: the connection's own.  GNATTER_EREFUSED: the peer does not do that; *why
 * (may be NULL) says more. */
GNATTER_API int gnatter_amqp_declare(gnatter_amqp *amqp, gnatter_amqp_session *session,
                                     uint32_t timeout_ms, gnatter_amqp_transaction **out,
                                     struct gnatter_amqp_error *why);

/* Sends M as part of a transaction: see gnatter_amqp_send.  Its outcome holds when the transaction
 * is discharged well.  GNATTER_ECLOSED: the transaction is lost.  GNATTER_EINVALID: SENDER is of
 * another session than the transaction. */
GNATTER_API int gnatter_amqp_post(gnatter_amqp_transaction *transaction,
                                  gnatter_amqp_sender *sender, const gnatter_amqp_message *m,
                                  gnatter_amqp_on_outcome *done, void *context);

/* Ends it: with ROLL_BACK nothing of it has happened, else all of it.  It waits until what was
 * posted has its outcome; what has none in time, as a full queue gives no credit, makes it a
 * roll-back.  GNATTER_EREFUSED: nothing of it has happened, *why (may be NULL) says why.
 * GNATTER_ETIMEOUT: it is rolled back for that, or it is not known.  The transaction has ended for
 * this side in any case, and is freed. */
GNATTER_API int gnatter_amqp_discharge(gnatter_amqp_transaction *transaction, bool roll_back,
                                       uint32_t timeout_ms, struct gnatter_amqp_error *why);

GNATTER_END

#endif
