/* What every engine of store/store.h has to pass: each engine's test hands itself in. */
#ifndef GNT_TESTS_STORE_CONTRACT_H
#define GNT_TESTS_STORE_CONTRACT_H

#include "store/store.h"

struct store_under_test {
    const char *name;                        /* of the group of tests */
    gnt_err (*open)(struct gnt_store **out); /* empty */
    /* Lets the engine work, if it does not by itself: NULL.  Called while a result is awaited. */
    void (*run)(struct gnt_store *s);
    void (*fail_next)(struct gnt_store *s, gnt_err err); /* the next commit; NULL if it cannot */
};

/* Runs the tests; returns how many failed. */
int store_contract(const struct store_under_test *under_test);

/* Several threads on one store; UNDER_TEST has no `run`. */
int store_contract_threads(const struct store_under_test *under_test);

#endif
