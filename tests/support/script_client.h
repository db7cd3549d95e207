/* A broker's workers in one thread under a clock that the test moves, and clients that speak bytes,
 * written as tests/support/mqtt_packet.h reads them, with a semicolon between packets:
 *
 *     struct script s;
 *     script_init(&s, 2, "limits.packet=1KiB", NULL);
 *     struct script_client *c = script_open(&s, 0);
 *     script_send(c, "10 | ['MQTT'] 04 02 003c ['client']");
 *     script_expect(c, "20 | 00 00");
 *     ...
 *     script_fini(&s);
 *
 * Whatever a client was sent and nobody expected fails the test, at the latest in script_fini.  A
 * failure is told on stderr with its place and aborts.  Only opening a client allocates here, so
 * that allocation failures hit the broker alone. */
#ifndef GNT_TESTS_SCRIPT_CLIENT_H
#define GNT_TESTS_SCRIPT_CLIENT_H

#include "base/rcu.h"
#include "broker/workers.h"
#include "net/pair.h"
#include "store/store_time.h"

#include <sys/socket.h>

enum { SCRIPT_CLIENTS_MAX = 256 };

struct script_client {
    struct script *script;
    struct gnt_stream *stream; /* NULL: closed by the client */
    uint8_t *in;               /* in_max bytes */
    size_t in_size, in_max;
    bool ended;    /* the broker writes no more */
    bool deaf;     /* does not read */
    bool careless; /* what is left unread at the end is no failure */
};

struct script {
    struct gnt_workers *workers;
    struct gnt_config config;
    struct gnt_clock clock;
    struct gnt_seeded random;
    uint64_t now;
    size_t capacity;              /* of new connections, each way */
    struct sockaddr_storage from; /* where new connections come from; nowhere unless set */
    size_t input_max;             /* what a new client can have been sent without looking at it */
    bool amqp;                    /* new connections speak AMQP */
    bool hasty;                   /* _fini does not wait until all memory has been given back */
    struct gnt_store *store;      /* of the workers; NULL: nothing is kept */
    struct gnt_store_time time;
    bool store_waits; /* it does nothing until script_store is called */
    struct script_client client[SCRIPT_CLIENTS_MAX];
    size_t count;
};

/* SETTINGS are "limits.packet=1KiB", ..., then NULL; $SYS is off unless they say so. */
void script_init(struct script *s, unsigned workers, ...);
void script_fini(struct script *s);

/* From here on what has to be is kept, in memory; right after _init. */
void script_keep(struct script *s);

/* The store does what it was asked for; settles. */
void script_store(struct script *s);

/* The same with the first of that only. */
void script_store_step(struct script *s);

/* The door that the workers were made with. */
struct gnt_door script_door(struct script *s);

/* Changes s->config, for gnt_workers_reload. */
void script_set(struct script *s, const char *setting);

/* Turns of all workers until nothing is left to do but wait. */
void script_settle(struct script *s);

/* One turn of one worker. */
void script_turn(struct script *s, unsigned worker);

/* Time goes on, and what is due happens, in steps of a tenth of a second. */
void script_pass(struct script *s, uint64_t ms);

/* The sum over all workers. */
int64_t script_counted(const struct script *s, enum gnt_counter which);

/* A client id, at most 15 characters, whose session lives at HOME; NUMBER tells several apart. */
const char *script_id_at(const struct script *s, unsigned home, unsigned number, char id[16]);

/* A connection that WORKER has accepted. */
struct script_client *script_open(struct script *s, unsigned worker);

/* Sends without settling; what does not fit goes in pieces, with turns in between. */
void script_send(struct script_client *c, const char *notation);
void script_send_bytes(struct script_client *c, struct gnt_slice bytes);

/* The bytes of NOTATION in a block to be freed. */
struct gnt_slice script_bytes(const char *notation);

/* As printf, the notation in FORMAT; at most 8 KiB. */
__attribute__((format(printf, 2, 3))) void script_sendf(struct script_client *c, const char *format,
                                                        ...);

/* Settles; then exactly this must come next. */
#define script_expect(c, notation) script_expect_at((c), (notation), __FILE__, __LINE__)
void script_expect_at(struct script_client *c, const char *notation, const char *file, int line);
__attribute__((format(printf, 2, 3))) void script_expectf(struct script_client *c,
                                                          const char *format, ...);

/* Settles; nothing has come that was not expected, and the connection stands. */
#define script_expect_silence(c) script_expect_silence_at((c), __FILE__, __LINE__)
void script_expect_silence_at(struct script_client *c, const char *file, int line);

/* Settles; nothing has come that was not expected, and the broker has ended its direction.  Closes
 * this one. */
#define script_expect_close(c) script_expect_close_at((c), __FILE__, __LINE__)
void script_expect_close_at(struct script_client *c, const char *file, int line);

/* Opens at WORKER, sends CONNECT, expects CONNACK. */
#define script_connect(s, worker, connect, connack) \
    script_connect_at((s), (worker), (connect), (connack), __FILE__, __LINE__)
struct script_client *script_connect_at(struct script *s, unsigned worker, const char *connect,
                                        const char *connack, const char *file, int line);

/* The client closes; what it has not read is thrown away. */
void script_close(struct script_client *c);

/* Takes what has come into c->in. */
void script_read(struct script_client *c);

/* Forgets what has come. */
void script_skip(struct script_client *c);

#endif
