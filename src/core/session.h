/* MQTT sessions: subscriptions, what is queued and in flight towards the client, which exactly-once
 * messages have come from it, its will.  A session lives at its home; everything here is called on
 * that home's thread.
 *
 * While its client is connected a session has a receiver, which a front lends it; in between it
 * keeps what it is due until it expires.  The state of the protocol proper (codes, aliases, keep
 * alive) is the front's and its engine's. */
#ifndef GNT_CORE_SESSION_H
#define GNT_CORE_SESSION_H

#include "core/home.h"
#include "model/delivery.h"
#include "model/outcome.h"

struct gnt_ledger;
struct gnt_receiver;
struct gnt_rights;

/* A client's connection, as the core sees it.  None of these may call back into the core. */
struct gnt_receiver_ops {
    /* Whether it can take a delivery now.  If not, gnt_session_ready() follows when it can. */
    bool (*ready)(struct gnt_receiver *r);
    /* Sends it; what DELIVERY holds is lent.  GNT_TOOBIG: the client does not take packets of that
     * size [MQTT-3.1.2-24]; GNT_NOMEM: a QoS 0 delivery is dropped, for another one the core closes
     * the connection soon and sends it again on the next. */
    gnt_err (*deliver)(struct gnt_receiver *r, const struct gnt_delivery *delivery);
    /* Sends the release of an exactly-once delivery again, after a reconnect; GNT_NOMEM: likewise.
     */
    gnt_err (*release)(struct gnt_receiver *r, uint16_t id);
    /* The core has let go of it and will not call it again; the front closes the connection. */
    void (*closed)(struct gnt_receiver *r, enum gnt_close_reason why);
};

struct gnt_receiver {
    const struct gnt_receiver_ops *ops;
};

struct gnt_session;

#define GNT_EXPIRY_NEVER UINT32_MAX /* seconds [MQTT5 3.1.2.11.2] */

struct gnt_session_open {
    struct gnt_slice client_id; /* not empty, at most UINT16_MAX bytes */
    struct gnt_slice user;      /* empty: anonymous; at most UINT16_MAX bytes */
    struct gnt_rights *rights;  /* what it may (auth/rights.h): a reference that the session takes
                                   (NULL afterwards), NULL: everything */
    bool clean_start;
    uint32_t expiry_s;        /* 0: the session ends with the connection */
    uint16_t receive_max;     /* unsettled deliveries that the client takes, at least 1 */
    struct gnt_message *will; /* a reference that the session takes (NULL afterwards), NULL: none;
                                 its publisher is filled in, its life begins when it is published */
    uint32_t will_delay_s;
    uint32_t will_expiry_s; /* GNT_EXPIRY_NEVER: it does not expire */
};

/* Connects RECEIVER to the session of this client, a new one where there is none or clean_start
 * says so; a receiver that the session has is closed (taken over).  A session that goes on has the
 * new user and rights.  *present: whether the session was there [MQTT5 3.2.2.1.1].  Nothing is
 * delivered before gnt_session_resume, so that the answer to CONNECT comes first.  GNT_NOMEM, or
 * GNT_FULL where there are as many sessions as may be: the old session, if any, may be gone,
 * nothing else.  GNT_IO: it would be a new session that has to be kept, and the store takes nothing
 * now; nothing has happened. */
GNT_MUST gnt_err gnt_session_open(struct gnt_home *home, struct gnt_session_open *request,
                                  struct gnt_receiver *receiver, struct gnt_session **out,
                                  bool *present);

/* Whether the session of this client has a receiver, which _open would close. */
bool gnt_session_connected(const struct gnt_home *home, struct gnt_slice client_id);

/* Sends again what was in flight, then what is queued. */
void gnt_session_resume(struct gnt_session *s);

enum gnt_parting {
    GNT_PARTING_CLEAN,     /* the will is dropped [MQTT-3.1.2-8] */
    GNT_PARTING_WITH_WILL, /* the connection broke, or DISCONNECT asked for it */
};

/* The connection is over: RECEIVER is let go without being called.  EXPIRY_S as in _open, in case
 * DISCONNECT has changed it.  The session may be freed. */
void gnt_session_close(struct gnt_session *s, enum gnt_parting how, uint32_t expiry_s);

uint64_t gnt_session_sink(const struct gnt_session *s);

/* What its client may do, lent until the list changes (gnt_home_take_access) or it connects again;
 * NULL: everything.  And who that is; empty: anonymous. */
struct gnt_rights *gnt_session_rights(const struct gnt_session *s);
struct gnt_slice gnt_session_user(const struct gnt_session *s);

/* Whether it outlives the process, and its client is to be told nothing about it before that is
 * safe (core/keep.h). */
bool gnt_session_is_kept(const struct gnt_session *s);

/* Whether there is such a session of the client with this id. */
bool gnt_session_kept_of(const struct gnt_home *home, struct gnt_slice client_id);
uint32_t gnt_session_expiry(const struct gnt_session *s);

/* What became of its deliveries (core/ledger.h); NULL: there were none. */
const struct gnt_ledger *gnt_session_ledger(const struct gnt_session *s);

/* How many deliveries its client has been sent on this connection and has not settled. */
uint32_t gnt_session_unsettled(const struct gnt_session *s);

/* ---- Subscriptions */

/* One filter of a SUBSCRIBE that may be answered later, because a shared group lives at another
 * home. It lives until `done` has been called, once, on the session's thread, or gnt_session_close.
 */
struct gnt_subscribing {
    void (*done)(struct gnt_subscribing *request, enum gnt_outcome outcome);
};

enum gnt_retain_handling { GNT_RETAIN_SEND, GNT_RETAIN_SEND_IF_NEW, GNT_RETAIN_DO_NOT_SEND };

/* Subscribes to FILTER, "$share/..." included; FILTER and OPTIONS are copied.  True: *outcome says
 * what came of it.  False: request->done() will.
 *
 * Where its client may be given nothing of what FILTER matches, or may not ask for it, it is
 * GNT_NOT_ALLOWED.  Where it may be given some of it only, it is granted, and what comes for it is
 * looked at: what it may not be given never was this session's.
 *
 * "$queue/NAME" is that queue, whose messages come to it at QoS 1 at most, as long as its client is
 * connected; it has no wildcards, and cannot be shared. */
bool gnt_session_subscribe(struct gnt_session *s, struct gnt_slice filter,
                           const struct gnt_sub_options *options, enum gnt_retain_handling retained,
                           struct gnt_subscribing *request, enum gnt_outcome *outcome);

enum gnt_outcome gnt_session_unsubscribe(struct gnt_session *s, struct gnt_slice filter);

/* ---- From the client */

/* An exactly-once message with this id: GNT_OK the first time, GNT_EXISTS if it came before and
 * must only be acknowledged again.  GNT_NOMEM; GNT_IO: that it came has to be kept, and the store
 * takes nothing now. */
GNT_MUST gnt_err gnt_session_receive_once(struct gnt_session *s, uint16_t id);

/* The same for what is not written along with that it came, but later and maybe elsewhere (to a
 * queue, core/enqueue.h): after a crash it counts as new until _has_received says that it is safe,
 * or the broker would know its id and not have it.  SINK is the session's, which may be gone. */
GNT_MUST gnt_err gnt_session_receive_unsafe(struct gnt_session *s, uint16_t id);
void gnt_session_has_received(struct gnt_home *home, uint64_t sink, uint16_t id);

/* PUBREL: the id is forgotten.  GNT_NOTFOUND: it was not known; GNT_NOMEM: it is still. */
GNT_MUST gnt_err gnt_session_released(struct gnt_session *s, uint16_t id);

/* What arrived with this id went wrong later: it counts as new if it comes again.  SINK is the
 * session's, which may be gone. */
void gnt_session_not_received(struct gnt_home *home, uint64_t sink, uint16_t id);

/* How many exactly-once messages wait for their PUBREL. */
uint32_t gnt_session_unreleased(const struct gnt_session *s);

/* ---- Settling what was delivered; each may lead to further deliveries. */

/* That a client turns a message down matters to the queue that it comes from. */
struct gnt_refusal {
    bool again; /* it may be delivered again, and this delivery has failed; else it is a dead letter
                 */
    struct gnt_slice reason, description;
};

/* PUBACK, with a REFUSAL or NULL, and PUBCOMP.  False: no delivery with this id waits for that. */
bool gnt_session_acknowledged(struct gnt_session *s, uint16_t id,
                              const struct gnt_refusal *refusal);
bool gnt_session_completed(struct gnt_session *s, uint16_t id);

/* The same for PUBREC: GNT_OK (PUBREL may be sent, again if need be), GNT_NOTFOUND, GNT_NOMEM. */
GNT_MUST gnt_err gnt_session_received(struct gnt_session *s, uint16_t id, bool refused);

/* The receiver can take deliveries again. */
void gnt_session_ready(struct gnt_session *s);

#endif
