/* Memory of middle size that comes and goes all the time.
 *
 * The allocator keeps what a thread has freed at hand for it, but only up to 1,032 bytes; above,
 * each malloc and free takes a lock and looks through lists.  This does the same for 1 to 4 KiB: a
 * few blocks of each size stay with the thread that has freed them, until it ends.
 *
 * Threads  any; a block may be freed by another thread than the one that got it.
 * Under the address sanitizer all is the allocator's, so that it sees what is done to it. */
#ifndef GNT_BASE_SPARE_H
#define GNT_BASE_SPARE_H

#include <stddef.h>

/* As malloc(SIZE). */
void *gnt_spare_get(size_t size);

/* P was got for SIZE bytes; NULL is fine. */
void gnt_spare_put(void *p, size_t size);

#endif
