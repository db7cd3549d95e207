#include "net/post.h"

#include "base/assert.h"
#include "net/loop.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* How nobody sleeps through something.  One side writes what it has done (`tail`: mail is there;
 * `head`: there is room; `outside_waits`) and then reads the other's `sleeping`; the other writes
 * `sleeping` and then reads what has been done.  All four are sequentially consistent, so at least
 * one of the two sees what the other wrote: either the sleeper does not sleep, or it is woken.
 * `wants_room` keeps receivers from waking senders that have no backlog; it is set before
 * `sleeping`, so the same argument holds for it.  No fences: the thread sanitizer does not know
 * them. */

enum { LINE = 64 }; /* what two threads write must not share a cache line */

/* A queue of mails that grows; cap is a power of two, or 0 and nothing is allocated. */
struct pile {
    struct gnt_mail *mails;
    size_t cap, first, count;
};

/* From one sender to one receiver.  tail and head count mails for ever; the slot of mail number i
 * is i % ring_size; tail - head <= ring_size. */
struct ring {
    alignas(LINE) _Atomic size_t tail; /* written by the sender: mails that may be read */
    alignas(LINE) _Atomic size_t head; /* written by the receiver: mails that have been run */
    _Atomic bool wants_room;           /* set by the sender, taken back by the receiver */
    alignas(LINE) _Atomic bool behind; /* written by the receiver when it changes */
    /* The sender's own: */
    alignas(LINE) size_t put; /* mails in slots, of which tail are visible */
    size_t head_seen;         /* head, when it was last looked at */
    struct pile outbox;       /* what comes after those, while the ring is full */
};

struct box {
    alignas(LINE) _Atomic bool sleeping;
    _Atomic bool outside_waits;
    struct gnt_loop *loop;
    /* Guards `outside`.  Held for one push or one exchange of the pile, never while mail runs; no
     * other lock is taken under it. */
    pthread_mutex_t mutex;
    struct pile outside;
    /* The own loop's: */
    alignas(LINE) bool unflushed; /* something was sent since the last flush */
    unsigned backlog;             /* outboxes that are not empty */
    bool held;                    /* was told of a receiver that is behind, and waits for it */
};

struct gnt_post {
    unsigned count;
    size_t ring_size;
    struct gnt_mail *slots;
    struct ring *rings; /* [to * count + from]: a receiver looks at neighbours */
    struct box *boxes;
};

static void pile_fini(struct pile *p)
{
    free(p->mails);
    *p = (struct pile){0};
}

static gnt_err pile_grow(struct pile *p)
{
    size_t cap = p->cap ? p->cap * 2 : 64;
    struct gnt_mail *mails =
        cap > SIZE_MAX / 2 / sizeof *mails ? NULL : malloc(cap * sizeof *mails);
    if (!mails)
        return GNT_NOMEM;
    for (size_t i = 0; i < p->count; i++)
        mails[i] = p->mails[(p->first + i) & (p->cap - 1)];
    free(p->mails);
    *p = (struct pile){.mails = mails, .cap = cap, .count = p->count};
    return GNT_OK;
}

static gnt_err pile_push(struct pile *p, const struct gnt_mail *mail)
{
    if (p->count == p->cap && pile_grow(p))
        return GNT_NOMEM;
    p->mails[(p->first + p->count++) & (p->cap - 1)] = *mail;
    return GNT_OK;
}

static struct gnt_mail pile_pop(struct pile *p)
{
    struct gnt_mail mail = p->mails[p->first];
    p->first = (p->first + 1) & (p->cap - 1);
    p->count--;
    return mail;
}

static void *zeroed_lines(size_t count, size_t size)
{
    void *lines = count > SIZE_MAX / size ? NULL : aligned_alloc(LINE, count * size);
    return lines ? memset(lines, 0, count * size) : NULL;
}

gnt_err gnt_post_new(unsigned count, size_t ring_size, struct gnt_post **out)
{
    if (!count || !ring_size || (ring_size & (ring_size - 1)))
        return GNT_INVALID;
    struct gnt_post *post = calloc(1, sizeof *post);
    if (!post)
        return GNT_NOMEM;
    size_t pairs = (size_t)count * count;
    post->count = count;
    post->ring_size = ring_size;
    post->rings = zeroed_lines(pairs, sizeof *post->rings);
    post->boxes = zeroed_lines(count, sizeof *post->boxes);
    if (ring_size <= SIZE_MAX / pairs)
        post->slots = calloc(pairs * ring_size, sizeof *post->slots);
    for (unsigned i = 0; post->boxes && i < count; i++)
        pthread_mutex_init(&post->boxes[i].mutex, NULL);
    *out = post;
    if (post->rings && post->boxes && post->slots)
        return GNT_OK;
    gnt_post_free(out);
    return GNT_NOMEM;
}

void gnt_post_free(struct gnt_post **post)
{
    struct gnt_post *p = *post;
    *post = NULL;
    if (!p)
        return;
    for (size_t i = 0; p->rings && i < (size_t)p->count * p->count; i++)
        pile_fini(&p->rings[i].outbox);
    for (unsigned i = 0; p->boxes && i < p->count; i++) {
        pile_fini(&p->boxes[i].outside);
        pthread_mutex_destroy(&p->boxes[i].mutex);
    }
    free(p->slots);
    free(p->rings);
    free(p->boxes);
    free(p);
}

void gnt_post_attach(struct gnt_post *post, unsigned address, struct gnt_loop *loop)
{
    GNT_ASSERT(address < post->count);
    post->boxes[address].loop = loop;
    loop->post = post;
    loop->address = address;
}

static struct ring *ring_of(const struct gnt_post *post, unsigned from, unsigned to)
{
    GNT_ASSERT(from < post->count && to < post->count);
    return &post->rings[(size_t)to * post->count + from];
}

static struct gnt_mail *slot(const struct gnt_post *post, const struct ring *ring, size_t number)
{
    size_t first = (size_t)(ring - post->rings) * post->ring_size;
    return &post->slots[first + (number & (post->ring_size - 1))];
}

/* By the sender: whether one more mail fits. */
static bool has_room(const struct gnt_post *post, struct ring *ring)
{
    if (ring->put - ring->head_seen == post->ring_size)
        ring->head_seen = atomic_load(&ring->head);
    return ring->put - ring->head_seen < post->ring_size;
}

/* Whoever takes `sleeping` back wakes, so a sleeper is woken once however many write to it.  Most
 * often nobody sleeps, and the plain load leaves the line where it is. */
static void wake(struct box *box)
{
    if (atomic_load(&box->sleeping) && atomic_exchange(&box->sleeping, false))
        box->loop->poller->wake(box->loop->poller);
}

gnt_err gnt_post_send(struct gnt_post *post, unsigned from, unsigned to,
                      const struct gnt_mail *mail)
{
    struct ring *ring = ring_of(post, from, to);
    struct box *box = &post->boxes[from];
    if (!ring->outbox.count && has_room(post, ring)) {
        *slot(post, ring, ring->put++) = *mail;
    } else {
        if (pile_push(&ring->outbox, mail))
            return GNT_NOMEM;
        box->backlog += ring->outbox.count == 1;
    }
    box->unflushed = true;
    return GNT_OK;
}

gnt_err gnt_post_send_outside(struct gnt_post *post, unsigned to, const struct gnt_mail *mail)
{
    GNT_ASSERT(to < post->count);
    struct box *box = &post->boxes[to];
    pthread_mutex_lock(&box->mutex);
    gnt_err err = pile_push(&box->outside, mail);
    pthread_mutex_unlock(&box->mutex);
    if (err)
        return err;
    atomic_store(&box->outside_waits, true);
    wake(box);
    return GNT_OK;
}

static uint64_t work(const struct gnt_loop *loop)
{
    return loop->work ? loop->work(loop->work_context) : 0;
}

/* Says to the sender how it stands after COUNT mails were run and LEFT were not. */
static void set_behind(struct ring *ring, struct box *sender, size_t count, size_t left)
{
    bool behind = left > count;
    if (atomic_load_explicit(&ring->behind, memory_order_relaxed) == behind)
        return;
    atomic_store(&ring->behind, behind);
    if (!behind)
        wake(sender);
}

static size_t receive_ring(struct gnt_post *post, struct ring *ring, struct box *sender,
                           const struct gnt_loop *loop)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head == tail)
        return 0;
    uint64_t until = work(loop) + GNT_POST_WORK;
    size_t next = head;
    do {
        const struct gnt_mail *mail = slot(post, ring, next++);
        mail->run(mail);
    } while (next != tail && work(loop) < until);
    atomic_store(&ring->head, next);
    set_behind(ring, sender, next - head, tail - next);
    if (atomic_load(&ring->wants_room)) {
        atomic_store(&ring->wants_room, false);
        wake(sender);
    }
    return next - head;
}

static size_t receive_outside(struct box *box)
{
    if (!atomic_load(&box->outside_waits))
        return 0;
    /* Taken back before the pile is: what is pushed afterwards sets it again. */
    atomic_store(&box->outside_waits, false);
    pthread_mutex_lock(&box->mutex);
    struct pile pile = box->outside;
    box->outside = (struct pile){0};
    pthread_mutex_unlock(&box->mutex);
    size_t n = pile.count;
    for (size_t i = 0; i < n; i++) {
        struct gnt_mail mail = pile_pop(&pile);
        mail.run(&mail);
    }
    pile_fini(&pile);
    return n;
}

size_t gnt_post_receive(struct gnt_post *post, unsigned address)
{
    size_t n = 0;
    for (unsigned from = 0; from < post->count; from++)
        n += receive_ring(post, ring_of(post, from, address), &post->boxes[from],
                          post->boxes[address].loop);
    return n + receive_outside(&post->boxes[address]);
}

static void empty_outbox(struct gnt_post *post, struct ring *ring, struct box *sender)
{
    while (ring->outbox.count && has_room(post, ring))
        *slot(post, ring, ring->put++) = pile_pop(&ring->outbox);
    if (ring->outbox.count) {
        atomic_store(&ring->wants_room, true);
        return;
    }
    pile_fini(&ring->outbox);
    sender->backlog--;
}

void gnt_post_flush(struct gnt_post *post, unsigned address)
{
    struct box *box = &post->boxes[address];
    if (!box->unflushed && !box->backlog)
        return;
    box->unflushed = false;
    for (unsigned to = 0; to < post->count; to++) {
        struct ring *ring = ring_of(post, address, to);
        if (ring->outbox.count)
            empty_outbox(post, ring, box);
        if (ring->put == atomic_load_explicit(&ring->tail, memory_order_relaxed))
            continue;
        atomic_store(&ring->tail, ring->put);
        wake(&post->boxes[to]);
    }
}

static bool some_are_behind(const struct gnt_post *post, unsigned address)
{
    for (unsigned to = 0; to < post->count; to++)
        if (atomic_load(&ring_of(post, address, to)->behind))
            return true;
    return false;
}

bool gnt_post_backlog(struct gnt_post *post, unsigned address)
{
    struct box *box = &post->boxes[address];
    box->held = some_are_behind(post, address);
    return box->backlog || box->held;
}

size_t gnt_post_unsent(const struct gnt_post *post, unsigned address)
{
    size_t n = 0;
    for (unsigned to = 0; post->boxes[address].backlog && to < post->count; to++)
        n += ring_of(post, address, to)->outbox.count;
    return n;
}

/* With sequentially consistent loads, after `sleeping` was set. */
static bool something_to_do(struct gnt_post *post, unsigned address)
{
    struct box *box = &post->boxes[address];
    if (box->unflushed || atomic_load(&box->outside_waits))
        return true;
    if (box->held && !some_are_behind(post, address))
        return true;
    for (unsigned other = 0; other < post->count; other++) {
        struct ring *in = ring_of(post, other, address);
        if (atomic_load(&in->tail) != atomic_load_explicit(&in->head, memory_order_relaxed))
            return true;
        struct ring *out = ring_of(post, address, other);
        if (out->outbox.count && has_room(post, out))
            return true;
    }
    return false;
}

bool gnt_post_may_sleep(struct gnt_post *post, unsigned address)
{
    struct box *box = &post->boxes[address];
    atomic_store(&box->sleeping, true);
    if (!something_to_do(post, address))
        return true;
    atomic_store(&box->sleeping, false);
    return false;
}

void gnt_post_woke(struct gnt_post *post, unsigned address)
{
    atomic_store(&post->boxes[address].sleeping, false);
}
