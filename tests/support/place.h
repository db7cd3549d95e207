/* A directory of its own for each test, removed behind it: setup and teardown for cmocka. */
#ifndef GNT_TESTS_PLACE_H
#define GNT_TESTS_PLACE_H

struct place {
    char base[64];  /* is there */
    char path[128]; /* in it, not there yet */
};

/* *state is the struct place. */
int place_setup(void **state);
int place_teardown(void **state);

#endif
