/* What a program that has the broker inside wants to be asked and told, whatever a client speaks.
 * Each may be NULL: then it does not.
 *
 * Ownership  the program's; stays as long as the broker.
 * Threads    as each of them says; all that is handed over is lent until it returns. */
#ifndef GNT_FRONT_BASE_HOOKS_H
#define GNT_FRONT_BASE_HOOKS_H

#include "base/slice.h"

#include <stdbool.h>

struct x509_st;

enum { GNT_LOGIN_USER_SIZE = 1024 + 1 }; /* bytes of a user's name and a zero byte */

/* A client that wants in, by what it has shown.  Texts have a zero byte behind them. */
struct gnt_login_question {
    const char *protocol; /* "mqtt" or "amqp" */
    const char *client;   /* MQTT: ""; it is given an id.  AMQP: "" if it is not known yet */
    const char *user;     /* NULL: none */
    const char *address;
    struct x509_st *certificate; /* found good; NULL: none */
    const char *named;           /* by its certificate; NULL: it is not */
    struct gnt_slice password;   /* data NULL: none */
};

enum gnt_login_answer { GNT_LOGIN_REFUSE, GNT_LOGIN_ACCEPT, GNT_LOGIN_USUAL };

/* A client that is in. */
struct gnt_guest {
    const char *protocol;
    const char *client, *user; /* user NULL: anonymous */
    const char *address;
};

struct gnt_hooks {
    void *context;

    /* On the hasher's thread.  USER is whom the client counts as if it is accepted; at first what
     * its certificate or itself says. */
    enum gnt_login_answer (*login)(void *context, const struct gnt_login_question *question,
                                   char user[GNT_LOGIN_USER_SIZE]);

    /* On the thread of the worker that has the client, or of who ends the broker: each client that
     * was let in has gone once. */
    void (*came)(void *context, const struct gnt_guest *guest);
    void (*went)(void *context, const struct gnt_guest *guest, const char *why);
};

#endif
