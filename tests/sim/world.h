/* The world of a simulated life: one clock, one source of chance, the broker's workers, which are
 * stepped turn by turn in this thread, and whatever else has set a timer.
 *
 * Time stands still while something happens and then jumps to the next timer.  A worker that sleeps
 * is woken only as the real one would be: by a stream, by mail, or by a timer of its own; so a
 * wake-up that the broker forgets is a life that stops. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "broker/workers.h"

#include <stdarg.h>

/* How the world treats those in it; ranges of nanoseconds, drawn anew each time. */
struct sim_weather {
    uint64_t latency_min, latency_max; /* of a wire */
    uint64_t turn_min, turn_max;       /* from a worker's waking to its turn */
    unsigned stall_one_in;             /* turns that come late; 0: none */
    uint64_t stall_max;
    size_t wire_bytes;          /* that fit into one direction of a wire */
    unsigned split_one_in;      /* arrivals that bring only a part; 0: none */
    unsigned move_fails_one_in; /* connections that do not arrive at their home; 0: none */
    unsigned fault_one_in;      /* turns in which an allocation fails; 0: none */
};

struct sim_worker;

struct sim_world {
    uint64_t seed, now;
    struct gnt_seeded chance, broker_chance;
    struct gnt_clock clock;
    struct gnt_timers timers;
    struct gnt_workers *workers; /* NULL: there is no broker now */
    struct gnt_access *access;   /* of brokers that start; NULL: none */
    struct sim_worker *worker;   /* of each */
    void (*after_turn)(void *context);
    void *after_context;
    struct sim_weather weather;
    uint64_t boot;       /* when the broker's clock was 0: another one after each crash */
    bool dying;          /* the broker crashes: it says nothing any more */
    bool refuses;        /* the broker takes nothing that would have to be kept: its disk fails */
    uint64_t refused_at; /* the last time that it began or ended to */
    uint64_t dropped_before[GNT_LEDGER_LAST + 1]; /* by brokers that have crashed */
    unsigned wires;                               /* that are not freed yet */
    bool trace;
    uint64_t digest; /* of all that was traced or would have been: two runs of a seed agree */
};

/* The workers are started, and the time is a few hours after 0. */
void sim_world_init(struct sim_world *w, uint64_t seed, bool trace);
void sim_world_start(struct sim_world *w, const struct gnt_config *config, unsigned workers);

/* Called after each turn of a worker, which may have asked the store for something; or NULL. */
void sim_world_after_turns(struct sim_world *w, void (*after)(void *context), void *context);

/* Frees the workers as they are, in the middle of everything. */
void sim_world_crash(struct sim_world *w);

/* Frees the workers, who may still have connections. */
void sim_world_stop(struct sim_world *w);
void sim_world_fini(struct sim_world *w);

/* Runs until UNTIL. */
void sim_world_run(struct sim_world *w, uint64_t until);

/* A timer of the world's; `fire` must be filled in. */
void sim_world_at(struct sim_world *w, struct gnt_timer *timer, uint64_t when);
/* The same, if it is not set for an earlier time. */
void sim_world_by(struct sim_world *w, struct gnt_timer *timer, uint64_t when);

/* The worker of LOOP has a reason for a turn; nothing if LOOP is NULL. */
void sim_world_wake(struct sim_world *w, struct gnt_loop *loop);

/* Has some worker accept: ACCEPT is called in a turn of it. */
struct sim_arrival {
    struct gnt_list link;
    void (*accept)(struct sim_arrival *a, struct gnt_worker *worker);
    void (*refuse)(struct sim_arrival *a); /* there is no broker, or none any more */
};
void sim_world_arrive(struct sim_world *w, struct sim_arrival *a);

/* The sum over the workers; a gauge that has fallen below 0 is a broken promise. */
uint64_t sim_world_counted(struct sim_world *w, enum gnt_counter which);

/* The same and what brokers had counted that have crashed. */
uint64_t sim_world_counted_ever(struct sim_world *w, enum gnt_counter which);

/* Whether the broker has refused anything since WHEN. */
bool sim_world_refused(const struct sim_world *w, uint64_t when);

/* ---- Chance */

uint64_t sim_below(struct sim_world *w, uint64_t n); /* [0, n), n > 0 */
uint64_t sim_between(struct sim_world *w, uint64_t least, uint64_t most);
bool sim_one_in(struct sim_world *w, unsigned n); /* 0: never */

/* ---- What happens, and what must not */

__attribute__((format(printf, 2, 3))) void sim_trace(struct sim_world *w, const char *format, ...);

/* Prints the seed and the promise that was broken, and ends the program. */
__attribute__((noreturn, format(printf, 2, 3))) void sim_fail(struct sim_world *w,
                                                              const char *format, ...);

#define SIM_MUST(world, condition) \
    ((condition) ? (void)0 : sim_fail((world), "%s:%d: %s", __FILE__, __LINE__, #condition))

#endif
