#include "base/spare.h"

#include "base/asan.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    OVERHEAD =
        8, /* of the allocator's; its sizes are multiples of 16, this included, as are ours */
    PASSED_ON_MAX = 2 << 20, /* bytes */
};

/* Up to MOST bytes in steps of 1 << SHIFT. */
static const struct range {
    uint16_t most;
    uint8_t shift;
    uint8_t batch; /* how many blocks are passed on at once */
} ranges[] = {
    {1024, 5, 32},
    {4096, 8, 32},
    {16384, 12, 4},
};
enum { RANGES = sizeof ranges / sizeof *ranges, KINDS = 32 + 12 + 3 };

/* Blocks of one size. */
struct kind {
    unsigned number;
    unsigned batch;
    size_t size;
};

struct block {
    struct block *next;
    /* Of the first one of a batch that is passed on: */
    struct block *batch; /* the next one */
    size_t bytes;        /* of all its blocks */
};

/* What a thread keeps of one kind. */
struct kept {
    struct block *first;
    struct block *full; /* a batch besides, or NULL */
    unsigned count;     /* from FIRST on; at most a batch */
};

struct shelf {
    struct kept of[KINDS];
    bool owned; /* given back when the thread ends */
    bool over;  /* it ends: what comes now is not kept */
};

static _Thread_local struct shelf shelf;
static pthread_key_t key;
static bool keyed;

/* Batches on their way between threads. */
static struct {
    pthread_mutex_t lock; /* guards what follows; held for a moment, and no other is taken */
    struct block *of[KINDS];
    size_t bytes;
    unsigned next; /* the kind that makes room next */
} passed_on = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool find_large(size_t size, struct kind *kind)
{
    if (size > (size_t)ranges[RANGES - 1].most - OVERHEAD)
        return false;
    const struct range *r = ranges;
    unsigned before = 0; /* kinds of smaller ranges, */
    size_t below = 0;    /* which go up to this */
    for (size += OVERHEAD; size > r->most; r++) {
        before += (unsigned)(r->most - below) >> r->shift;
        below = r->most;
    }
    unsigned steps = (unsigned)(size - below - 1) >> r->shift;
    *kind = (struct kind){before + steps, r->batch,
                          below + ((size_t)(steps + 1) << r->shift) - OVERHEAD};
    return true;
}

/* False: such blocks are the allocator's business.  Most are of the first range. */
static inline bool find(size_t size, struct kind *kind)
{
    if (GNT_ASAN || !size)
        return false;
    if (size > (size_t)ranges[0].most - OVERHEAD)
        return find_large(size, kind);
    const unsigned shift = ranges[0].shift, steps = (unsigned)(size + OVERHEAD - 1) >> shift;
    *kind = (struct kind){steps, ranges[0].batch, ((size_t)(steps + 1) << shift) - OVERHEAD};
    return true;
}

static void free_all(struct block *first)
{
    for (struct block *b; (b = first) != NULL;) {
        first = b->next;
        free(b);
    }
}

static void clear(void *context)
{
    struct shelf *s = context;
    s->over = true;
    for (unsigned i = 0; i < KINDS; i++) {
        free_all(s->of[i].first);
        free_all(s->of[i].full);
        s->of[i] = (struct kept){0};
    }
}

static void make_key(void)
{
    keyed = pthread_key_create(&key, clear) == 0;
}

static void own(struct shelf *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    s->owned = keyed && pthread_setspecific(key, s) == 0;
}

/* Whether this thread's shelf will be cleared: only then may something lie there. */
static inline bool owned(struct shelf *s)
{
    if (!s->owned)
        own(s);
    return s->owned && !s->over;
}

/* Under the lock: the first of NUMBER's batches, or NULL. */
static struct block *pop(unsigned number)
{
    struct block *batch = passed_on.of[number];
    if (batch) {
        passed_on.of[number] = batch->batch;
        passed_on.bytes -= batch->bytes;
    }
    return batch;
}

/* Where there is too much, each kind in turn gives up a batch, so that what is not used any more
 * goes with time. */
static void pass_on(const struct kind *kind, struct block *batch)
{
    struct block *surplus = NULL;
    batch->bytes = kind->batch * kind->size;
    pthread_mutex_lock(&passed_on.lock);
    batch->batch = passed_on.of[kind->number];
    passed_on.of[kind->number] = batch;
    passed_on.bytes += batch->bytes;
    while (passed_on.bytes > PASSED_ON_MAX) {
        struct block *out = pop(passed_on.next++ % KINDS);
        if (out) {
            out->batch = surplus;
            surplus = out;
        }
    }
    pthread_mutex_unlock(&passed_on.lock);
    for (struct block *b; (b = surplus) != NULL;) {
        surplus = b->batch;
        free_all(b);
    }
}

static struct block *take_over(const struct kind *kind)
{
    pthread_mutex_lock(&passed_on.lock);
    struct block *batch = pop(kind->number);
    pthread_mutex_unlock(&passed_on.lock);
    return batch;
}

/* K, of the thread whose shelf S is, has none at hand. */
static void fetch(struct shelf *s, struct kept *k, const struct kind *kind)
{
    k->first = k->full;
    k->full = NULL;
    if (!k->first && owned(s))
        k->first = take_over(kind);
    k->count = k->first ? kind->batch : 0;
}

void *gnt_spare_get(size_t size)
{
    struct kind kind;
    if (!find(size, &kind))
        return malloc(size);
    struct kept *k = &shelf.of[kind.number];
    if (!k->first)
        fetch(&shelf, k, &kind);
    struct block *b = k->first;
    if (!b)
        return malloc(kind.size);
    k->first = b->next;
    k->count--;
    __builtin_prefetch(k->first, 1); /* another thread may have had it */
    return b;
}

void gnt_spare_put(void *p, size_t size)
{
    struct kind kind;
    if (!p || !find(size, &kind) || !owned(&shelf)) {
        free(p);
        return;
    }
    struct kept *k = &shelf.of[kind.number];
    if (k->count == kind.batch) {
        if (k->full)
            pass_on(&kind, k->full);
        k->full = k->first;
        k->first = NULL;
        k->count = 0;
    }
    struct block *b = p;
    b->next = k->first;
    k->first = b;
    k->count++;
}
