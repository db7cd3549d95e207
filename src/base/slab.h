/* Many items of one size in huge pages.
 *
 * For what there are hundreds of thousands of, and is looked at in no order: a page of 4 KiB holds
 * a few items only, and to find out where the page is costs as much as the item.  Items come from
 * slabs of 2 MiB.  A huge page takes milliseconds to make, so the next slab is made ahead, by the
 * thread that reclaims (base/rcu.h); one that is needed before it is there has small pages.  A slab
 * that has become empty is given back.  This is nothing for a few items: a slab in use and a spare
 * one are 4 MiB.
 *
 * Ownership  a gnt_slabs is static: its slabs outlive whatever they were made for.
 * Threads    _get by a registered one (base/rcu.h), _put by any.
 * Under the address sanitizer each item is an allocation, so that it sees what is done to it. */
#ifndef GNT_BASE_SLAB_H
#define GNT_BASE_SLAB_H

#include "base/rcu.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { GNT_SLAB_SIZE = 2 << 20 };

struct gnt_slab;

struct gnt_slabs {
    size_t item;              /* bytes, a multiple of 16 */
    pthread_mutex_t lock;     /* guards all else, held for a moment */
    struct gnt_slab *partial; /* slabs with room */
    struct gnt_slab *spare;
    bool ordered; /* a spare one; it comes by way of `order` */
    struct gnt_rcu_head order;
};

#define GNT_SLABS_INIT(size)                              \
    {                                                     \
        .item = (size), .lock = PTHREAD_MUTEX_INITIALIZER \
    }

/* One item, not zeroed; NULL: no memory. */
void *gnt_slab_get(struct gnt_slabs *slabs);
void gnt_slab_put(void *item);

#endif
