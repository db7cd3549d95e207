/* The way in, which is the same whatever a client speaks: how many may be there, and come in a
 * second; which addresses are blocked for guessing passwords; the password that is looked at, and
 * the program that is asked, on the hasher's thread.
 *
 * Ownership  one lobby for a broker, which owns what is in it; its fronts share it.
 * Threads    constant while there are fronts, but for the counters, which are anybody's. */
#ifndef GNT_FRONT_BASE_LOBBY_H
#define GNT_FRONT_BASE_LOBBY_H

#include "auth/hasher.h"
#include "base/counters.h"
#include "base/random.h"
#include "front/base/hooks.h"
#include "net/loop.h"
#include "net/stream.h"

#include <stdatomic.h>

struct gnt_guess;
struct gnt_users;

struct gnt_lobby {
    bool anonymous; /* clients that do not say who they are may connect */
    const struct gnt_random *random;
    struct gnt_hasher *hasher;       /* NULL: nobody can log in */
    struct gnt_guess *guess;         /* NULL: likewise */
    const struct gnt_hooks *hooks;   /* NULL: nobody wants to be asked or told */
    _Atomic uint32_t connections;    /* open ones, of all fronts */
    _Atomic uint64_t connects_until; /* the time that the connects so far take at their rate */
    _Atomic uint32_t next_number;    /* of a connection, in the log */
};

/* A client on its way in, for one call. */
struct gnt_visitor {
    struct gnt_lobby *lobby;
    struct gnt_loop *loop;
    struct gnt_counters *counters;
    const struct gnt_stream *stream;
    const char *name; /* what the log calls it; NULL: nothing yet */
};

/* ---- How many */

/* Whether one more client may connect at NOW, where RATE do in a second (0: any number).  Each
 * takes its part of a second; who comes when more than a second is taken already is refused, rather
 * than left waiting to be accepted: it is told why, and nobody behind it on the same listener waits
 * with it. */
bool gnt_lobby_within_rate(struct gnt_lobby *lobby, uint32_t rate, uint64_t now);

/* ---- What guessing passwords costs the address that it comes from (auth/guess.h) */

bool gnt_lobby_blocks(const struct gnt_visitor *v);

/* Closes the stream of a visitor that has been accepted from an address that is blocked, unread:
 * true, and *stream is NULL. */
bool gnt_lobby_turns_away(const struct gnt_visitor *v, struct gnt_stream **stream);

/* V has failed to log in as USER, for WHY (NULL: the usual reason): that is logged and counted.
 * Returns for how long (ns) the answer is to be held back. */
uint64_t gnt_lobby_failed(const struct gnt_visitor *v, struct gnt_slice user, const char *why);

/* ---- To the hasher's thread and back; who waits may go meanwhile */

struct gnt_lobby_check;

/* On the loop's thread, if the owner has not gone: what has come of CHECK, which is freed then. */
typedef void gnt_lobby_answer(struct gnt_lobby_check *check, void *owner);

struct gnt_lobby_check {
    struct gnt_hasher_job job; /* whose result is the answer: GNT_OK, GNT_DENIED, or why not */
    struct gnt_loop *loop;
    void *owner;
    gnt_lobby_answer *answer;
    /* Of a program that was asked: its say, what it was told, and whom the client counts as. */
    bool asked;
    enum gnt_login_answer said;
    const struct gnt_hooks *hooks;
    struct gnt_login_question told;
    char address[64];
    char user[GNT_LOGIN_USER_SIZE];
    size_t size; /* of the texts of `told` */
    char texts[];
};

/* Has PASSWORD looked at, whether it is USER's.  The check is its owner's until it is answered.
 *   GNT_BUSY   there are too many already
 *   GNT_DENIED it can be nobody's; GNT_NOMEM */
GNT_MUST gnt_err gnt_lobby_check_password(const struct gnt_visitor *v,
                                          const struct gnt_users *users, struct gnt_slice user,
                                          struct gnt_slice password, void *owner,
                                          gnt_lobby_answer *answer, struct gnt_lobby_check **out);

/* What a client has shown. */
struct gnt_lobby_shown {
    const char *protocol;
    struct gnt_slice client, user, password, named; /* data NULL: none */
};

static inline bool gnt_lobby_has_program(const struct gnt_lobby *lobby)
{
    return lobby->hooks && lobby->hooks->login;
}

/* Asks the program about who has shown this.  As above; GNT_DENIED: the name is too long. */
GNT_MUST gnt_err gnt_lobby_ask(const struct gnt_visitor *v, const struct gnt_lobby_shown *shown,
                               void *owner, gnt_lobby_answer *answer, struct gnt_lobby_check **out);

/* Its owner goes; NULL is fine. */
void gnt_lobby_abandon(struct gnt_lobby_check **check);

/* ---- The program is told of who comes and goes, if it wants that */

bool gnt_lobby_tells(const struct gnt_lobby *lobby);
void gnt_lobby_came(const struct gnt_visitor *v, struct gnt_guest guest);
void gnt_lobby_went(const struct gnt_visitor *v, struct gnt_guest guest, const char *why);

#endif
