#include "base/timers.h"

#include "base/assert.h"

#include <stdlib.h>

void gnt_timers_fini(struct gnt_timers *t)
{
    free(t->heap);
    *t = (struct gnt_timers){0};
}

static void put(struct gnt_timers *t, size_t i, struct gnt_timer *timer)
{
    t->heap[i] = timer;
    timer->place = i + 1;
}

static void sift_up(struct gnt_timers *t, size_t i, struct gnt_timer *timer)
{
    while (i > 0 && t->heap[(i - 1) / 2]->deadline > timer->deadline) {
        put(t, i, t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(t, i, timer);
}

static void sift_down(struct gnt_timers *t, size_t i, struct gnt_timer *timer)
{
    for (size_t child = 2 * i + 1; child < t->count; child = 2 * i + 1) {
        if (child + 1 < t->count && t->heap[child + 1]->deadline < t->heap[child]->deadline)
            child++;
        if (t->heap[child]->deadline >= timer->deadline)
            break;
        put(t, i, t->heap[child]);
        i = child;
    }
    put(t, i, timer);
}

gnt_err gnt_timer_set(struct gnt_timers *t, struct gnt_timer *timer, uint64_t deadline)
{
    if (deadline == GNT_NEVER) {
        gnt_timer_cancel(t, timer);
        return GNT_OK;
    }
    if (deadline < t->earliest)
        deadline = t->earliest;
    size_t i = t->count;
    if (timer->place) {
        i = timer->place - 1;
    } else if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 16;
        struct gnt_timer **heap = realloc(t->heap, cap * sizeof *heap);
        if (!heap)
            return GNT_NOMEM;
        t->heap = heap;
        t->cap = cap;
    }
    bool later = timer->place && deadline > timer->deadline;
    t->count += timer->place == 0;
    timer->deadline = deadline;
    if (later)
        sift_down(t, i, timer);
    else
        sift_up(t, i, timer);
    return GNT_OK;
}

void gnt_timer_cancel(struct gnt_timers *t, struct gnt_timer *timer)
{
    if (!timer->place)
        return;
    size_t i = timer->place - 1;
    GNT_ASSERT(i < t->count && t->heap[i] == timer);
    struct gnt_timer *last = t->heap[--t->count];
    timer->place = 0;
    if (last == timer)
        return;
    if (last->deadline > timer->deadline)
        sift_down(t, i, last);
    else
        sift_up(t, i, last);
}

size_t gnt_timers_run(struct gnt_timers *t, uint64_t now)
{
    size_t fired = 0;
    t->earliest =
        gnt_deadline(now, 1); /* a timer that sets itself for now must not hold the loop */
    for (; t->count && t->heap[0]->deadline <= now; fired++) {
        struct gnt_timer *timer = t->heap[0];
        gnt_timer_cancel(t, timer);
        timer->fire(timer, now);
    }
    t->earliest = 0;
    return fired;
}
