#include "net/loop.h"

#include "net/pair.h"
#include "net/post.h"
#include "support/unit.h"
#include "unit/net/fake_loop.h"

#include <stdio.h>
#include <string.h>

/* What happened, one word each. */
static char story[256];

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

/* Pairs of which one end, the subject, has something to read until it is told to stop. */
enum { STREAMS = 4 };

static struct fake_loop fake;
static struct gnt_loop *const loop = &fake.loop;
static struct gnt_stream *subject[STREAMS], *other[STREAMS];

static int setup(void **state)
{
    (void)state;
    story[0] = 0;
    fake_loop_init(&fake);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(gnt_pair_new(loop, loop, 16, &subject[i], &other[i]), GNT_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < STREAMS; i++) {
        gnt_stream_close(&subject[i]);
        gnt_stream_close(&other[i]);
    }
    gnt_loop_fini(loop);
    assert_true(fake.freed);
    return 0;
}

static int index_of(const struct gnt_stream *s)
{
    for (int i = 0; i < STREAMS; i++)
        if (subject[i] == s)
            return i;
    return -1;
}

static void tell_stream(struct gnt_stream *s)
{
    tell((char[]){'s', (char)('0' + index_of(s)), 0});
}

/* Makes subject I ready: what stays ready is called again in each turn. */
static void make_ready(int i, void (*on_ready)(struct gnt_stream *s))
{
    subject[i]->on_ready = on_ready;
    gnt_stream_want(subject[i], GNT_READABLE);
    gnt_stream_notify(subject[i], GNT_READABLE);
}

static void tell_mail(const struct gnt_mail *mail)
{
    (void)mail;
    tell("mail");
}

static void tell_timer(struct gnt_timer *timer, uint64_t now)
{
    (void)timer;
    assert_int_equal(now, loop->now);
    tell("timer");
}

static void tell_task(struct gnt_task *task)
{
    (void)task;
    tell("task");
}

static struct gnt_task end_task;
static struct gnt_post *post;

static void tell_and_send(struct gnt_stream *s)
{
    tell_stream(s);
    gnt_stream_want(s, 0);
    gnt_loop_at_end(loop, &end_task);
    gnt_loop_at_end(loop, &end_task); /* twice is once */
    struct gnt_mail mail = {.run = tell_mail};
    assert_int_equal(gnt_post_send(post, 0, 0, &mail), GNT_OK);
}

static void tell_wait(struct fake_loop *f)
{
    tell("wait");
    f->now += 10;
}

static void test_order_of_a_turn(void **state)
{
    (void)state;
    assert_int_equal(gnt_post_new(1, 8, &post), GNT_OK);
    gnt_post_attach(post, 0, loop);
    gnt_task_init(&end_task, tell_task);
    struct gnt_mail mail = {.run = tell_mail};
    assert_int_equal(gnt_post_send(post, 0, 0, &mail), GNT_OK);
    gnt_post_flush(post, 0);
    struct gnt_timer timer = {.fire = tell_timer};
    assert_int_equal(gnt_loop_set_timer(loop, &timer, fake.now + 10), GNT_OK);
    make_ready(0, tell_and_send);
    fake.in_wait = tell_wait;
    gnt_loop_turn(loop, GNT_NEVER);
    assert_int_equal(loop->now, 1010); /* read after the wait */
    assert_int_equal(fake.waited, 0);
    assert_story("wait mail s0 timer task");
    /* The mail of this turn has been flushed at its end, so the next does not sleep. */
    gnt_loop_turn(loop, GNT_NEVER);
    assert_int_equal(fake.waited, 0);
    assert_story("wait mail");
    gnt_loop_turn(loop, GNT_NEVER);
    assert_int_equal(fake.waited, GNT_NEVER);
    gnt_post_free(&post);
}

static void test_each_ready_stream_once(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        make_ready(i, tell_stream);
    gnt_loop_turn(loop, GNT_NEVER);
    assert_story("s0 s1 s2");
    gnt_loop_turn(loop, GNT_NEVER);
    assert_story("s1 s2 s0");
    gnt_stream_want(subject[0], 0);
    gnt_stream_want(subject[0], GNT_READABLE); /* to the back */
    gnt_stream_want(subject[1], GNT_WRITABLE); /* writable it is, too: it keeps its place */
    gnt_loop_turn(loop, GNT_NEVER);
    assert_story("s2 s1 s0");
    assert_int_equal(fake.waited, 0);
    for (int i = 0; i < 3; i++)
        gnt_stream_want(subject[i], 0);
    gnt_loop_turn(loop, GNT_NEVER);
    assert_story("");
    assert_int_equal(fake.waited, GNT_NEVER);
}

static void tell_and_ready_3(struct gnt_stream *s)
{
    tell_stream(s);
    make_ready(3, tell_stream);
}

/* Where only the first few of a turn may do much, everybody is among them in the end. */
static void test_each_is_the_first_once(void **state)
{
    (void)state;
    for (int i = 0; i < STREAMS; i++)
        make_ready(i, tell_stream);
    gnt_loop_turn(loop, 0);
    assert_story("s0 s1 s2 s3");
    gnt_loop_turn(loop, 0);
    assert_story("s1 s2 s3 s0");
    gnt_stream_want(subject[2], 0);
    gnt_loop_turn(loop, 0);
    assert_story("s3 s0 s1");
    gnt_loop_turn(loop, 0);
    assert_story("s0 s1 s3");
}

static void test_ready_in_a_turn_is_called_in_the_next(void **state)
{
    (void)state;
    make_ready(0, tell_and_ready_3);
    gnt_loop_turn(loop, 0);
    assert_story("s0");
    gnt_loop_turn(loop, 0);
    assert_story("s3 s0");
}

static void tell_and_close(struct gnt_stream *s)
{
    tell_stream(s);
    gnt_stream_close(&subject[index_of(s)]);
}

static void close_1_and_quiet_2(struct gnt_stream *s)
{
    tell_stream(s);
    gnt_stream_close(&subject[1]);
    gnt_stream_want(subject[2], 0);
}

static void close_0(struct gnt_stream *s)
{
    tell_stream(s);
    gnt_stream_close(&subject[0]);
}

static void test_closing_within_callbacks(void **state)
{
    (void)state;
    make_ready(0, tell_and_close); /* itself */
    make_ready(1, tell_stream);
    gnt_loop_turn(loop, 0);
    assert_story("s0 s1");
    make_ready(3, close_1_and_quiet_2); /* one that has been called, one that has not */
    make_ready(2, tell_stream);
    gnt_loop_turn(loop, 0);
    assert_story("s1 s3");
    gnt_loop_turn(loop, 0);
    assert_story("s3");
}

static void test_closing_one_before_its_call(void **state)
{
    (void)state;
    make_ready(1, close_0);
    make_ready(0, tell_stream);
    gnt_loop_turn(loop, 0);
    assert_story("s1");
}

static void test_waits_until_the_next_timer(void **state)
{
    (void)state;
    struct gnt_timer timer = {.fire = tell_timer};
    assert_int_equal(gnt_loop_set_timer(loop, &timer, 1500), GNT_OK);
    fake.now = 1200; /* time has passed since the last turn */
    gnt_loop_turn(loop, GNT_NEVER);
    assert_int_equal(fake.waited, 300);
    gnt_loop_turn(loop, 100);
    assert_int_equal(fake.waited, 100);
    assert_story("");
    fake.now = 1600;
    gnt_loop_turn(loop, GNT_NEVER);
    assert_int_equal(fake.waited, 0);
    assert_story("timer");
    gnt_loop_turn(loop, GNT_NEVER);
    assert_int_equal(fake.waited, GNT_NEVER);
}

static void again_in_5(struct gnt_timer *timer, uint64_t now)
{
    tell("again");
    assert_int_equal(gnt_loop_set_timer(loop, timer, now + 5), GNT_OK);
}

static void test_timer_sets_itself(void **state)
{
    (void)state;
    struct gnt_timer timer = {.fire = again_in_5};
    assert_int_equal(gnt_loop_set_timer(loop, &timer, 1000), GNT_OK);
    gnt_loop_turn(loop, GNT_NEVER);
    assert_story("again");
    gnt_loop_turn(loop, GNT_NEVER);
    assert_story("");
    assert_int_equal(fake.waited, 5);
}

static struct gnt_task second_task;

static void put_off_second(struct gnt_task *task)
{
    (void)task;
    tell("first");
    gnt_loop_at_end(loop, &second_task);
}

static void test_tasks(void **state)
{
    (void)state;
    struct gnt_task first, never;
    gnt_task_init(&first, put_off_second);
    gnt_task_init(&never, tell_task);
    gnt_task_init(&second_task, tell_task);
    gnt_loop_at_end(loop, &first);
    gnt_loop_at_end(loop, &never);
    gnt_task_cancel(&never);
    gnt_task_cancel(&never);
    gnt_loop_turn(loop, GNT_NEVER);
    assert_int_equal(fake.waited, 0); /* something was to be done */
    assert_story("first task");
    gnt_loop_turn(loop, GNT_NEVER);
    assert_story("");
    assert_int_equal(fake.waited, GNT_NEVER);
}

static void tell_sleeping(void *context, bool asleep)
{
    assert_ptr_equal(context, &fake);
    tell(asleep ? "asleep" : "awake");
}

static void test_sleeping_is_told_around_real_waits_only(void **state)
{
    (void)state;
    loop->sleeping = tell_sleeping;
    loop->sleeping_context = &fake;
    fake.in_wait = tell_wait;
    gnt_loop_turn(loop, 0);
    assert_story("wait");
    gnt_loop_turn(loop, 50);
    assert_story("asleep wait awake");
    make_ready(0, tell_stream);
    gnt_loop_turn(loop, 50);
    assert_story("wait s0");
}

static void test_mail_sent_before_the_first_turn_is_not_slept_on(void **state)
{
    (void)state;
    assert_int_equal(gnt_post_new(1, 8, &post), GNT_OK);
    gnt_post_attach(post, 0, loop);
    struct gnt_mail mail = {.run = tell_mail};
    assert_int_equal(gnt_post_send(post, 0, 0, &mail), GNT_OK);
    gnt_loop_turn(loop, GNT_NEVER);
    assert_int_equal(fake.waited, 0);
    gnt_loop_turn(loop, GNT_NEVER);
    assert_int_equal(fake.waited, 0);
    assert_story("mail");
    gnt_post_free(&post);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_of_a_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_ready_stream_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_is_the_first_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ready_in_a_turn_is_called_in_the_next, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_closing_within_callbacks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closing_one_before_its_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits_until_the_next_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timer_sets_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tasks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sleeping_is_told_around_real_waits_only, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_mail_sent_before_the_first_turn_is_not_slept_on, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
