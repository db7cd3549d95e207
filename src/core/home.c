#include "core/home.h"

#include "auth/access.h"
#include "base/assert.h"
#include "core/publish.h"
#include "core/pending.h"

enum { SWEEP_INTERVAL_S = 1, SWEEP_MAX = 256, OWED_RETRY_MS = 1 };

/* ---- Work that waits */

void gnt_work_init(struct gnt_work *work, void (*run)(struct gnt_home *home, struct gnt_work *work))
{
    work->run = run;
    gnt_list_init(&work->link);
}

/* The timer is always set, or was unset just now, so that setting it needs no memory. */
static void work_at(struct gnt_home *home, uint64_t when)
{
    gnt_err err = gnt_timer_set(home->timers, &home->work_due, when);
    GNT_ASSERT(err == GNT_OK);
}

void gnt_home_later(struct gnt_home *home, struct gnt_work *work)
{
    if (gnt_list_linked(&work->link))
        return;
    gnt_list_push_back(&home->work, &work->link);
    work_at(home, *home->now);
}

void gnt_work_cancel(struct gnt_work *work)
{
    gnt_list_remove(&work->link);
}

/* ---- Mail */

static gnt_err post(struct gnt_home *home, unsigned to, const struct gnt_mail *mail)
{
    return home->config.post(home->config.post_context, home->index, to, mail);
}

static gnt_err send_owed(struct gnt_home *home)
{
    for (struct gnt_list *link; (link = gnt_list_pop_front(&home->owed));) {
        struct gnt_owed *owed = GNT_CONTAINER(link, struct gnt_owed, link);
        gnt_err err = post(home, owed->to, &owed->mail);
        if (err) { /* else it is the receiver's by now */
            gnt_list_push_front(&home->owed, link);
            return err;
        }
    }
    return GNT_OK;
}

gnt_err gnt_home_mail(struct gnt_home *home, unsigned to, void (*run)(const struct gnt_mail *mail),
                      void *object, uint64_t value, uint64_t other)
{
    struct gnt_mail mail = {run, &home->homes[to], object, value, other};
    gnt_err err = send_owed(home);
    return err ? err : post(home, to, &mail);
}

void gnt_home_mail_surely(struct gnt_home *home, unsigned to,
                          void (*run)(const struct gnt_mail *mail), void *object,
                          struct gnt_owed *owed)
{
    if (gnt_home_mail(home, to, run, object, 0, 0) == GNT_OK)
        return;
    *owed = (struct gnt_owed){.to = to, .mail = {run, &home->homes[to], object, 0, 0}};
    gnt_list_init(&owed->link);
    gnt_list_push_back(&home->owed, &owed->link);
    work_at(home, *home->now);
}

/* ---- Timers */

static void on_work(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_home *home = GNT_CONTAINER(timer, struct gnt_home, work_due);
    work_at(home, send_owed(home) ? now + OWED_RETRY_MS * GNT_NS_PER_MS : GNT_FAR);
    struct gnt_list todo; /* what is put off again waits for the next turn */
    gnt_list_init(&todo);
    gnt_list_splice_back(&todo, &home->work);
    for (struct gnt_list *link; (link = gnt_list_pop_front(&todo));) {
        struct gnt_work *work = GNT_CONTAINER(link, struct gnt_work, link);
        work->run(home, work);
    }
}

static void on_held(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_home *home = GNT_CONTAINER(timer, struct gnt_home, holds_due);
    gnt_pending_give_up(home,
                        now); /* sets it again, for which there is room: it was unset just now */
}

static void on_sweep(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_home *home = GNT_CONTAINER(timer, struct gnt_home, sweep_due);
    struct gnt_message *gone[SWEEP_MAX];
    size_t dropped = gnt_tree_sweep(home->tree, now, gone, SWEEP_MAX);
    for (size_t i = 0; i < dropped; i++)
        gnt_publish_retained_gone(home, &gone[i]);
    gnt_count(&home->counters, GNT_COUNT_RETAINED, -(int64_t)dropped);
    /* The timer has just been unset, so there is room in the heap for it. */
    gnt_err err = gnt_timer_set(home->timers, timer, now + SWEEP_INTERVAL_S * GNT_NS_PER_S);
    GNT_ASSERT(err == GNT_OK);
}

/* ---- Birth and death */

void gnt_home_init(struct gnt_home *home, struct gnt_home *homes, unsigned index,
                   struct gnt_tree *tree, const struct gnt_core_config *config)
{
    gnt_tree_limit(tree, config->filter_reach);
    home->tree = tree;
    home->homes = homes;
    home->config = *config;
    home->index = index;
    gnt_list_init(&home->work);
    gnt_list_init(&home->owed);
    gnt_list_init(&home->slips);
    gnt_list_init(&home->holds);
    gnt_list_init(&home->keep.waiting);
    home->holds_due.fire = on_held;
    home->work_due.fire = on_work;
    home->sweep_due.fire = on_sweep;
}

void gnt_home_fini(struct gnt_home *home)
{
    for (struct gnt_list *link; (link = gnt_list_pop_front(&home->work));) {
        struct gnt_work *work = GNT_CONTAINER(link, struct gnt_work, link);
        work->run(home, work); /* receipts, which free themselves */
    }
    gnt_keep_fini(home);
    gnt_routes_fini(&home->routes);
    gnt_map_fini(&home->bounds);
    gnt_map_fini(&home->ways);
    gnt_access_unref(&home->access);
    gnt_slots_fini(&home->slots);
    if (!home->timers)
        return;
    gnt_timer_cancel(home->timers, &home->work_due);
    gnt_timer_cancel(home->timers, &home->holds_due);
    gnt_timer_cancel(home->timers, &home->sweep_due);
}

gnt_err gnt_home_attach(struct gnt_home *home, const uint64_t *now, struct gnt_timers *timers)
{
    home->now = now;
    home->timers = timers;
    /* Set once, a timer can be moved without memory. */
    gnt_err err = gnt_timer_set(timers, &home->work_due, GNT_FAR);
    if (!err)
        err = gnt_timer_set(timers, &home->holds_due, GNT_FAR);
    if (!err && home->index == 0)
        err = gnt_timer_set(timers, &home->sweep_due, *now + SWEEP_INTERVAL_S * GNT_NS_PER_S);
    return err;
}

void gnt_home_configure(struct gnt_home *home, const struct gnt_core_config *config)
{
    struct gnt_core_config fresh = *config;
    fresh.homes = home->config.homes;
    fresh.calendar_ms = home->config.calendar_ms;
    fresh.post = home->config.post;
    fresh.report = home->config.report;
    fresh.post_context = home->config.post_context;
    memcpy(fresh.home_key, home->config.home_key, sizeof fresh.home_key);
    home->config = fresh;
    gnt_tree_limit(home->tree, fresh.filter_reach);
    gnt_pending_review(home, *home->now);
}

unsigned gnt_home_of(const struct gnt_home *home, struct gnt_slice client_id)
{
    return (unsigned)(gnt_hash_with(home->config.home_key, client_id) % home->config.homes);
}
