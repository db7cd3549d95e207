/* The workers of a broker and what they share, without listeners, threads or signals: what
 * broker/broker.c runs in threads, and tests/sim steps in one.
 *
 * The world reaches them through the door: clock, randomness, pollers, and the streams that are
 * handed to gnt_worker_accept. */
#ifndef GNT_BROKER_WORKERS_H
#define GNT_BROKER_WORKERS_H

#include "base/clock.h"
#include "base/random.h"
#include "broker/porch.h"
#include "conf/config.h"
#include "core/core.h"
#include "front/amqp/front.h"
#include "front/base/lobby.h"
#include "front/http/front.h"
#include "front/mqtt/front.h"
#include "net/post.h"

struct gnt_door {
    const struct gnt_clock *clock;
    const struct gnt_random *random;
    gnt_err (*poller)(struct gnt_poller **out); /* one for each worker */
};

/* The machine's: system clock, kernel's randomness, epoll. */
extern const struct gnt_door gnt_door_system;

struct gnt_worker {
    struct gnt_workers *all;
    unsigned index;
    struct gnt_loop loop;
    struct gnt_home *home;
    struct gnt_mqtt_front *mqtt; /* in all->mqtt.fronts */
    struct gnt_amqp_front amqp;
    struct gnt_http_front http;
    struct gnt_porch porch; /* of TLS */
    struct gnt_accounts *accounts;
};

struct gnt_workers {
    unsigned count;
    struct gnt_core *core;
    struct gnt_post *post;
    struct gnt_lobby lobby;
    struct gnt_mqtt_shared mqtt;
    struct gnt_amqp_shared amqp;
    struct gnt_sys *sys;     /* lives at worker 0 */
    struct gnt_users *users; /* that the workers have been given, for the next reading */
    struct gnt_worker *worker;
    struct gnt_store *store; /* owned; NULL: nothing is kept */
    bool served;             /* threads have run them; their ledger is told at the end then */
    /* Lets a store without threads work; NULL: it has some. */
    void (*store_run)(void *context);
    void *store_context;
};

/* COUNT workers under CONFIG, which is read here and not kept.  The calling thread is a registered
 * RCU reader; so is whoever calls what follows. */
GNT_MUST gnt_err gnt_workers_new(const struct gnt_config *config, unsigned count,
                                 const struct gnt_door *door, struct gnt_workers **out);

/* Before they run: a program wants to be asked and told (HOOKS, which stay).  CONFIG is theirs.
 * GNT_NOMEM. */
GNT_MUST gnt_err gnt_workers_heed(struct gnt_workers *w, const struct gnt_config *config,
                                  const struct gnt_hooks *hooks);

struct gnt_recovered;
struct gnt_recovery;

/* Before anything else is done with them: takes *store, which HOW is about, whatever comes out, and
 * puts back what is in it (core/recover.h). */
GNT_MUST gnt_err gnt_workers_recover(struct gnt_workers *w, struct gnt_store **store,
                                     const struct gnt_recovery *how,
                                     struct gnt_recovered *recovered);

/* No worker is in a turn.  What they had written is made safe, unless the store is in trouble for
 * longer than a few seconds. */
void gnt_workers_free(struct gnt_workers **w);

/* The end without a word, for simulations of it: only memory is given back.  Nothing that was not
 * safe before becomes so, provided that the store's disk is out of reach by now, and that nothing
 * gets through the streams. */
void gnt_workers_abandon(struct gnt_workers **w);

/* One turn of one worker, and of those whose loops its loop carries, which waits at most
 * MAX_WAIT_NS. */
void gnt_worker_turn(struct gnt_worker *worker, uint64_t max_wait_ns);

/* Between turns: whether something is left for the next one, which its loop does not know of. */
bool gnt_worker_has_more(const struct gnt_worker *worker);

/* Closes a stream from an address that is blocked for guessing passwords, unread: true, and *stream
 * is NULL. */
bool gnt_worker_turns_away(struct gnt_worker *worker, struct gnt_stream **stream);

/* A connection for this worker, on its thread, in its loop, that speaks MQTT, or AMQP. */
void gnt_worker_accept(struct gnt_worker *worker, struct gnt_stream *stream);
void gnt_worker_accept_amqp(struct gnt_worker *worker, struct gnt_stream *stream);

/* The same for one that speaks AMQP, and may ask for TLS by AMQP's header for it.  Takes the
 * reference to TLS. */
void gnt_worker_offer_tls(struct gnt_worker *worker, struct gnt_stream *stream,
                          struct gnt_tls_context **tls);

/* The same for one that begins with HTTP, where ORIGINS, which stay, are permitted. */
void gnt_worker_accept_http(struct gnt_worker *worker, struct gnt_stream *stream,
                            const struct gnt_http_origins *origins);

/* Applies what needs no restart (conf's table says what), from any thread that is no worker: each
 * worker takes it by mail.  Limits that clients have been told of hold for their connection; new
 * ones get the new limits.  GNT_NOMEM: some workers may have got it; say it again. */
GNT_MUST gnt_err gnt_workers_reload(struct gnt_workers *w, const struct gnt_config *config);

/* Gives the home of each worker a reference to ACCESS, which decides from then on who may do what;
 * NULL: there is no list, and everything is permitted.  _take_access: before they run, and before
 * anything is recovered; _mail_access: at a reload, from any thread that is no worker.  GNT_NOMEM:
 * some workers may have got it; say it again. */
void gnt_workers_take_access(struct gnt_workers *w, struct gnt_access *access);
GNT_MUST gnt_err gnt_workers_mail_access(struct gnt_workers *w, struct gnt_access *access);

/* Reads CONFIG's users, if it has any: the first time before the workers run, then, by mail,
 * instead of those that they have.  From any thread that is no worker, one at a time.  Lines that
 * are not as they should be are logged.  On failure the workers keep what they have (short of
 * memory some may have the new ones), and PROBLEM says in a line for people what is wrong. */
GNT_MUST gnt_err gnt_workers_read_users(struct gnt_workers *w, const struct gnt_config *config,
                                        char *problem, size_t cap);

/* Says good-bye to the worker's clients, on its thread; done when _idle. */
void gnt_worker_stop(struct gnt_worker *worker);
bool gnt_worker_idle(const struct gnt_worker *worker);

#endif
