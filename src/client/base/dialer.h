/* The wish for a connection, and what becomes of it: an attempt, a connection, its end, and after a
 * while the next attempt.
 *
 * Ownership  _init to _fini, in its owner's memory.
 * Threads    guarded by the lock of its thread; _step and what it calls is that thread's. */
#ifndef GNT_CLIENT_BASE_DIALER_H
#define GNT_CLIENT_BASE_DIALER_H

#include "client/base/link.h"
#include "client/base/thread.h"

struct gnt_dialer;

/* What a protocol does with it. */
struct gnt_dialer_ops {
    gnt_err (*opened)(struct gnt_dialer *d); /* there is a stream: begins to speak */
    void (*carry)(struct gnt_dialer *d);     /* in each turn that it is UP: in, act, out */
    void (*leave)(struct gnt_dialer *d);     /* the same while it is not wanted: says good-bye */
    gnt_err (*write)(struct gnt_dialer *d);  /* the last output; GNT_MORE: some is left */
    /* An attempt has failed: calls gnt_dialer_ended. */
    void (*failed)(struct gnt_dialer *d, const struct gnt_link_trouble *trouble);
};

struct gnt_dialer_terms {
    uint32_t connect_timeout_ms; /* of an attempt; 0: any time */
    uint32_t min_ms, max_ms;     /* between two attempts, see gnt_back_off_ms */
    bool no_reconnect;
    bool on_refusal; /* also where the next attempt would only meet the same */
};

struct gnt_dialer {
    const struct gnt_dialer_ops *ops;
    struct gnt_thread *thread;
    struct gnt_dialer_terms terms;
    struct gnt_link link; /* the thread's own */

    /* What is wanted. */
    bool wanted;  /* a connection */
    bool once;    /* for one attempt only: somebody waits for it */
    bool touched; /* it was asked for something: no starting by itself any more */
    bool quit;    /* nothing more is asked */

    /* How it stands. */
    enum gnt_link_state state;
    bool connected;        /* the protocol's handshake is over */
    bool heard;            /* bytes have come on this link */
    int error;             /* why the last one ended */
    uint64_t deadline;     /* of the attempt, or of the next one */
    uint64_t flush_until;  /* while CLOSING */
    uint64_t connected_at; /* of the last connection */
    uint32_t failures;     /* in a row: the back-off's exponent */
    uint64_t endings;      /* connections and attempts that have ended, for who waits for one */
    uint64_t connections;
};

/* D is zeroed memory.  Errors are gnt_link_init's; nothing is left then. */
GNT_MUST gnt_err gnt_dialer_init(struct gnt_dialer *d, const struct gnt_dialer_ops *ops,
                                 struct gnt_thread *thread, const struct gnt_dialer_terms *terms,
                                 const struct gnt_link_target *target);

/* Instead of _init: for a connection that somebody else has made, STREAM in the loop of THREAD,
 * which is taken.  It is UP, for TIMEOUT_MS until gnt_dialer_connected, and is not made again. */
void gnt_dialer_adopt(struct gnt_dialer *d, const struct gnt_dialer_ops *ops,
                      struct gnt_thread *thread, struct gnt_stream **stream, uint32_t timeout_ms);

void gnt_dialer_fini(struct gnt_dialer *d);

/* ---- By any thread, with the lock */

/* Wants a connection if nobody has said anything about that yet. */
void gnt_dialer_touch(struct gnt_dialer *d);

/* Wants one, and makes the next attempt now.  GNT_STATE: nothing more is asked. */
GNT_MUST gnt_err gnt_dialer_start(struct gnt_dialer *d);

/* The same, waiting for one attempt: 0, what it failed with, or GNT_TIMEOUT, and it is not wanted
 * any more. */
int gnt_dialer_connect(struct gnt_dialer *d, uint64_t deadline);

/* None is wanted any more; QUIT: never again. */
void gnt_dialer_stop(struct gnt_dialer *d, bool quit);

/* Whether nothing comes any more until somebody says so, and then why not. */
bool gnt_dialer_at_rest(const struct gnt_dialer *d);
int gnt_dialer_why(const struct gnt_dialer *d);

/* Waits until it is at rest, DEADLINE at most. */
void gnt_dialer_settle(struct gnt_dialer *d, uint64_t deadline);

/* ---- By the thread, with the lock */

/* Does what the state demands.  Lets go of the lock where files are read. */
void gnt_dialer_step(struct gnt_dialer *d);

/* The protocol's handshake is over. */
void gnt_dialer_connected(struct gnt_dialer *d);

/* Whether the next attempt would meet the same. */
enum gnt_lasting { GNT_LASTS_NOT, GNT_LASTS, GNT_LASTS_FOR_GOOD /* whatever the terms say */ };

struct gnt_ending {
    int error;
    enum gnt_lasting lasting;
    bool linger; /* there is somebody to read the last output */
};
struct gnt_retry {
    bool again;
    uint32_t in_ms;
};

/* A connection or an attempt has ended; the stream, if there still is one, stays for the last
 * output. */
struct gnt_retry gnt_dialer_ended(struct gnt_dialer *d, const struct gnt_ending *e);

/* An attempt has failed, and its stream is given up: there is nobody to say anything to. */
void gnt_dialer_failed(struct gnt_dialer *d, gnt_err err);

/* A host has several addresses, and this one has not said a word: whether the next one is tried. */
bool gnt_dialer_next_address(struct gnt_dialer *d, const struct gnt_link_trouble *trouble);

/* At the end of a turn: what the stream has to wake the thread for, and how long it may wait;
 * OUTPUT, HUNGRY and DEADLINE are those of the protocol's engine. */
void gnt_dialer_want(struct gnt_dialer *d, bool output, bool hungry);
uint64_t gnt_dialer_deadline(const struct gnt_dialer *d, uint64_t deadline); /* the same, when */
uint64_t gnt_dialer_wait_ns(const struct gnt_dialer *d, uint64_t deadline);

#endif
