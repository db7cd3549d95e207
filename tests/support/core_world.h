/* A little world around the core: some homes in one thread, a clock that the test moves, mail that
 * waits in a list for each pair of homes, and clients that write down what they are sent.
 *
 *     struct world w;
 *     world_init(&w, 2, NULL);
 *     struct world_client c = {.id = "c"};
 *     assert_true(world_connect(&w, &c, true, 0));
 *     ...
 *     world_fini(&w);
 *
 * What the world itself writes down never fails for lack of memory; mail does. */
#ifndef GNT_TESTS_CORE_WORLD_H
#define GNT_TESTS_CORE_WORLD_H

#include "auth/access.h"
#include "core/core.h"
#include "core/ledger.h"
#include "core/publish.h"
#include "core/receipt.h"
#include "core/recover.h"
#include "core/session.h"
#include "store/store_time.h"

enum { WORLD_HOMES_MAX = 4, WORLD_TEXT = 24, WORLD_IDS = 8 };

struct world_mail {
    struct world_mail *next;
    struct gnt_mail mail;
};

struct world {
    struct gnt_core *core;
    uint64_t now;
    struct gnt_timers timers[WORLD_HOMES_MAX];
    struct {
        struct world_mail *first, **last;
    } mail[WORLD_HOMES_MAX][WORLD_HOMES_MAX]; /* [from][to] */
    unsigned homes;
    bool post_fails; /* mail finds no memory */
    struct gnt_core_config config;
    struct gnt_store *store; /* lent; NULL: nothing is kept */
    struct gnt_store_time time;
    struct gnt_recovered recovered;
};

struct world_delivery {
    char topic[WORLD_TEXT], payload[WORLD_TEXT]; /* cut to size, with a zero */
    uint32_t ids[WORLD_IDS];
    uint32_t id_count;
    uint16_t id; /* packet id */
    uint8_t qos;
    bool retain, dup;
    uint32_t failed; /* from a queue */
};

struct world_client {
    const char *id;
    const char *user; /* NULL: anonymous */
    /* What the next connection asks for; world_connect fills in the rest. */
    uint16_t receive_max;     /* 0: 65535 */
    struct gnt_message *will; /* taken */
    uint32_t will_delay_s;
    uint32_t will_expiry_s; /* 0: it does not expire */
    /* How its connection behaves. */
    bool busy;          /* not ready */
    bool out_of_memory; /* deliver and release fail */
    size_t payload_max; /* 0: no limit; over it deliver says GNT_TOOBIG */

    struct gnt_receiver receiver;
    struct world *world;
    struct gnt_session *session; /* NULL: not connected */
    bool present;
    struct world_delivery *got; /* in this life of the client, over all its connections */
    size_t count, cap;
    size_t answered; /* so many of them have been looked at by world_answer */
    uint16_t released[1024];
    size_t released_count;
    unsigned closed; /* how often the core closed its connection, and why at last */
    enum gnt_close_reason why;
};

struct gnt_core_config world_config(unsigned homes);

/* Of what the next worlds draw by lot: which client and which group lives where. */
extern uint64_t world_seed;

/* Who may do what in the next worlds, from their beginning on; lent.  NULL: everybody everything.
 */
extern struct gnt_access *world_access;

/* A list of COUNT rules, each "WHO WORD FILTER" as the configuration has them, with "not-" before
 * the word for what they deny, and * for everybody. */
struct gnt_access *world_list(const char *const *rules, size_t count);
#define WORLD_LIST(...)                            \
    world_list((const char *const[]){__VA_ARGS__}, \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* From now on ACCESS, which is lent, says who may do what at each home; no settling. */
void world_take_access(struct world *w, struct gnt_access *access);

/* CONFIG may be NULL; post and homes are filled in.  Registers this thread with RCU. */
void world_init(struct world *w, unsigned homes, const struct gnt_core_config *config);

/* The same with a STORE, which may hold what an earlier world left there: it is recovered. */
void world_init_kept(struct world *w, unsigned homes, const struct gnt_core_config *config,
                     struct gnt_store *store);

/* The same where the Nth allocation of the recovery fails (-1: none).  On failure there is no
 * world; GNT_IO: what failed was the engine's, which therefore has not written everything. */
gnt_err world_try_kept(struct world *w, unsigned homes, struct gnt_store *store, long n);

/* What all homes have written in this turn is committed. */
void world_commit(struct world *w);

/* The end without a word: what was not committed is lost, and so is what only one process knows.
 * Its clients are not connected any more. */
void world_crash(struct world *w, struct world_client *const *clients, size_t count);

/* Runs all mail and frees the core.  Before the program ends, all memory has been given back. */
void world_fini(struct world *w);

/* Runs one mail of the pair; false if there is none. */
bool world_mail_one(struct world *w, unsigned from, unsigned to);

/* Runs mail, and timers that are due, until nothing is left to do. */
void world_settle(struct world *w);

/* Time goes on, and what is due happens, home after home. */
void world_pass(struct world *w, uint64_t seconds);

/* The sum over all homes. */
int64_t world_counted(const struct world *w, enum gnt_counter which);
/* The ledger adds up (core/ledger.h); when nothing is left to do.  world_fini looks, too. */
void assert_ledger(const struct world *w);
void assert_counted(const struct world *w, enum gnt_counter which, int64_t expected);

/* CONNECT up to CONNACK, and resume; no settling.  False: out of memory. */
bool world_connect(struct world *w, struct world_client *c, bool clean, uint32_t expiry_s);

/* The same without resuming. */
bool world_connect_held(struct world *w, struct world_client *c, bool clean, uint32_t expiry_s);

/* Connected at home HOME: picks an id, which it writes into ID, that lives there. */
void world_id_at(const struct world *w, unsigned home, unsigned number, char id[16]);

void world_disconnect(struct world_client *c);  /* cleanly */
void world_cut(struct world_client *c);         /* the connection breaks */
void world_client_fini(struct world_client *c); /* frees what it wrote down */
struct gnt_home *world_home(const struct world_client *c);

/* Settles the session afterwards, so that the answer is there. */
enum gnt_outcome world_subscribe(struct world_client *c, const char *filter, uint8_t qos);
enum gnt_outcome world_subscribe_with(struct world_client *c, const char *filter,
                                      const struct gnt_sub_options *options,
                                      enum gnt_retain_handling retained);

struct gnt_message *world_message(const char *topic, const char *payload, uint8_t qos, bool retain);

/* From nobody, at HOME; no settling. */
enum gnt_outcome world_publish(struct world *w, unsigned home, const char *topic,
                               const char *payload, uint8_t qos, bool retain);

/* What a publisher that waits knows of one message of its own; it lives until that is settled. */
struct world_publication {
    struct gnt_receipt receipt;
    enum gnt_outcome outcome; /* GNT_WITHHELD until it is settled */
};

/* The same, and what comes of it is in P; GNT_FAILED as well if there is no memory for a message.
 */
enum gnt_outcome world_publish_waiting(struct world *w, unsigned home, const char *topic,
                                       const char *payload, uint8_t qos,
                                       struct world_publication *p);

/* Answers all deliveries that it has not looked at, in order and to the end, where the session
 * waits for an answer; how many. */
size_t world_answer(struct world_client *c);

/* The payloads that C was sent from FROM on, with a space behind each. */
const char *world_payloads(const struct world_client *c, size_t from);

#endif
