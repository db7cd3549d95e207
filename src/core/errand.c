#include "core/errand.h"

#include "base/assert.h"
#include "core/core.h"

#include <stdlib.h>

/* What comes of an errand may send another one, to the own home again: so many times in a row it is
 * run in the same turn, which is more than there are steps in anything that peers do. */
enum { ROUNDS_MAX = 8 };

struct gnt_errands {
    struct gnt_work work;
    struct gnt_list chores; /* struct gnt_chore */
    struct gnt_ring out[];  /* errands, by home that they go to */
};

static struct gnt_errand *errand_of(struct gnt_list *link)
{
    return GNT_CONTAINER(GNT_CONTAINER(link, struct gnt_kept, link), struct gnt_errand, kept);
}

/* ---- Running */

/* All of RING, whose memory is not used: an errand may be gone when it has been run. */
static void run_ring(struct gnt_home *home, struct gnt_ring ring)
{
    while (ring.first) {
        struct gnt_list *link = ring.first;
        gnt_ring_remove(&ring, link);
        struct gnt_errand *errand = errand_of(link);
        errand->run(home, errand);
    }
}

static void on_mail(const struct gnt_mail *mail)
{
    run_ring(mail->to, (struct gnt_ring){mail->object});
}

static bool run_own(struct gnt_home *home)
{
    struct gnt_errands *e = home->errands;
    struct gnt_ring own = e->out[home->index];
    bool any = own.first || !gnt_list_empty(&e->chores);
    e->out[home->index] = (struct gnt_ring){0};
    run_ring(home, own);
    struct gnt_list chores;
    gnt_list_init(&chores);
    gnt_list_splice_back(&chores, &e->chores);
    for (struct gnt_list *link; (link = gnt_list_pop_front(&chores));) {
        struct gnt_chore *chore = GNT_CONTAINER(link, struct gnt_chore, link);
        chore->run(home, chore);
    }
    return any;
}

/* False: there is no memory for some of it. */
static bool mail_out(struct gnt_home *home)
{
    struct gnt_errands *e = home->errands;
    bool all = true;
    for (unsigned to = 0; to < home->config.homes; to++) {
        if (to == home->index || !e->out[to].first)
            continue;
        if (gnt_home_mail(home, to, on_mail, e->out[to].first, 0, 0))
            all = false;
        else
            e->out[to].first = NULL;
    }
    return all;
}

static void on_work(struct gnt_home *home, struct gnt_work *work)
{
    bool any = true;
    for (int round = 0; any && round < ROUNDS_MAX; round++)
        any = run_own(home);
    if (!mail_out(home) || any)
        gnt_home_later(home, work);
}

/* ---- Sending */

void gnt_errand_send(struct gnt_home *home, unsigned to, struct gnt_errand *errand,
                     void (*run)(struct gnt_home *home, struct gnt_errand *errand))
{
    errand->from = home->index;
    errand->to = to;
    errand->lost = false;
    errand->run = run;
    gnt_ring_push_back(&home->errands->out[to], &errand->kept.link);
    gnt_home_later(home, &home->errands->work);
}

static void on_safe(struct gnt_home *home, struct gnt_kept *kept)
{
    struct gnt_errand *errand = GNT_CONTAINER(kept, struct gnt_errand, kept);
    gnt_errand_send(home, errand->to, errand, errand->run);
}

void gnt_errand_send_safe(struct gnt_home *home, unsigned to, struct gnt_errand *errand,
                          void (*run)(struct gnt_home *home, struct gnt_errand *errand))
{
    uint64_t batch = gnt_keep_pending(home);
    if (!batch) {
        gnt_errand_send(home, to, errand, run);
        return;
    }
    errand->to = to;
    errand->run = run;
    errand->kept.safe = on_safe;
    gnt_keep_wait(home, &errand->kept, batch);
}

void gnt_chore_init(struct gnt_chore *chore,
                    void (*run)(struct gnt_home *home, struct gnt_chore *chore))
{
    chore->run = run;
    gnt_list_init(&chore->link);
}

void gnt_errand_chore(struct gnt_home *home, struct gnt_chore *chore)
{
    if (gnt_list_linked(&chore->link))
        return;
    gnt_list_push_back(&home->errands->chores, &chore->link);
    gnt_home_later(home, &home->errands->work);
}

void gnt_chore_cancel(struct gnt_chore *chore)
{
    gnt_list_remove(&chore->link);
}

/* ---- Birth and death */

gnt_err gnt_errands_new(struct gnt_home *home)
{
    unsigned homes = home->config.homes;
    struct gnt_errands *e = calloc(1, sizeof *e + homes * sizeof *e->out);
    if (!e)
        return GNT_NOMEM;
    gnt_work_init(&e->work, on_work);
    gnt_list_init(&e->chores);
    home->errands = e;
    return GNT_OK;
}

static bool run_out(struct gnt_core *core, struct gnt_home *home)
{
    bool any = run_own(home);
    for (unsigned to = 0; to < core->count; to++) {
        struct gnt_ring ring = home->errands->out[to];
        home->errands->out[to] = (struct gnt_ring){0};
        any |= ring.first != NULL;
        run_ring(&core->homes[to], ring);
    }
    return any;
}

static void lose(struct gnt_home *home)
{
    gnt_list_each_safe (link, &home->keep.waiting) {
        struct gnt_kept *kept = GNT_CONTAINER(link, struct gnt_kept, link);
        if (kept->safe != on_safe)
            continue;
        gnt_keep_cancel(kept);
        on_safe(home, kept);
        GNT_CONTAINER(kept, struct gnt_errand, kept)->lost = true;
    }
}

void gnt_errands_finish(struct gnt_core *core)
{
    for (unsigned i = 0; i < core->count; i++)
        lose(&core->homes[i]);
    for (bool any = true; any;) {
        any = false;
        for (unsigned i = 0; i < core->count; i++)
            any |= run_out(core, &core->homes[i]);
    }
}

void gnt_errands_free(struct gnt_home *home)
{
    if (!home->errands)
        return;
    gnt_work_cancel(&home->errands->work);
    free(home->errands);
    home->errands = NULL;
}
