/* Checking, measuring and copying a file that may be damaged: each database from its front, and
 * from its back where that did not come to the end. */

#include "store/lmdb_leg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const enum gnt_lmdb_database walked[] = {GNT_LMDB_TABLES, GNT_LMDB_ENTRIES, GNT_LMDB_LOGS,
                                                GNT_LMDB_PAYLOADS};

/* --- checking --- */

/* From the front, and as much as is missing then from the back. */
static gnt_err check_database(struct gnt_lmdb_leg *leg)
{
    struct gnt_lmdb_shared *s = leg->shared;
    bool died = false, died_again = false;
    s->expected = 0;
    leg->backward = false;
    leg->most = UINT64_MAX;
    gnt_err err = gnt_lmdb_leg_run(leg, &died);
    uint64_t seen = s->steps;
    if (!err && seen < s->expected) {
        leg->backward = true;
        leg->most = s->expected - seen;
        err = gnt_lmdb_leg_run(leg, &died_again);
        seen += s->steps;
    }
    if (err || (!died && seen >= s->expected))
        return err;
    s->report.unreadable += seen < s->expected ? s->expected - seen : 1;
    if (!s->report.where[0])
        gnt_lmdb_why(s->report.where, GNT_OK, "%ju records cannot be reached",
                     (uintmax_t)s->report.unreadable);
    return GNT_OK;
}

static gnt_err measure(const char *path, struct gnt_lmdb_shared *s)
{
    char *file = gnt_lmdb_file_name(path, "data.mdb");
    struct stat st;
    if (!file)
        return GNT_NOMEM;
    gnt_err err = stat(file, &st) == 0 ? GNT_OK : gnt_err_from_errno(errno);
    if (err)
        gnt_lmdb_why(s->report.where, err, "%s: %s", file, strerror(errno));
    else if (st.st_size == 0)
        err = gnt_lmdb_why(s->report.where, GNT_MALFORMED, "%s is empty", file);
    free(file);
    if (err)
        return err;
    s->report.size = (uint64_t)st.st_size;
    s->map_size = (size_t)st.st_size * 2 + ((size_t)64 << 20);
    return GNT_OK;
}

static gnt_err check(const char *path, struct gnt_lmdb_shared *s)
{
    gnt_err err = measure(path, s);
    for (size_t i = 0; i < sizeof walked / sizeof walked[0] && !err; i++)
        err = check_database(
            &(struct gnt_lmdb_leg){.path = path, .database = walked[i], .shared = s});
    return err;
}

/* What LOOK finds out about the file. */
static gnt_err look_with(gnt_err (*look)(const char *path, struct gnt_lmdb_shared *s),
                         const char *path, struct gnt_lmdb_report *report)
{
    struct gnt_lmdb_shared *s = gnt_lmdb_shared_new();
    *report = (struct gnt_lmdb_report){0};
    if (!s)
        return GNT_NOMEM;
    gnt_err err = look(path, s);
    *report = s->report;
    gnt_lmdb_shared_free(s);
    return err;
}

gnt_err gnt_lmdb_check(const char *path, struct gnt_lmdb_report *report)
{
    return look_with(check, path, report);
}

/* One way through no records. */
static gnt_err look_around(const char *path, struct gnt_lmdb_shared *s)
{
    bool died = false;
    gnt_err err = measure(path, s);
    if (!err)
        err = gnt_lmdb_leg_run(
            &(struct gnt_lmdb_leg){.path = path, .database = GNT_LMDB_TABLES, .shared = s}, &died);
    return !err && died
               ? gnt_lmdb_why(s->report.where, GNT_MALFORMED, "data.mdb in %s is damaged", path)
               : err;
}

gnt_err gnt_lmdb_measure(const char *path, struct gnt_lmdb_report *report)
{
    return look_with(look_around, path, report);
}

/* --- copying --- */

/* How many records a look from this end can reach. */
static gnt_err reach(const struct gnt_lmdb_leg *leg, uint64_t most, uint64_t *out)
{
    bool died;
    struct gnt_lmdb_leg look = *leg;
    look.copy = NULL;
    look.most = most;
    gnt_err err = gnt_lmdb_leg_run(&look, &died);
    *out = leg->shared->steps;
    return err;
}

static gnt_err copy_leg(struct gnt_lmdb_leg *leg)
{
    bool died = false;
    gnt_err err = gnt_lmdb_leg_run(leg, &died);
    return err || !died ? err : GNT_IO;
}

/* What can be reached from the front, and what is missing then from the back.  The copying child
 * ends before the place where the looking one has died, so that what comes before is committed. */
static gnt_err copy_database(struct gnt_lmdb_leg *leg)
{
    struct gnt_lmdb_shared *s = leg->shared;
    uint64_t front = 0, back = 0;
    leg->backward = false;
    gnt_err err = reach(leg, UINT64_MAX, &front);
    uint64_t expected = s->expected;
    leg->most = front;
    if (!err)
        err = copy_leg(leg);
    if (err || front >= expected)
        return err;
    leg->backward = true;
    err = reach(leg, expected - front, &back);
    leg->most = back;
    return err ? err : copy_leg(leg);
}

static bool is_smaller(const char *file, uint64_t size)
{
    struct stat st;
    return stat(file, &st) == 0 && (uint64_t)st.st_size < size;
}

/* OLD is what a check of the file has found: if nothing of it is left out, it stays unless the copy
 * is smaller. */
static gnt_err copy(const char *path, struct gnt_lmdb_shared *s, const struct gnt_lmdb_report *old)
{
    char *file = gnt_lmdb_file_name(path, "data.mdb.new");
    if (!file)
        return GNT_NOMEM;
    gnt_err err = gnt_lmdb_file_make(file, GNT_GROUND_FORMAT, s->report.where);
    for (size_t i = 0; i < sizeof walked / sizeof walked[0] && !err; i++)
        if (walked[i] != GNT_LMDB_PAYLOADS) /* they come with their records */
            err = copy_database(&(struct gnt_lmdb_leg){
                .path = path, .copy = file, .database = walked[i], .shared = s});
    bool wanted =
        !err && (old->damaged || old->misplaced || old->unreadable || is_smaller(file, old->size));
    if (wanted)
        err = gnt_lmdb_file_rename(path, "data.mdb.new", "data.mdb");
    else
        unlink(file);
    free(file);
    return err;
}

gnt_err gnt_lmdb_compact(const char *path, struct gnt_lmdb_report *report)
{
    gnt_err err = gnt_lmdb_check(path, report);
    struct gnt_lmdb_shared *s = err ? NULL : gnt_lmdb_shared_new();
    if (!s)
        return err ? err : GNT_NOMEM;
    err = measure(path, s);
    if (!err)
        err = copy(path, s, report);
    if (err && s->report.where[0])
        memcpy(report->where, s->report.where, sizeof report->where);
    gnt_lmdb_shared_free(s);
    return err;
}
