/* A store in memory that does what it is asked for at once, but for batches while they are held:
 * these are neither safe nor seen by reads. */
#ifndef GNT_TESTS_HELD_STORE_H
#define GNT_TESTS_HELD_STORE_H

#include "store/store.h"

struct held_store {
    struct gnt_store store; /* to be lent to a world */
    struct gnt_store *below;
    struct gnt_list held; /* batches, in order */
    bool holds;           /* from now on they are */
};

void held_store_open(struct held_store *s);

/* The first that is held happens; false: none is. */
bool held_store_step(struct held_store *s);

/* What is held never happened. */
void held_store_forget(struct held_store *s);
void held_store_close(struct held_store *s); /* nothing is held */

#endif
