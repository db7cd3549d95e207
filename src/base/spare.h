/* Memory that comes and goes all the time, and often goes elsewhere than it came.
 *
 * The allocator gives a block that another thread frees back to where it came from, under a lock
 * for which both threads then wait; above 1,032 bytes it takes that lock every time.  Here a block
 * up to 16 KiB stays with the thread that has freed it, which uses it again, and a thread that
 * frees more than it gets passes whole batches on to those who get more.
 *
 * Bounds   a thread keeps at most two batches of each size (64 blocks, or 8 above 4 KiB) until it
 *          ends; 2 MiB wait between threads.  What is over goes back to the allocator.
 * Threads  any; a block may be freed by another thread than the one that got it.
 * Under the address sanitizer all is the allocator's, so that it sees what is done to it. */
#ifndef GNT_BASE_SPARE_H
#define GNT_BASE_SPARE_H

#include <stddef.h>

#ifdef GNATTER_SMALL /* one thread, and no memory to spare */

#include <stdlib.h>

static inline void *gnt_spare_get(size_t size)
{
    return malloc(size);
}

static inline void gnt_spare_put(void *p, size_t size)
{
    (void)size;
    free(p);
}

#else

/* As malloc(SIZE). */
void *gnt_spare_get(size_t size);

/* P was got for SIZE bytes; NULL is fine. */
void gnt_spare_put(void *p, size_t size);

#endif

#endif
