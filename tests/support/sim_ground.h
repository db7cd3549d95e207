/* A ground in memory, for simulations and for tests of what stands on a ground: store/ground.h to
 * the letter, with failures and crashes on request.
 *
 * What it holds is a sim_soil, which outlives the grounds that are opened on it, as a directory
 * does.  Messages are kept as bytes, and times in them as store time, so that a test which restarts
 * with other clocks sees what a real restart shows.
 *
 * Threads  as store/ground.h; the functions here from any thread. */
#ifndef GNT_TESTS_SIM_GROUND_H
#define GNT_TESTS_SIM_GROUND_H

#include "store/ground.h"
#include "store/store_time.h"

struct sim_soil;

struct sim_soil *sim_soil_new(void); /* empty; NULL: no memory */
void sim_soil_free(struct sim_soil *s);

/* A ground on S.  One at a time; another one may be opened after _close, or after a crash: then the
 * first is to be closed all the same, when convenient, and answers GNT_IO until then.  TIME is not
 * looked at before something is read or applied, so it can be made from the mark. */
GNT_MUST gnt_err sim_ground_open(struct sim_soil *s, const struct gnt_store_time *time,
                                 struct gnt_ground **out);

/* The Kth call from now that can fail (0 is the next: apply, get, scan, read, log) returns ERR and
 * has done nothing; and all after it, if ALL, until this is called again with K -1. */
void sim_ground_fail_at(struct sim_soil *s, long k, gnt_err err, bool all);

/* The machine crashes, now: a running _apply is forgotten. */
void sim_ground_crash(struct sim_soil *s);

/* The machine crashes in the Kth _apply from now (0 is the next), just before it is safe, or KEPT:
 * just after.  It returns GNT_IO.  -1: in none. */
void sim_ground_crash_at(struct sim_soil *s, long k, bool kept);

uint64_t sim_ground_crashes(struct sim_soil *s); /* so many there were, since _new */

/* Called in the middle of each _apply, without a lock; NULL for none.  It may crash, or read. */
void sim_ground_during(struct sim_soil *s, void (*during)(void *context), void *context);

uint64_t sim_ground_applied(struct sim_soil *s); /* so many were, since _new */
size_t sim_ground_count(struct sim_soil *s);     /* records of tables and entries of logs */

/* Each of them: the name of its table or log, its key or the bytes of its number. */
void sim_ground_each(struct sim_soil *s,
                     void (*one)(void *context, struct gnt_slice name, struct gnt_slice key),
                     void *context);

#endif
