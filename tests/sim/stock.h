/* What must happen to messages in queues, worked out without the broker: each transfer is a message
 * of its own, and what carriers do with it is remembered with it.
 *
 *   Accepted       it is delivered until somebody has settled it; after a crash, if it is durable.
 *   Refused        it does not come.
 *   Settled        and that confirmed: it does not come again, whatever crashes.
 *   Dead letters   what was rejected, has failed too often, or has lived too long, and nothing
 * else; what surely was, is nothing else. Failed         as often as was confirmed at least; and at
 * most as often as it can be. Alone          who has a message has it alone, as long as its
 * connection stands.
 *
 * Of a queue with locks, and of one whose messages expire, less can be said: they end by
 * themselves. */
#ifndef SIM_STOCK_H
#define SIM_STOCK_H

#include "world.h"

enum sim_queue { SIM_PLAIN, SIM_STRICT, SIM_LOCKED, SIM_SHORT, SIM_QUEUES };
enum { SIM_ITEM_MIN = 16 }; /* bytes of a body */

/* How sure it is that something has happened. */
enum sim_sure { SIM_NO, SIM_MAYBE, SIM_SURE };

struct sim_item {
    enum sim_queue queue;
    uint32_t size;
    bool durable;
    bool refused;
    bool loose; /* it may be gone: purged, or not durable when the power went */
    enum sim_sure accepted, gone, rejected;
    uint32_t least, most; /* deliveries that have failed: confirmed, and all that may have */
    uint64_t handed;
    uint64_t breaks;                   /* before it was handed in */
    const void *holder;                /* NULL: nobody */
    bool (*holds)(const void *holder); /* whether that one's connection stands */
};

struct sim_stock {
    struct sim_world *world;
    struct sim_item *items;
    size_t count, cap;
    uint64_t breaks;    /* connections that there have been, each of which may have been cut */
    unsigned receivers; /* at a time, at most */
    uint64_t taken;     /* and that was confirmed */
    bool refuses;       /* the broker, what it cannot keep now: dead letters, too */
};

struct gnt_config;

/* The queues, as CONFIG is to declare them: their options. */
const char *sim_queue_name(enum sim_queue queue);
void sim_stock_declare(struct sim_world *w, struct gnt_config *config);

void sim_stock_init(struct sim_stock *s, struct sim_world *w);
void sim_stock_fini(struct sim_stock *s);

/* A message for QUEUE: its number.  Its body is written to BODY, of the item's size. */
uint32_t sim_stock_send(struct sim_stock *s, enum sim_queue queue, bool durable);
void sim_stock_body(const struct sim_stock *s, uint32_t number, uint8_t *body);
void sim_stock_outcome(struct sim_stock *s, uint32_t number, bool accepted);

/* What has come to HOLDER from QUEUE, or from its dead letters, and has failed so often: its
 * number.  Broken promises are found here. */
struct sim_coming {
    struct gnt_slice body;
    enum sim_queue queue;
    bool dead;
    uint32_t failed;
};
uint32_t sim_stock_came(struct sim_stock *s, const struct sim_coming *c);

enum sim_done { SIM_ACCEPT, SIM_RELEASE, SIM_FAIL, SIM_REJECT };
/* Its holder says so; and it has been confirmed. */
void sim_stock_settle(struct sim_stock *s, uint32_t number, bool dead, enum sim_done done);
void sim_stock_sure(struct sim_stock *s, uint32_t number, bool dead, enum sim_done done);

void sim_stock_purged(struct sim_stock *s, enum sim_queue queue);
void sim_stock_crashed(struct sim_stock *s);

/* How many have to be delivered still; the audit at the end, when all is quiet, finds none. */
size_t sim_stock_left(const struct sim_stock *s);
void sim_stock_audit(const struct sim_stock *s);

#endif
