/* The thread that checks passwords, and does what else takes long before a client is let in.  To
 * derive a key from a password takes as long as its verifier
 * asks, tens of milliseconds, in which no event loop may stand still; so it is done here, one after
 * the other, and whoever sends more than can be done is told so.
 *
 * The thread begins with the first job.
 *
 * Ownership  a job is its owner's; from _submit until `done` is called it is the hasher's.
 * Threads    _submit by any thread; `done` is called by the hasher's, or by who frees it. */
#ifndef GNT_AUTH_HASHER_H
#define GNT_AUTH_HASHER_H

#include "auth/verifier.h"
#include "base/list.h"

enum { GNT_HASHER_JOBS_MAX = 256 }; /* that may wait */

struct gnt_hasher;

struct gnt_hasher_job {
    struct gnt_list link;
    /* What else than a password is to be looked at, by the hasher's thread; NULL: it is one. */
    gnt_err (*ask)(struct gnt_hasher_job *job);
    struct gnt_verifier verifier;
    bool known;            /* else the answer is no, and comes as late */
    _Atomic bool unwanted; /* any thread may set it: who asked has gone, it need not be looked at */
    void (*done)(struct gnt_hasher_job *job); /* the job is its owner's again */
    gnt_err
        result; /* GNT_OK: it is the password; GNT_DENIED, GNT_NOMEM; GNT_STATE: not looked at */
    size_t password_size;
    uint8_t password[GNT_SCRAM_PASSWORD_MAX]; /* wiped before `done` */
};

GNT_MUST gnt_err gnt_hasher_new(struct gnt_hasher **out);

/* Jobs that wait are done with GNT_STATE. */
void gnt_hasher_free(struct gnt_hasher **hasher);

/* GNT_FULL: as many as may wait already; GNT_NOMEM: no thread.  The job stays its owner's then. */
GNT_MUST gnt_err gnt_hasher_submit(struct gnt_hasher *hasher, struct gnt_hasher_job *job);

#endif
