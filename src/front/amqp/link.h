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

struct gnt_terminus;

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
    uint32_t owed;              /* answers that the core owes it */
    char *dynamic;              /* the name of a queue that was made for the link; NULL: none */
    char *asked;                /* of one for which the peer's rights were asked; NULL: none */
    uint32_t reviewed;          /* in which round of front->review they were */
};

/* What was asked for, when it is known what it is; lent. */
struct gnt_wanted {
    struct gnt_amqp_link *link;
    struct gnt_slice source_bytes, target_bytes; /* as they came; empty: it did not */
    struct gnt_amqp_source source;
    struct gnt_amqp_target target;
    uint8_t snd_settle_mode, rcv_settle_mode;
    struct gnt_slice name;               /* the topic, or topic filter */
    const struct gnt_queue_facts *facts; /* of a queue; NULL: it is none */
    struct gnt_slice queue;              /* its name */
    char why[GNT_SELECT_WHY];            /* of GNT_INVALID: what is wrong with the filter */
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

GNT_MUST gnt_err gnt_incoming_new(struct gnt_amqp_peer *p, const struct gnt_wanted *wanted,
                                  enum gnt_address_kind kind, struct gnt_terminus **out);
GNT_MUST gnt_err gnt_outgoing_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                                  struct gnt_terminus **out);
GNT_MUST gnt_err gnt_topics_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                                struct gnt_terminus **out);

#endif
