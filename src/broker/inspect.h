/* A data directory seen from outside, for people: what is in it, what is wrong with it. */
#ifndef GNT_BROKER_INSPECT_H
#define GNT_BROKER_INSPECT_H

#include "store/directory.h"
#include "store/lmdb.h"

#include <sys/types.h>

/* Who has the directory. */
struct gnt_inspect_holder {
    bool held;
    pid_t pid; /* 0: not known */
};

/* The files, which can be looked at whoever has them. */
struct gnt_inspect_files {
    uint64_t data, journal, reserve; /* bytes */
    unsigned journal_files;
    int64_t written_s; /* when one of them was last written, seconds since 1970; 0: there is none */
};

/* What a broker that is started now would find. */
struct gnt_inspect_contents {
    uint64_t sessions, connected; /* connected: when the last one ended, or was killed */
    uint64_t subscriptions, groups, retained;
    uint64_t queues;   /* without those of dead letters */
    uint64_t messages; /* that wait or are in flight, of sessions, shared groups and queues */
    struct gnt_durable_report recovery;
};

struct gnt_inspection {
    struct gnt_inspect_holder holder;
    struct gnt_inspect_files files;
    uint64_t spare;                       /* bytes of data.mdb that wait for use again */
    struct gnt_inspect_contents contents; /* only if nobody has it */
};

/* Changes nothing.  Of a directory that somebody has, the files and nothing else are looked at.
 * WHY, of GNT_DIRECTORY_WHY_MAX bytes, says what is wrong when it fails: GNT_NOTFOUND: there is no
 * store; GNT_MALFORMED, GNT_UNSUPPORTED, GNT_DENIED, GNT_IO, GNT_NOMEM. */
GNT_MUST gnt_err gnt_inspect(const char *path, struct gnt_inspection *out, char *why);

struct gnt_inspect_check {
    /* Told in a line of text about each damage that can be named, the journal's first one too. */
    void (*tell)(void *context, const char *text);
    void *context;
    struct gnt_lmdb_report data;
    struct gnt_durable_report journal;
    bool journal_read; /* else data.mdb is too damaged to say where its journal goes on */
};

/* Reads and checks everything, changing nothing; TELL and CONTEXT are given.  GNT_BUSY: somebody
 * has the directory; else as gnt_inspect, but that damage is no failure. */
GNT_MUST gnt_err gnt_inspect_check(const char *path, struct gnt_inspect_check *check, char *why);

/* So many damages; 0: none. */
uint64_t gnt_inspect_damages(const struct gnt_inspect_check *check);

/* Makes data.mdb as small as it can be; *report is about the old one, *size of the new one.  What
 * is damaged is left out.  GNT_BUSY; else as gnt_inspect, and GNT_FULL. */
GNT_MUST gnt_err gnt_inspect_compact(const char *path, struct gnt_lmdb_report *report,
                                     uint64_t *size, char *why);

#endif
