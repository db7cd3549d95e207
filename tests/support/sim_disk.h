/* A simulated disk behind the door of store/disk.h: files in memory, of which is known what has
 * been synced.
 *
 *     struct sim_disk *d = sim_disk_new();
 *     ... use sim_disk_door(d) ...
 *     sim_disk_cut(d, seed);     the power is cut: what is not safe is safe, lost, or torn
 *     ... close what was open; all calls fail ...
 *     sim_disk_restart(d);       what is left can be opened
 *
 * What a cut leaves  of each sector of 512 bytes: what was synced last, or what any write since has
 * made of it, one sector independent of the other; the file as long as it was synced, or longer;
 * each name that was created or removed since the last sync of names there or not.  A sync that
 * fails decides that at once, in secret: what it lost reads as before until the power is cut, and
 * the next sync does not write it.
 *
 * Threads  one at a time; no clock; randomness from seeds alone. */
#ifndef GNT_TESTS_SIM_DISK_H
#define GNT_TESTS_SIM_DISK_H

#include "store/disk.h"

struct sim_disk;

/* NULL: no memory. */
struct sim_disk *sim_disk_new(void);
void sim_disk_free(struct sim_disk *d);

/* Its `free` does nothing: the disk outlives those who use it. */
struct gnt_disk *sim_disk_door(struct sim_disk *d);

void sim_disk_cut(struct sim_disk *d, uint64_t seed);

/* The power is cut in the middle of the Kth call from now (1 is the next). */
void sim_disk_cut_at(struct sim_disk *d, uint64_t k, uint64_t seed);
bool sim_disk_is_cut(const struct sim_disk *d);
void sim_disk_restart(struct sim_disk *d);

/* MEANWHILE is called in each write and sync of a file: what other threads do.  NULL: nothing. */
void sim_disk_during(struct sim_disk *d, void (*meanwhile)(void *context), void *context);

/* COUNT calls fail with ERR (GNT_IO, GNT_FULL) from the Kth from now on (1 is the next); a write is
 * done in part first.  COUNT 0: none fails any more.  GNT_FULL is only for calls that need room:
 * open of a new file, and write; others do not fail with it. */
void sim_disk_fail(struct sim_disk *d, uint64_t k, uint64_t count, gnt_err err);

/* Files take at most BYTES in all: a write that would make them larger is done as far as there is
 * room, and GNT_FULL. */
void sim_disk_room(struct sim_disk *d, uint64_t bytes);

/* So far; the list, size and close calls are counted in no row of their own. */
struct sim_disk_counts {
    uint64_t calls; /* all but close */
    uint64_t opens, reads, writes, syncs, removes, name_syncs;
    uint64_t bytes_written;
};
const struct sim_disk_counts *sim_disk_counts(const struct sim_disk *d);

/* Bytes of the files that are there. */
uint64_t sim_disk_used(const struct sim_disk *d);

/* For damage: the bytes of a file, which are safe, to be changed in place; SIZE may be made
 * smaller with _truncate.  NULL: there is none of that name. */
uint8_t *sim_disk_bytes(struct sim_disk *d, const char *name, size_t *size);
void sim_disk_truncate(struct sim_disk *d, const char *name, size_t size);

/* Puts a file there, safe; false: no memory. */
bool sim_disk_put(struct sim_disk *d, const char *name, struct gnt_slice bytes);

#endif
