/* What the files of the threaded client share.
 *
 * Three layers: the engine (mqtt/engine) knows MQTT; the link (link.c) knows how to get a byte
 * stream; the thread (thread.c) carries bytes between the two, calls back, and connects again.
 *
 * The lock guards everything in gnatter_client that has no other note.  It is held for moments
 * only: never while waiting and never while a callback runs.  The other lock of this room
 * (struct lookup in link.c) is taken inside it. */
#ifndef GNT_CLIENT_MQTT_CLIENT_H
#define GNT_CLIENT_MQTT_CLIENT_H

#include "base/clock.h"
#include "mqtt/engine/client.h"
#include "net/loop.h"

#include <gnatter/mqtt.h>

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>

struct gnatter_engine_event;
struct gnt_lookup;
struct gnt_client_login;
struct gnt_client_tls;

/*   state      what it waits for                                     next states              */
enum gnt_link_state {
    GNT_LINK_DOWN, /* somebody to want a connection                 RESOLVING, OPENING, WAITING */
    GNT_LINK_WAITING,   /* the next attempt's time                       RESOLVING, OPENING, DOWN */
    GNT_LINK_RESOLVING, /* addresses                                     OPENING, WAITING, DOWN   */
    GNT_LINK_OPENING,   /* the transport to become writable              UP, WAITING, DOWN        */
    GNT_LINK_UP,        /* the engine to end                             CLOSING, OPENING         */
    GNT_LINK_CLOSING,   /* the last output to be written                 WAITING, DOWN            */
};

struct gnatter_client {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* broadcast when something settles; CLOCK_MONOTONIC */
    pthread_t thread;
    struct gnatter_client_options options; /* host is owned; mqtt is the engine's and not used */
    bool file;                             /* options.host is the path of a Unix socket */
    char *path;                            /* of a WebSocket; NULL: plain MQTT */
    char *websocket_host;                  /* and what it calls the host; both owned */
    struct gnt_client *engine;
    struct gnt_client_login *login; /* by auth_method; NULL: there is none */
    struct gnt_client_tls *tls;     /* the thread's own; NULL: there is none */

    /* What is wanted. */
    bool wanted;  /* a connection */
    bool once;    /* for one attempt only: gnatter_client_connect waits */
    bool touched; /* it was asked for something: no starting by itself any more */
    bool quit;    /* gnatter_client_free: nothing more is asked */
    bool asked;   /* since the thread has begun to look at all this */
    bool asleep;  /* the thread waits, or is about to */

    /* How it stands. */
    enum gnt_link_state state;
    uint64_t deadline;     /* of the attempt, or of the next one */
    uint64_t flush_from;   /* when CLOSING began */
    uint64_t connected_at; /* of the last connection */
    uint32_t failures;     /* in a row: the back-off's exponent */
    uint64_t endings;      /* connections and attempts that have ended, for who waits for one */
    uint64_t connections;
    bool was_connected; /* CONNACK has come on this link */
    bool heard;         /* bytes have come on this link */
    bool broken;        /* it cannot be written to; what has come is still read */
    int error;          /* why the last one ended */
    uint8_t reason;
    char reason_string[256], server_reference[256];

    /* The thread's own. */
    struct gnt_loop loop;
    struct gnt_stream *stream;
    struct gnt_stream
        *transport; /* the user's, which is `stream` or below it; NULL: there is none */
    struct gnt_lookup *lookup;
    struct addrinfo *addresses, *next_address;

    atomic_bool transport_ready; /* set by any thread: gnatter_ready was called */
};

/* One request's way back to whoever made it. */
struct gnt_waiter {
    bool done;
    int error;
    uint8_t reason;
    uint8_t *codes; /* room for `cap`, or NULL */
    size_t cap;
};

struct gnt_completion {
    gnatter_on_done *done;
    void *context;
    struct gnt_waiter *waiter; /* NULL: it does not wait any more */
};

/* client.c.  _enter: this is the client's own thread; _in_callback: whether it is. */
void gnt_thread_enter(const gnatter_client *c);
bool gnt_thread_in_callback(const gnatter_client *c);
void *gnt_thread_run(void *client); /* thread.c: the thread */

/* With the lock: wakes the thread, something was asked. */
void gnt_thread_wake(gnatter_client *c);

/* Wants a connection if nobody has said anything about that yet. */
void gnt_thread_touch(gnatter_client *c);

/* Waits for `changed` until DEADLINE; false when that has passed. */
bool gnt_thread_wait(gnatter_client *c, uint64_t deadline);
uint64_t gnt_thread_wait_deadline(uint32_t timeout_ms);

/* request.c: hands a DONE back; the lock is not held while a callback runs. */
void gnt_request_complete(gnatter_client *c, const struct gnatter_engine_event *event);

/* login.c: logging in by auth_method.  _new copies what it needs of OPTIONS, and gives *mqtt
 * instead of options->mqtt for the engine; PROPS belongs to it and is to be freed. */
GNT_MUST gnt_err gnt_client_login_new(const struct gnatter_client_options *options,
                                      struct gnatter_mqtt_options *mqtt,
                                      struct gnatter_property **props,
                                      struct gnt_client_login **out);
void gnt_client_login_free(struct gnt_client_login **login);

/* By the thread, with the lock: gnt_client_connect, and what comes of it.  _answer lets go of the
 * lock while it works.  _proved: whether the server, which is content, has proved who it is; if not
 * the engine has been told, and CLOSED comes. */
GNT_MUST gnt_err gnt_client_login_connect(gnatter_client *c, uint64_t now);
void gnt_client_login_answer(gnatter_client *c, const struct gnt_mqtt_props *props);
bool gnt_client_login_proved(gnatter_client *c, const struct gnt_mqtt_props *props);

/* By any thread, with the lock: begins anew. */
GNT_MUST gnt_err gnt_client_login_again(gnatter_client *c);

/* link.c, by the thread, with the lock: begins an attempt, or goes on with the next address.  The
 * state is RESOLVING or OPENING afterwards, on failure perhaps, too.  _open lets go of the lock
 * while it reads files. */
GNT_MUST gnt_err gnt_link_open(gnatter_client *c);
GNT_MUST gnt_err gnt_link_next_address(gnatter_client *c); /* GNT_NOTFOUND: there is none */

/* Why an attempt or a connection has ended that the engine says nothing more of. */
enum { GNT_LINK_WORDS_MAX = 768 };
struct gnt_link_trouble {
    gnt_err err;
    bool tls, lasting;               /* it is TLS' trouble; it would be met again */
    struct gnatter_properties words; /* none, or a GNATTER_REASON_STRING in: */
    uint8_t property[GNT_LINK_WORDS_MAX];
};

/* ERR is what the stream, or opening it, has said; before the stream is closed. */
void gnt_link_trouble(const gnatter_client *c, gnt_err err, struct gnt_link_trouble *out);

/* RESOLVING: whether the lookup is done, and then with what. */
bool gnt_link_resolved(gnatter_client *c, gnt_err *err);

/* Closes the stream, keeps the addresses; _abandon lets go of everything. */
void gnt_link_close(gnatter_client *c);
void gnt_link_abandon(gnatter_client *c);

#endif
