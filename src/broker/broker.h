/* The broker: workers with their loops and homes, listeners, $SYS.
 *
 * Threads    one thread calls these; the workers are the broker's own threads.  The world behind
 * the door (clock, randomness) is handed in, so that tests/sim can step the same workers in one
 *            thread with streams of its own. */
#ifndef GNT_BROKER_BROKER_H
#define GNT_BROKER_BROKER_H

#include "auth/access.h"
#include "base/clock.h"
#include "base/random.h"
#include "callback/tls.h"
#include "conf/config.h"
#include "front/base/hooks.h"
#include "model/message.h"

struct gnt_broker;

/* What a program that has the broker inside has its say in, each NULL where it has none.  It stays
 * as long as the broker. */
struct gnt_broker_program {
    const struct gnt_hooks *hooks;
    gnt_access_ask *ask; /* instead of the configuration's access list */
    void *ask_context;
    const struct gnt_callback_tls *tls;
};

/* Binds the listeners of CONFIG (copied) and makes the workers, without starting them.  PROGRAM may
 * be NULL.  What is
 * wrong is told in PROBLEM, a line for people: an address that is in use, a listener that would be
 * open to other machines without allow_anonymous, a data directory that cannot be had. */
GNT_MUST gnt_err gnt_broker_new(const struct gnt_config *config,
                                const struct gnt_broker_program *program, struct gnt_broker **out,
                                char *problem, size_t cap);

/* Starts the workers; from now on clients are served.  GNT_STATE: it has been stopped, and cannot
 * be started again. */
GNT_MUST gnt_err gnt_broker_start(struct gnt_broker *b);

/* Tells the clients (MQTT 5: DISCONNECT 0x8b), writes what is still to be written for at most a few
 * seconds, ends the workers and closes the listeners.  Nothing happens if they do not run. */
void gnt_broker_stop(struct gnt_broker *b);

/* Stops and frees; NULL is fine. */
void gnt_broker_free(struct gnt_broker **b);

/* The address that listener INDEX is bound to, "mqtt://127.0.0.1:1883", with the port that was
 * chosen where 0 was asked; NULL past the last one. */
const char *gnt_broker_listener(const struct gnt_broker *b, size_t index);

unsigned gnt_broker_workers(const struct gnt_broker *b);

/* Publishes without a client, from any thread between _new and _free; what is put in before _start
 * waits for it.
 *   GNT_INVALID  no topic name, or too deep
 *   GNT_DENIED   a topic of the broker's own
 *   GNT_TOOBIG   over limits.packet
 *   GNT_FULL     too much waits for the workers already: try again later
 *   GNT_STATE    after _stop
 *   GNT_NOMEM */
GNT_MUST gnt_err gnt_broker_publish(struct gnt_broker *b, const struct gnt_message_init *init);

/* Applies what CONFIG changes and what needs no restart (conf's table says which), but for the log,
 * which is the process's; while it runs, too.  The users are read again; if their file is not as it
 * should be that is logged, and they stay as they are.  The access list is read first: GNT_INVALID
 * where that is not as it should be, which is logged, and nothing has been applied.  GNT_NOMEM:
 * some of it may have been applied. */
GNT_MUST gnt_err gnt_broker_reload(struct gnt_broker *b, const struct gnt_config *config);

#endif
