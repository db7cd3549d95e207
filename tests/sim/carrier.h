/* A client of the simulation that speaks AMQP, on gnatter's own engine: it sends to the queues and
 * takes from them and from their dead letters, settles in every way, sooner or later or not at all,
 * and breaks its connection, until it is told to be calm; then it takes all there is. */
#ifndef SIM_CARRIER_H
#define SIM_CARRIER_H

#include "amqp/engine/link.h"
#include "base/buf.h"
#include "stock.h"
#include "wire.h"

enum { SIM_CARRIERS_MAX = 5, SIM_HELD_MAX = 40, SIM_SENT_MAX = 10 };

struct sim_carrier;

/* A delivery that it holds. */
struct sim_held {
    struct gnt_amqp_delivery *delivery; /* NULL: none */
    struct sim_carrier *carrier;
    struct gnt_buf body;
    uint32_t item;
    bool come, dead, said; /* all of it has; as a dead letter; its outcome */
    enum sim_done done;
    uint64_t due;
};

struct sim_carrier {
    struct sim_world *world;
    struct sim_stock *stock;
    struct gnt_seeded chance; /* of its own: lives without carriers are what they were */
    unsigned index;
    struct gnt_timer turn;
    struct sim_wire *wire; /* NULL: it is away */
    struct gnt_amqp_connection engine;
    struct gnt_outq out;
    struct gnt_buf in;
    struct gnt_amqp_link *senders[SIM_QUEUES], *receivers[2 * SIM_QUEUES];
    struct sim_held held[SIM_HELD_MAX];
    unsigned in_flight; /* that it has sent */
    unsigned break_one_in;
    uint64_t pause, act_at, connect_at;
    bool calm, gone;
};

void sim_carrier_init(struct sim_carrier *c, struct sim_world *w, struct sim_stock *stock,
                      unsigned index);
void sim_carrier_fini(struct sim_carrier *c);

/* From now on it only takes, accepts, and has that confirmed. */
void sim_carrier_calm(struct sim_carrier *c);
/* Nothing that it has asked for is outstanding. */
bool sim_carrier_settled(const struct sim_carrier *c);

/* Hangs up and does not come back. */
void sim_carrier_leave(struct sim_carrier *c);

#endif
