/* Loops that are carried by another. */
#include "net/epoll.h"
#include "net/pair.h"
#include "net/post.h"
#include "support/unit.h"
#include "unit/net/fake_loop.h"

#include <stdio.h>
#include <string.h>

/* ---- Without a kernel */

static char story[256];
static char to_guest[] = "to-guest", to_host[] = "to-host", outside[] = "outside";

static void tell(const char *word)
{
    size_t used = strlen(story);
    snprintf(story + used, sizeof story - used, "%s%s", used ? " " : "", word);
}

static void assert_story(const char *expected)
{
    assert_string_equal(story, expected);
    story[0] = 0;
}

static struct fake_loop host, guest;
static struct gnt_post *post;
static bool full; /* a poller has no more room */

static gnt_err fake_join(struct gnt_poller *p, struct gnt_poller *to)
{
    assert_ptr_equal(p, &guest.poller);
    if (full)
        return GNT_NOMEM;
    tell(to == &host.poller ? "join" : "part");
    return GNT_OK;
}

static int setup(void **state)
{
    (void)state;
    story[0] = 0;
    full = false;
    fake_loop_init(&host);
    fake_loop_init(&guest);
    guest.poller.join = fake_join;
    assert_int_equal(gnt_post_new(2, 8, &post), GNT_OK);
    gnt_post_attach(post, 0, &host.loop);
    gnt_post_attach(post, 1, &guest.loop);
    assert_int_equal(gnt_loop_carry(&host.loop, &guest.loop), GNT_OK);
    assert_story("join");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gnt_loop_part(&guest.loop);
    assert_story("part");
    gnt_loop_fini(&host.loop);
    gnt_loop_fini(&guest.loop);
    gnt_post_free(&post);
    return 0;
}

static void fired(struct gnt_timer *timer, uint64_t now)
{
    (void)timer;
    (void)now;
    tell("timer");
}

static void the_wait_is_as_short_as_any_needs(void **state)
{
    (void)state;
    gnt_loop_turn(&host.loop, 5000);
    assert_int_equal(host.waited, 5000);
    assert_int_equal(guest.waited, 0); /* the guest's own never takes time */

    struct gnt_timer timer = {.fire = fired};
    assert_int_equal(gnt_loop_set_timer(&guest.loop, &timer, host.now + 300), GNT_OK);
    gnt_loop_turn(&host.loop, 5000);
    assert_int_equal(host.waited, 300);
    assert_story("");
    host.now += 300; /* it is the host's clock that counts */
    gnt_loop_turn(&host.loop, 5000);
    assert_int_equal(host.waited, 0);
    assert_story("timer");
    gnt_timer_cancel(&guest.loop.timers, &timer);
}

static void on_ready(struct gnt_stream *s)
{
    char byte;
    size_t n;
    assert_int_equal(gnt_stream_read(s, &byte, 1, &n), GNT_OK);
    tell("read");
}

static void what_is_ready_at_a_guest_ends_the_wait(void **state)
{
    (void)state;
    struct gnt_stream *here, *there;
    assert_int_equal(gnt_pair_new(&guest.loop, &guest.loop, 16, &here, &there), GNT_OK);
    here->on_ready = on_ready;
    gnt_stream_want(here, GNT_READABLE);
    size_t n;
    assert_int_equal(gnt_stream_writev(there, &(struct iovec){to_guest, 2}, 1, &n), GNT_OK);
    gnt_loop_turn(&host.loop, 5000);
    assert_int_equal(host.waited, 0);
    assert_story("read");
    gnt_loop_turn(&host.loop, 5000);
    assert_story("read");
    gnt_stream_close(&here);
    gnt_stream_close(&there);
}

static void run_task(struct gnt_task *task)
{
    (void)task;
    tell("task");
}

static void take_mail(const struct gnt_mail *mail)
{
    tell(mail->object);
    if (mail->to)
        gnt_loop_at_end(mail->value ? &guest.loop : &host.loop, mail->to);
}

static void host_mails(struct gnt_timer *timer, uint64_t now)
{
    fired(timer, now);
    const struct gnt_mail mail = {.run = take_mail, .object = to_guest};
    assert_int_equal(gnt_post_send(post, 0, 1, &mail), GNT_OK);
}

static void mail_between_them_comes_in_the_same_turn(void **state)
{
    (void)state;
    struct gnt_task task;
    gnt_task_init(&task, run_task);
    struct gnt_timer timer = {.fire = host_mails};
    assert_int_equal(gnt_loop_set_timer(&host.loop, &timer, host.now), GNT_OK);
    gnt_loop_turn(&host.loop, 5000);
    assert_story("timer to-guest");

    /* What the guest has sent is there already, so there is nothing to wait for; and what is put
     * off because of it runs in the same turn. */
    const struct gnt_mail mail = {.run = take_mail, .to = &task, .object = to_host};
    assert_int_equal(gnt_post_send(post, 1, 0, &mail), GNT_OK);
    gnt_loop_turn(&host.loop, 5000);
    assert_int_equal(host.waited, 0);
    assert_story("to-host task");
    gnt_loop_turn(&host.loop, 5000);
    assert_int_equal(host.waited, 5000);
    assert_int_equal(host.wakes + guest.wakes, 0);
}

static void mail_from_outside(struct fake_loop *f)
{
    (void)f;
    const struct gnt_mail mail = {.run = take_mail, .object = outside};
    assert_int_equal(gnt_post_send_outside(post, 1, &mail), GNT_OK);
}

static void mail_wakes_a_guest_that_sleeps(void **state)
{
    (void)state;
    host.in_wait = mail_from_outside;
    gnt_loop_turn(&host.loop, 5000);
    assert_int_equal(guest.wakes, 1);
    assert_story("outside");
    host.in_wait = NULL;

    /* Nobody sleeps between two turns. */
    mail_from_outside(NULL);
    assert_int_equal(guest.wakes, 1);
    gnt_loop_turn(&host.loop, 5000);
    assert_int_equal(host.waited, 0);
    assert_story("outside");
}

static void pass(struct fake_loop *f)
{
    f->now += 70;
}

static void sleep_is_counted(void **state)
{
    (void)state;
    host.in_wait = pass;
    gnt_loop_turn(&host.loop, 0);
    assert_int_equal(host.loop.slept_ns, 0);
    gnt_loop_turn(&host.loop, 5000);
    gnt_loop_turn(&host.loop, 5000);
    assert_int_equal(host.loop.slept_ns, 140);
    assert_int_equal(host.loop.now, host.now);
    assert_int_equal(guest.loop.now, host.now);
    host.in_wait = NULL;
}

static void a_failure_to_join_changes_nothing(void **state)
{
    (void)state;
    gnt_loop_part(&guest.loop);
    full = true;
    assert_int_equal(gnt_loop_carry(&host.loop, &guest.loop), GNT_NOMEM);
    assert_true(gnt_list_empty(&host.loop.guests));
    full = false;
    story[0] = 0;
    assert_int_equal(gnt_loop_carry(&host.loop, &guest.loop), GNT_OK);
    assert_story("join");
}

/* ---- With epoll */

struct real {
    struct gnt_loop loop;
};

static void real_init(struct real *r)
{
    struct gnt_poller *poller;
    assert_int_equal(gnt_epoll_new(&poller), GNT_OK);
    assert_int_equal(gnt_loop_init(&r->loop, &gnt_clock_system, &poller), GNT_OK);
}

static uint64_t turn_time(struct gnt_loop *loop, uint64_t max_wait_ms)
{
    uint64_t before = gnt_now(&gnt_clock_system);
    gnt_loop_turn(loop, max_wait_ms * GNT_NS_PER_MS);
    return (gnt_now(&gnt_clock_system) - before) / GNT_NS_PER_MS;
}

enum { LONG_MS = 60000, SHORT_MS = 20 };

static void a_guest_ends_the_hosts_wait(void **state)
{
    (void)state;
    struct real h, g;
    real_init(&h);
    real_init(&g);
    for (int i = 0; i < 2; i++) {
        g.loop.poller->wake(g.loop.poller); /* before it is carried: not lost */
        assert_int_equal(gnt_loop_carry(&h.loop, &g.loop), GNT_OK);
        assert_true(turn_time(&h.loop, LONG_MS) < LONG_MS);
        assert_true(turn_time(&h.loop, SHORT_MS) >= SHORT_MS - 1); /* told once */
        g.loop.poller->wake(g.loop.poller);
        assert_true(turn_time(&h.loop, LONG_MS) < LONG_MS);
        h.loop.poller->wake(h.loop.poller);
        assert_true(turn_time(&h.loop, LONG_MS) < LONG_MS);

        gnt_loop_part(&g.loop);
        g.loop.poller->wake(g.loop.poller);
        assert_true(turn_time(&h.loop, SHORT_MS) >= SHORT_MS - 1);
        assert_true(turn_time(&g.loop, LONG_MS) < LONG_MS);
        assert_true(turn_time(&g.loop, SHORT_MS) >= SHORT_MS - 1);
    }
    gnt_loop_fini(&h.loop);
    gnt_loop_fini(&g.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_wait_is_as_short_as_any_needs, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_ready_at_a_guest_ends_the_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(mail_between_them_comes_in_the_same_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(mail_wakes_a_guest_that_sleeps, setup, teardown),
        cmocka_unit_test_setup_teardown(sleep_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_to_join_changes_nothing, setup, teardown),
        cmocka_unit_test(a_guest_ends_the_hosts_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
