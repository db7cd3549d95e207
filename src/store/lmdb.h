/* The ground on LMDB: one file, DIR/data.mdb, and beside it DIR/lock.mdb, which holds nothing that
 * has to last.
 *
 *   meta      "format" and "mark"
 *   tables    size of the table's name, name, key -> record
 *   entries   size of the log's name, name, number -> record
 *   logs      name -> last number, number of entries
 *   payloads  number, 0 -> how many records refer to it; number, 1 -> message
 *
 * Whatever stands in them begins with a CRC-32C, over the key and what follows, and a format byte.
 *
 * Why LMDB's default flags are enough: a transaction never overwrites a page that the last one can
 * see.  All it has changed goes to pages that were free, they are synced, and only then one of two
 * meta pages, in turns, is written with O_DSYNC.  Whenever the power goes, one of the two describes
 * a tree that is whole.  So none of MDB_NOSYNC, MDB_NOMETASYNC, MDB_WRITEMAP and MDB_MAPASYNC is
 * set: each gives up one of these steps.
 *
 * Memory     pages of the map that were touched are given back to the system again and again: what
 *            is resident does not grow with what is stored.  An _apply needs memory for each page
 *            that it changes, until it is done.
 * Damage     records are checked when they are read.  LMDB itself does not survive all damage to
 *            its pages: what it notices becomes GNT_IO, of that read alone.  If it stops in the
 *            middle of writing, or by SIGSEGV or SIGBUS (unless the program has handlers for them),
 *            the ground answers nothing but GNT_IO from then on.  gnt_lmdb_check looks at all of it
 *            in a process of its own. */
#ifndef GNT_STORE_LMDB_H
#define GNT_STORE_LMDB_H

#include "store/ground.h"
#include "store/store_time.h"

enum { GNT_LMDB_WHY_MAX = 256 };

struct MDB_txn;

/* How a file of format FROM becomes one of format FROM + 1: in TRANSACTION, which becomes safe with
 * the new format number or not at all. */
struct gnt_lmdb_upgrade {
    uint32_t from;
    gnt_err (*step)(struct MDB_txn *transaction);
};

struct gnt_lmdb_options {
    size_t map_size; /* address space to begin with, which grows as needed; 0: much */
    /* for tests: another newest format, and the way to it; 0: GNT_GROUND_FORMAT */
    uint32_t format;
    const struct gnt_lmdb_upgrade *upgrades;
    size_t upgrade_count;
};

/* Opens the ground in the directory PATH, which exists and is nobody else's, and makes it if there
 * is none.  TIME is not looked at before something is read or applied, so it can be made from the
 * mark.  OPTIONS may be NULL.
 *
 * GNT_UNSUPPORTED: a newer format, and nothing has been touched; GNT_MALFORMED: damaged, or cut
 * short; GNT_DENIED, GNT_FULL, GNT_IO, GNT_NOMEM.  WHY says in words what is wrong then. */
GNT_MUST gnt_err gnt_lmdb_open(const char *path, const struct gnt_store_time *time,
                               const struct gnt_lmdb_options *options, struct gnt_ground **out,
                               char why[GNT_LMDB_WHY_MAX]);

/* A record that is not as it was written, as far as can be told. */
enum gnt_lmdb_kind {
    GNT_LMDB_OF_TABLE,   /* name and key */
    GNT_LMDB_OF_LOG,     /* an entry: name and sequence */
    GNT_LMDB_OF_NUMBERS, /* a log's last number and count: name */
    GNT_LMDB_OF_PAYLOAD, /* a message that several records refer to: sequence is its number */
};
struct gnt_lmdb_damage {
    enum gnt_lmdb_kind kind;
    uint64_t place; /* the how manieth of its kind, from 1 */
    uint64_t sequence;
    uint8_t name[GNT_STORE_NAME_MAX], key[GNT_STORE_KEY_MAX];
    size_t name_size, key_size; /* 0: what stands there is no name, or no key */
};

enum { GNT_LMDB_NAMED_MAX = 16 };

struct gnt_lmdb_report {
    uint64_t good;       /* records of tables, entries and logs, that are as they were written */
    uint64_t damaged;    /* found, but not as they were written, or without their message */
    uint64_t misplaced;  /* good, but not in order, or not found by their keys: a copy has them */
    uint64_t unreadable; /* more are counted than were found; at least 1 if LMDB stopped */
    uint64_t size;       /* of the file, bytes */
    uint64_t spare;      /* bytes of it that wait for use again */
    struct gnt_ground_mark mark;
    char where[GNT_LMDB_WHY_MAX]; /* the first damage, or what fails, in words; or empty */
    struct gnt_lmdb_damage named[GNT_LMDB_NAMED_MAX]; /* the first ones of `damaged` */
    size_t named_count;
};

/* Fills in size, spare and mark without looking at the records; as gnt_lmdb_check. */
GNT_MUST gnt_err gnt_lmdb_measure(const char *path, struct gnt_lmdb_report *report);

/* Looks at everything, changing nothing, in a child process, so that damage which stops LMDB stops
 * only that.  GNT_OK also if there is damage; else as gnt_lmdb_open.  A ground may be open on it.
 */
GNT_MUST gnt_err gnt_lmdb_check(const char *path, struct gnt_lmdb_report *report);

/* Copies all good records to a new file, which then takes the place of the old one: the spare bytes
 * and the damage are gone.  If anything fails the old file stays as it is, and also if the new one
 * would be no smaller and there is no damage.  No ground may be open
 * on it, here or in another process.  REPORT is about the old file. */
GNT_MUST gnt_err gnt_lmdb_compact(const char *path, struct gnt_lmdb_report *report);

#endif
