/* What every ground (store/ground.h) has to pass: each one's test hands itself in. */
#ifndef GNT_TESTS_GROUND_CONTRACT_H
#define GNT_TESTS_GROUND_CONTRACT_H

#include "base/random.h"
#include "store/ground.h"
#include "store/store_time.h"

struct ground_under_test {
    const char *name; /* of the group of tests */
    void (*wipe)(void);
    /* What is there since _wipe. */
    gnt_err (*open)(const struct gnt_store_time *time, struct gnt_ground **out);
};

/* Runs the tests; returns how many failed. */
int ground_contract(const struct ground_under_test *under_test);

/* Random batches, in a memtable that is to be applied to a ground, and in one that has nothing
 * below and so holds what the ground should. */
struct ground_twin {
    struct gnt_memtable above, model;
    uint64_t number; /* of the last apply */
};

void ground_twin_init(struct ground_twin *t);
void ground_twin_fini(struct ground_twin *t);
/* Adds one batch of COUNT writes. */
void ground_twin_write(struct ground_twin *t, struct gnt_seeded *random, unsigned count);
/* Applies what is above to G; on success it is empty afterwards. */
gnt_err ground_twin_apply(struct ground_twin *t, struct gnt_ground *g);
/* Asserts that G holds what the model holds, nothing being above. */
void ground_twin_compare(struct ground_twin *t, struct gnt_ground *g);

/* For tests beyond the contract: a fresh ground, open, whose clock stands still. */
struct ground_fixture {
    struct gnt_store_time time;
    struct gnt_ground *ground; /* NULL: it is closed */
    struct ground_twin twin;
    struct gnt_seeded random;
};

int ground_fixture_init(struct ground_fixture *f, const struct ground_under_test *under_test);
void ground_fixture_close(struct ground_fixture *f); /* the ground alone */
void ground_fixture_fini(struct ground_fixture *f);

/* Writes and applies COUNT batches. */
void ground_fixture_fill(struct ground_fixture *f, int count);

/* Does BATCH, which is empty afterwards, in T. */
void ground_do(struct gnt_memtable *t, struct gnt_batch *batch);

#endif
