/* A journal on a simulated disk, and what must be true of it: for tests of the journal.
 *
 * Each record says its number and which attempt to write that number it was, so that a void one is
 * told from what came in its place. */
#ifndef GNT_TESTS_JOURNAL_WORLD_H
#define GNT_TESTS_JOURNAL_WORLD_H

#include "store/journal.h"
#include "support/sim_disk.h"

enum { WORLD_RECORDS = 4096 };

struct journal_world {
    struct sim_disk *disk;
    struct gnt_seeded random; /* stamps */
    struct gnt_journal_options options;
    struct gnt_journal *journal;
    uint64_t applied;                 /* made safe elsewhere: what replay begins behind */
    uint64_t safe;                    /* what must come back, from there on */
    uint64_t last;                    /* written and not void */
    uint32_t safe_try[WORLD_RECORDS]; /* of each number, the attempt that is safe */
    uint32_t tries[WORLD_RECORDS];    /* so far */
    uint32_t size[WORLD_RECORDS];     /* of the attempt that was last */
    struct gnt_journal_report report; /* of the last replay */
};

void journal_world_begin(struct journal_world *w, uint64_t segment_size, unsigned spare);
void journal_world_end(struct journal_world *w);

gnt_err journal_world_open(struct journal_world *w);

/* A record of SIZE bytes, at least 16; on failure what the journal makes void is void here too. */
gnt_err journal_world_write(struct journal_world *w, size_t size);
gnt_err journal_world_sync(struct journal_world *w);
void journal_world_release(struct journal_world *w, uint64_t up_to);

/* Replays and checks: each record is whole, in order, once, and if its number is safe the attempt
 * that is; those that are missing in between are reported as damaged. */
gnt_err journal_world_replay(struct journal_world *w);

/* After a replay: all that came is applied. */
void journal_world_apply(struct journal_world *w);

#endif
