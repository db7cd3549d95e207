#include "net/loop.h"

#include "base/assert.h"
#include "net/post.h"

gnt_err gnt_loop_init(struct gnt_loop *loop, const struct gnt_clock *clock,
                      struct gnt_poller **poller)
{
    *loop = (struct gnt_loop){.now = gnt_now(clock), .clock = clock, .poller = *poller};
    *poller = NULL;
    gnt_list_init(&loop->ready);
    gnt_list_init(&loop->tasks);
    gnt_list_init(&loop->guests);
    gnt_list_init(&loop->guest);
    return GNT_OK;
}

void gnt_loop_fini(struct gnt_loop *loop)
{
    GNT_ASSERT(gnt_list_empty(&loop->ready));
    GNT_ASSERT(gnt_list_empty(&loop->guests) && !gnt_list_linked(&loop->guest));
    while (gnt_list_pop_front(&loop->tasks))
        ;
    gnt_timers_fini(&loop->timers);
    loop->poller->free(loop->poller);
    loop->poller = NULL;
}

static struct gnt_loop *guest_at(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct gnt_loop, guest);
}

/* How long the next wait may be, NOW being the time: not at all while there is something to do
 * already. */
static uint64_t wait_time(const struct gnt_loop *loop, uint64_t now, uint64_t max_wait_ns)
{
    if (!max_wait_ns || !gnt_list_empty(&loop->ready) || !gnt_list_empty(&loop->tasks))
        return 0;
    uint64_t next = gnt_timers_next(&loop->timers);
    if (next == GNT_NEVER)
        return max_wait_ns;
    uint64_t left = next > now ? next - now : 0;
    return left < max_wait_ns ? left : max_wait_ns;
}

static bool may_sleep(struct gnt_loop *loop)
{
    return !loop->post || gnt_post_may_sleep(loop->post, loop->address);
}

static void woke(struct gnt_loop *loop)
{
    if (loop->post)
        gnt_post_woke(loop->post, loop->address);
}

/* All of them, or none. */
static bool all_may_sleep(struct gnt_loop *loop)
{
    if (!may_sleep(loop))
        return false;
    gnt_list_each (link, &loop->guests) {
        if (may_sleep(guest_at(link)))
            continue;
        for (struct gnt_list *done = loop->guests.next; done != link; done = done->next)
            woke(guest_at(done));
        woke(loop);
        return false;
    }
    return true;
}

static void wait_for_something(struct gnt_loop *loop, uint64_t max_wait_ns)
{
    /* The turn before has taken time, so loop->now would make every timer late by as much. */
    uint64_t before = gnt_now(loop->clock), timeout = wait_time(loop, before, max_wait_ns);
    gnt_list_each (link, &loop->guests)
        timeout = wait_time(guest_at(link), before, timeout);
    /* Asked last: between its answer and the wait nothing may happen that should end the wait. */
    if (timeout && !all_may_sleep(loop))
        timeout = 0;
    if (!timeout) {
        loop->poller->wait(loop->poller, 0);
        loop->now = gnt_now(loop->clock);
        return;
    }
    if (loop->sleeping)
        loop->sleeping(loop->sleeping_context, true);
    loop->poller->wait(loop->poller, timeout);
    if (loop->sleeping)
        loop->sleeping(loop->sleeping_context, false);
    woke(loop);
    gnt_list_each (link, &loop->guests)
        woke(guest_at(link));
    loop->now = gnt_now(loop->clock);
    loop->slept_ns += loop->now - before;
}

/* Each stream goes to the back of the ready list before it is called, so that the list's rule holds
 * during the call: whatever a callback does to its own stream or to another, closing included,
 * links and unlinks correctly, and nobody is called twice.  Of those who stay ready another one is
 * the first in each turn: some only get what others have left (net/tls.c). */
static void call_ready(struct gnt_loop *loop)
{
    struct gnt_list batch;
    gnt_list_init(&batch);
    gnt_list_splice_back(&batch, &loop->ready);
    for (struct gnt_list *node; (node = gnt_list_pop_front(&batch));) {
        gnt_list_push_back(&loop->ready, node);
        struct gnt_stream *s = GNT_CONTAINER(node, struct gnt_stream, ready);
        s->on_ready(s);
    }
    struct gnt_list *first = gnt_list_pop_front(&loop->ready);
    if (first)
        gnt_list_push_back(&loop->ready, first);
}

static void run_tasks(struct gnt_loop *loop)
{
    for (struct gnt_list *node; (node = gnt_list_pop_front(&loop->tasks));) {
        struct gnt_task *task = GNT_CONTAINER(node, struct gnt_task, link);
        task->run(task);
    }
}

static void receive(struct gnt_loop *loop)
{
    if (loop->post)
        gnt_post_receive(loop->post, loop->address);
}

static void flush(struct gnt_loop *loop)
{
    if (loop->before_mail)
        loop->before_mail(loop->mail_context);
    if (loop->post)
        gnt_post_flush(loop->post, loop->address);
}

static void input(struct gnt_loop *loop)
{
    loop->turn++;
    receive(loop);
    call_ready(loop);
    gnt_timers_run(&loop->timers, loop->now);
    /* Mail first: what a peer is told in this turn must not outrun what it was told about. */
    flush(loop);
}

static void output(struct gnt_loop *loop)
{
    run_tasks(loop);
    flush(loop);
}

void gnt_loop_turn(struct gnt_loop *loop, uint64_t max_wait_ns)
{
    wait_for_something(loop, max_wait_ns);
    input(loop);
    gnt_list_each (link, &loop->guests) {
        struct gnt_loop *guest = guest_at(link);
        guest->poller->wait(guest->poller, 0);
        guest->now = loop->now;
        input(guest);
    }
    /* What they have mailed to each other need not wait for the next turn. */
    if (!gnt_list_empty(&loop->guests))
        receive(loop);
    gnt_list_each (link, &loop->guests)
        receive(guest_at(link));
    output(loop);
    gnt_list_each (link, &loop->guests)
        output(guest_at(link));
}

gnt_err gnt_loop_carry(struct gnt_loop *host, struct gnt_loop *guest)
{
    GNT_ASSERT(gnt_list_empty(&guest->guests) && !gnt_list_linked(&guest->guest));
    gnt_err err = guest->poller->join(guest->poller, host->poller);
    if (!err)
        gnt_list_push_back(&host->guests, &guest->guest);
    return err;
}

void gnt_loop_part(struct gnt_loop *guest)
{
    gnt_list_remove(&guest->guest);
    gnt_err err = guest->poller->join(guest->poller, NULL);
    GNT_ASSERT(err == GNT_OK);
}

void gnt_loop_at_end(struct gnt_loop *loop, struct gnt_task *task)
{
    if (!gnt_list_linked(&task->link))
        gnt_list_push_back(&loop->tasks, &task->link);
}

void gnt_task_init(struct gnt_task *task, void (*run)(struct gnt_task *task))
{
    gnt_list_init(&task->link);
    task->run = run;
}

void gnt_task_cancel(struct gnt_task *task)
{
    gnt_list_remove(&task->link);
}

gnt_err gnt_loop_set_timer(struct gnt_loop *loop, struct gnt_timer *timer, uint64_t deadline)
{
    return gnt_timer_set(&loop->timers, timer, deadline);
}
