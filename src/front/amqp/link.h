/* Our ends of links, for the files of this room only: a target that takes messages, or a source
 * that gives them.
 *
 * What the core is asked for comes back later (core/queue.h), so a terminus lives on without its
 * link and its peer until the core owes it nothing any more. */
#ifndef GNT_FRONT_AMQP_LINK_H
#define GNT_FRONT_AMQP_LINK_H

#include "amqp/engine/link.h"
#include "auth/rights.h"
#include "core/queue.h"
#include "model/address.h"
#include "front/amqp/peer.h"
#include "front/amqp/select.h"
#include "front/amqp/suspended.h"

struct gnt_terminus;
struct gnt_wanted;

/* Who waits until a terminus that was suspended has been woken. */
struct gnt_waking {
    void (*done)(struct gnt_home *home, struct gnt_waking *waking);
};

/* What a kind of terminus does about the events of its link; NULL: nothing. */
struct gnt_terminus_kind {
    void (*flow)(struct gnt_terminus *t);
    void (*transfer)(struct gnt_terminus *t, const struct gnt_amqp_event *event);
    void (*disposition)(struct gnt_terminus *t, const struct gnt_amqp_event *event);
    /* The peer's output has room again, for which gnt_terminus_wait has waited. */
    void (*go_on)(struct gnt_terminus *t);
    /* The link is over; its deliveries are gone, or about to go.  FAILED: it was not meant to end.
     * Has the core give back what it has. */
    void (*leave)(struct gnt_terminus *t, bool failed);
    /* How many deliveries outlive the link if it is only detached; NULL: none do. */
    uint32_t (*keeps)(const struct gnt_terminus *t);
    /* The peer has detached it, and may still settle what it has on its session (t->resting). */
    void (*rest)(struct gnt_terminus *t);
    /* As leave, but what it keeps is to be taken up again: it may have a claim on the core, but is
     * owed nothing in the end. */
    void (*suspend)(struct gnt_terminus *t, bool failed);
    /* It has been suspended, and its front's home is another one maybe: makes it ready for a link
     * that is WANTED, and calls WAKING's `done`, now or later.  GNT_INVALID, GNT_NOMEM: it is as
     * before.
     */
    gnt_err (*wake)(struct gnt_terminus *t, struct gnt_wanted *wanted, struct gnt_waking *waking);
    /* RESUME of a delivery that it had kept. */
    void (*resumed)(struct gnt_terminus *t, const struct gnt_amqp_event *event);
    /* It was suspended, and its time is over: gives back what it has kept. */
    void (*expire)(struct gnt_terminus *t);
    /* What its peer may do may have changed. */
    void (*review)(struct gnt_terminus *t);
    /* Nobody has it any more: frees it. */
    void (*free)(struct gnt_terminus *t);
};

struct gnt_terminus {
    const struct gnt_terminus_kind *kind;
    struct gnt_amqp_front *front;
    struct gnt_amqp_peer *peer; /* NULL: the link is over, */
    struct gnt_amqp_link *link; /* and this is NULL as well */
    struct gnt_list in_peer;    /* in peer->termini */
    struct gnt_list waiting;    /* in peer->waiting */
    struct gnt_slice node;      /* what it is of, by name: its kind's, who has `keeps` */
    uint32_t owed;              /* answers that the core owes it */
    struct gnt_life life;
    struct gnt_suspended *away; /* it is suspended, or was and is about to be a link's; else NULL */
    bool resting;               /* the link is only there for its deliveries */
    char *dynamic;              /* the name of a queue that was made for the link; NULL: none */
    char *asked;                /* of one for which the peer's rights were asked; NULL: none */
    uint32_t reviewed;          /* in which round of front->review they were */
};

/* What was asked for, when it is known what it is; lent. */
struct gnt_wanted {
    uint64_t own; /* of what is woken: gnt_amqp_peer_publisher of who wakes it */
    struct gnt_amqp_link *link;
    struct gnt_slice source_bytes, target_bytes; /* as they came; empty: it did not */
    struct gnt_amqp_source source;
    struct gnt_amqp_target target;
    uint8_t snd_settle_mode, rcv_settle_mode;
    struct gnt_slice name;                      /* the topic, or topic filter */
    const struct gnt_queue_facts *facts;        /* of a queue; NULL: it is none */
    struct gnt_slice queue;                     /* its name */
    struct gnt_life life;                       /* of our terminus, as it is told */
    struct gnt_terminus *resumed;               /* that was suspended, and woken; NULL: none */
    const struct gnt_amqp_unsettled *unsettled; /* its deliveries */
    size_t unsettled_count;
    bool coordinator;         /* of transactions */
    char why[GNT_SELECT_WHY]; /* of GNT_INVALID: what is wrong with the filter */
};

/* ---- link.c */

void gnt_link_on_event(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event);

/* All links of P are over. */
void gnt_links_drop(struct gnt_amqp_peer *p, bool failed);

/* P's output has room. */
void gnt_links_go_on(struct gnt_amqp_peer *p);

/* T, zeroed but for what its kind has filled in, is the terminus of LINK from now on. */
void gnt_terminus_init(struct gnt_terminus *t, const struct gnt_terminus_kind *kind,
                       struct gnt_amqp_peer *p, struct gnt_amqp_link *link);

/* Its kind's go_on is called when the peer's output has room. */
void gnt_terminus_wait(struct gnt_terminus *t);

/* The core owes it one answer more, and one less; with the last one it may be gone. */
void gnt_terminus_owe(struct gnt_terminus *t);
void gnt_terminus_paid(struct gnt_terminus *t);

/* T was suspended, and its time is over. */
void gnt_terminus_expire(struct gnt_terminus *t);

/* T, which was claimed and maybe woken, is suspended again; unless its front ends. */
void gnt_terminus_put_back(struct gnt_terminus *t);

/* T is not suspended any more, as its front ends: it is gone when the core owes it nothing. */
void gnt_terminus_forget(struct gnt_terminus *t);

/* P attaches a link of this NAME and role again: what rests of it is suspended. */
void gnt_links_yield(struct gnt_amqp_peer *p, struct gnt_slice name, bool sender);

/* What finds the terminus of a link again that is NODE's. */
struct gnt_suspended_key gnt_terminus_key(const struct gnt_amqp_peer *p,
                                          const struct gnt_amqp_link *link, struct gnt_slice node);

/* The link is over for CONDITION, which the peer is told. */
void gnt_terminus_end(struct gnt_terminus *t, enum gnt_amqp_condition condition, const char *text);

/* An error for the peer, and its encoding as a `rejected` in BYTES. */
struct gnt_amqp_error gnt_link_error(enum gnt_amqp_condition condition, const char *text);
enum { GNT_LINK_STATE_SIZE = 256 };
struct gnt_slice gnt_link_rejected(enum gnt_amqp_condition condition, const char *text,
                                   uint8_t bytes[GNT_LINK_STATE_SIZE]);

/* ---- attach.c, answer.c */

/* ATTACH of the peer's. */
void gnt_attach(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event);

/* The answer that says no. */
void gnt_attach_refuse(struct gnt_amqp_peer *p, struct gnt_amqp_link *link,
                       enum gnt_amqp_condition condition, const char *text);

/* The answer that says yes.  FILTER is the map of those filters of a source that are in force,
 * encoded; empty: none.  As gnt_amqp_link_answer. */
GNT_MUST gnt_err gnt_attach_answer(struct gnt_amqp_peer *p, const struct gnt_wanted *wanted,
                                   struct gnt_slice filter);

/* The condition, and the words, for what the core says about a queue. */
enum gnt_amqp_condition gnt_attach_condition(enum gnt_queue_result result);

/* The queue NAME, which was made for a link that has ended, goes. */
void gnt_attach_remove(struct gnt_home *home, const char *name);

/* ---- rights.c: what P may do with an ADDRESS of a topic, or with a queue's name.  Links to queues
 * are asked when they are attached, and again when there is another access list. */

bool gnt_amqp_peer_may(struct gnt_amqp_peer *p, enum gnt_verb verb, struct gnt_slice address);

/* What it may do, lent until that is asked for again; NULL: everything. */
struct gnt_rights *gnt_amqp_peer_rights(struct gnt_amqp_peer *p);

/* Be given what was published to TOPIC, to which it is subscribed; that is not told. */
bool gnt_amqp_peer_may_receive(struct gnt_amqp_peer *p, struct gnt_slice topic);

/* ---- incoming.c, outgoing.c, topics.c: the terminus of WANTED, which is answered.  GNT_NOMEM,
 * GNT_INVALID: it is not; GNT_STATE: the link is about to end. */

GNT_MUST gnt_err gnt_incoming_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                                  enum gnt_address_kind kind, struct gnt_terminus **out);
GNT_MUST gnt_err gnt_outgoing_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                                  struct gnt_terminus **out);
GNT_MUST gnt_err gnt_topics_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                                struct gnt_terminus **out);

/* ---- topics_shared.c: likewise of "$share/GROUP/FILTER", a valid one, which is answered when the
 * group has answered.  GNT_NOMEM: there is none. */

GNT_MUST gnt_err gnt_topics_share(struct gnt_amqp_peer *p, struct gnt_wanted *wanted);

#endif
