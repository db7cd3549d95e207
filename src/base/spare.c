#include "base/spare.h"

#include "base/asan.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* Blocks of 1.25, 1.5, ... 4 KiB, and how many of each a thread keeps: what one read brings. */
enum {
    STEP = 256,
    SMALLEST = 1024,
    LARGEST = 4096,
    SIZES = (LARGEST - SMALLEST) / STEP,
    KEPT = 32
};

struct block {
    struct block *next;
};

struct shelf {
    struct block *first[SIZES];
    unsigned count[SIZES];
    bool owned; /* given back when the thread ends */
};

static _Thread_local struct shelf shelf;
static pthread_key_t key;
static bool keyed;

static void clear(void *context)
{
    struct shelf *s = context;
    for (unsigned i = 0; i < SIZES; i++) {
        for (struct block *b; (b = s->first[i]) != NULL;) {
            s->first[i] = b->next;
            free(b);
        }
        s->count[i] = KEPT; /* what comes now is not kept */
    }
}

static void make_key(void)
{
    keyed = pthread_key_create(&key, clear) == 0;
}

/* Whether this thread's shelf will be cleared: only then may something lie there. */
static bool owned(struct shelf *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!s->owned) {
        pthread_once(&once, make_key);
        s->owned = keyed && pthread_setspecific(key, s) == 0;
    }
    return s->owned;
}

static bool is_middle(size_t size)
{
    return !GNT_ASAN && size > SMALLEST && size <= LARGEST;
}

void *gnt_spare_get(size_t size)
{
    if (!is_middle(size))
        return malloc(size);
    size_t i = (size - SMALLEST - 1) / STEP;
    struct shelf *s = &shelf;
    struct block *b = s->first[i];
    if (!b)
        return malloc(SMALLEST + (i + 1) * STEP);
    s->first[i] = b->next;
    s->count[i]--;
    return b;
}

void gnt_spare_put(void *p, size_t size)
{
    struct shelf *s = &shelf;
    size_t i = is_middle(size) ? (size - SMALLEST - 1) / STEP : 0;
    if (!p || !is_middle(size) || s->count[i] >= KEPT || !owned(s)) {
        free(p);
        return;
    }
    struct block *b = p;
    b->next = s->first[i];
    s->first[i] = b;
    s->count[i]++;
}
