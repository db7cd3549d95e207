#include "net/post.h"

#include "support/alloc_fault.h"
#include "support/unit.h"
#include "unit/net/fake_loop.h"

/* Two loops that exchange numbers; what arrives is written down. */
enum { A, B, LOOPS, RING = 4 };

static struct gnt_post *post;
static struct fake_loop fake[LOOPS];
static uint64_t came[256];
static size_t came_count;

static int setup(void **state)
{
    (void)state;
    came_count = 0;
    assert_int_equal(gnt_post_new(LOOPS, RING, &post), GNT_OK);
    for (unsigned i = 0; i < LOOPS; i++) {
        fake_loop_init(&fake[i]);
        gnt_post_attach(post, i, &fake[i].loop);
        assert_ptr_equal(fake[i].loop.post, post);
        assert_int_equal(fake[i].loop.address, i);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gnt_post_free(&post);
    assert_null(post);
    for (unsigned i = 0; i < LOOPS; i++)
        gnt_loop_fini(&fake[i].loop);
    return 0;
}

static void write_down(const struct gnt_mail *mail)
{
    assert_ptr_equal(mail->to, came);
    assert_ptr_equal(mail->object, &came_count);
    assert_true(came_count < 256);
    came[came_count++] = mail->value;
}

static struct gnt_mail number(uint64_t value)
{
    return (struct gnt_mail){.run = write_down, .to = came, .object = &came_count, .value = value};
}

static void send(unsigned from, unsigned to, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last; i++) {
        struct gnt_mail mail = number(i);
        assert_int_equal(gnt_post_send(post, from, to, &mail), GNT_OK);
    }
}

/* What has come since the last call is FIRST to LAST. */
static void assert_came(uint64_t first, uint64_t last)
{
    assert_int_equal(came_count, last - first + 1);
    for (size_t i = 0; i < came_count; i++)
        assert_int_equal(came[i], first + i);
    came_count = 0;
}

static void test_bad_sizes(void **state)
{
    (void)state;
    struct gnt_post *p;
    assert_int_equal(gnt_post_new(0, 4, &p), GNT_INVALID);
    assert_int_equal(gnt_post_new(2, 0, &p), GNT_INVALID);
    assert_int_equal(gnt_post_new(2, 6, &p), GNT_INVALID);
    assert_int_equal(gnt_post_new(2, SIZE_MAX / 4 + 1, &p), GNT_NOMEM);
}

static void test_visible_at_flush_and_in_order(void **state)
{
    (void)state;
    send(A, B, 1, 3);
    assert_int_equal(gnt_post_receive(post, B), 0);
    gnt_post_flush(post, A);
    assert_false(gnt_post_backlog(post, A));
    assert_int_equal(gnt_post_receive(post, A), 0); /* not its own */
    assert_int_equal(gnt_post_receive(post, B), 3);
    assert_came(1, 3);
    assert_int_equal(gnt_post_receive(post, B), 0);
}

static void test_to_itself(void **state)
{
    (void)state;
    send(A, A, 1, 6);
    gnt_post_flush(post, A);
    assert_int_equal(gnt_post_receive(post, A), RING);
    gnt_post_flush(post, A);
    assert_int_equal(gnt_post_receive(post, A), 2);
    assert_came(1, 6);
}

static void test_full_ring_goes_on_in_the_outbox(void **state)
{
    (void)state;
    send(A, B, 1, 100);
    gnt_post_flush(post, A);
    assert_true(gnt_post_backlog(post, A));
    assert_false(gnt_post_backlog(post, B));
    assert_int_equal(gnt_post_unsent(post, A), 100 - RING);
    assert_int_equal(gnt_post_unsent(post, B), 0);
    assert_int_equal(gnt_post_receive(post, B), RING);
    send(A, B, 101, 110); /* there is room in the ring now, but not before those in the outbox */
    for (uint64_t left = 106; left;) {
        gnt_post_flush(post, A);
        size_t n = gnt_post_receive(post, B);
        assert_int_equal(n, left < RING ? left : RING);
        left -= n;
        /* What the ring takes with the next flush is backlog until then. */
        assert_int_equal(gnt_post_backlog(post, A), left != 0);
    }
    assert_came(1, 110);
    assert_int_equal(gnt_post_unsent(post, A), 0);
    send(A, B, 111, 112);
    gnt_post_flush(post, A);
    assert_int_equal(gnt_post_receive(post, B), 2);
    assert_came(111, 112);
}

static uint64_t work_of_mails(const void *each)
{
    return came_count * *(const uint64_t *)each;
}

static void test_much_work_is_divided(void **state)
{
    (void)state;
    uint64_t each = GNT_POST_WORK / 2;
    fake[B].loop.work = work_of_mails;
    fake[B].loop.work_context = &each;
    send(A, B, 1, 4);
    gnt_post_flush(post, A);
    assert_int_equal(gnt_post_receive(post, B), 2);
    assert_false(gnt_post_backlog(post, A)); /* as much again is left */
    assert_false(gnt_post_may_sleep(post, B));
    assert_int_equal(gnt_post_receive(post, B), 2);
    assert_true(gnt_post_may_sleep(post, B));
    gnt_post_woke(post, B);
    assert_came(1, 4);
}

static void test_who_is_behind_holds_its_senders_back(void **state)
{
    (void)state;
    uint64_t each = GNT_POST_WORK * 2;
    fake[B].loop.work = work_of_mails;
    fake[B].loop.work_context = &each;
    send(A, B, 1, 4);
    gnt_post_flush(post, A);
    assert_int_equal(gnt_post_receive(post, B), 1);
    assert_true(gnt_post_backlog(post, A));
    assert_false(gnt_post_backlog(post, B));
    assert_true(gnt_post_may_sleep(post, A));
    assert_int_equal(gnt_post_receive(post, B), 1);
    assert_int_equal(fake[A].wakes, 0);
    assert_int_equal(gnt_post_receive(post, B), 1);
    assert_int_equal(fake[A].wakes, 1);
    gnt_post_woke(post, A);
    assert_false(gnt_post_may_sleep(post, A)); /* it has not seen it yet */
    assert_false(gnt_post_backlog(post, A));
    assert_true(gnt_post_may_sleep(post, A));
    assert_int_equal(gnt_post_receive(post, B), 1);
    assert_came(1, 4);
}

static void test_sleeper_is_woken_once(void **state)
{
    (void)state;
    assert_true(gnt_post_may_sleep(post, B));
    send(A, B, 1, 1);
    assert_int_equal(fake[B].wakes, 0); /* not before it is visible */
    gnt_post_flush(post, A);
    assert_int_equal(fake[B].wakes, 1);
    send(A, B, 2, 2);
    gnt_post_flush(post, A);
    struct gnt_mail mail = number(3);
    assert_int_equal(gnt_post_send_outside(post, B, &mail), GNT_OK);
    assert_int_equal(fake[B].wakes, 1);
    gnt_post_woke(post, B);
    assert_int_equal(gnt_post_receive(post, B), 3);
    assert_came(1, 3);
    gnt_post_flush(post, A);
    send(A, B, 4, 4);
    gnt_post_flush(post, A);
    assert_int_equal(fake[B].wakes, 1); /* it is awake */
    assert_int_equal(fake[A].wakes, 0);
    assert_int_equal(gnt_post_receive(post, B), 1);
    assert_came(4, 4);
}

static void test_does_not_sleep_on_mail(void **state)
{
    (void)state;
    send(A, B, 1, 1);
    assert_false(gnt_post_may_sleep(post, A)); /* not flushed */
    gnt_post_flush(post, A);
    assert_true(gnt_post_may_sleep(post, A));
    gnt_post_woke(post, A);
    assert_false(gnt_post_may_sleep(post, B)); /* not received */
    send(A, B, 2, 2);
    gnt_post_flush(post, A);
    assert_int_equal(fake[B].wakes, 0); /* who was refused does not sleep */
    assert_int_equal(gnt_post_receive(post, B), 2);
    assert_true(gnt_post_may_sleep(post, B));
    gnt_post_woke(post, B);
    struct gnt_mail mail = number(3);
    assert_int_equal(gnt_post_send_outside(post, B, &mail), GNT_OK);
    assert_false(gnt_post_may_sleep(post, B));
    assert_int_equal(gnt_post_receive(post, B), 1);
    assert_came(1, 3);
    assert_true(gnt_post_may_sleep(post, B));
}

static void test_sender_with_a_backlog_is_woken_for_room(void **state)
{
    (void)state;
    send(A, B, 1, 10);
    gnt_post_flush(post, A);
    assert_true(gnt_post_may_sleep(post, A)); /* no room: waiting is all that it can do */
    assert_int_equal(fake[A].wakes, 0);
    assert_int_equal(gnt_post_receive(post, B), RING);
    assert_int_equal(fake[A].wakes, 1);
    gnt_post_woke(post, A);
    assert_false(gnt_post_may_sleep(post, A)); /* there is room */
    gnt_post_flush(post, A);
    assert_int_equal(gnt_post_receive(post, B), RING);
    assert_int_equal(fake[A].wakes, 1); /* it did not sleep */
    assert_false(gnt_post_may_sleep(post, A));
    gnt_post_flush(post, A);
    assert_false(gnt_post_backlog(post, A));
    assert_true(gnt_post_may_sleep(post, A));
    assert_int_equal(gnt_post_receive(post, B), 2);
    assert_int_equal(fake[A].wakes, 1); /* it wants no room any more */
    assert_came(1, 10);
}

static void send_one_more(const struct gnt_mail *mail)
{
    write_down(mail);
    if (mail->value >= 20)
        return;
    struct gnt_mail next = *mail;
    next.value++;
    assert_int_equal(gnt_post_send(post, B, B, &next), GNT_OK);
    assert_int_equal(gnt_post_send_outside(post, B, &next), GNT_OK);
}

static void test_what_mail_sends_waits_for_the_next_receive(void **state)
{
    (void)state;
    struct gnt_mail mail = number(19);
    mail.run = send_one_more;
    assert_int_equal(gnt_post_send(post, A, B, &mail), GNT_OK);
    gnt_post_flush(post, A);
    assert_int_equal(gnt_post_receive(post, B), 2); /* itself, and what came from outside */
    gnt_post_flush(post, B);
    assert_int_equal(gnt_post_receive(post, B), 1);
    assert_int_equal(came[1], 20);
    assert_int_equal(came[2], 20);
}

static void test_from_outside(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 200; i++) {
        struct gnt_mail mail = number(i);
        assert_int_equal(gnt_post_send_outside(post, A, &mail), GNT_OK);
    }
    assert_int_equal(gnt_post_receive(post, B), 0);
    assert_int_equal(gnt_post_receive(post, A), 200);
    assert_came(1, 200);
    assert_int_equal(gnt_post_receive(post, A), 0);
}

static void test_free_drops_what_nobody_took(void **state)
{
    (void)state;
    send(A, B, 1, 100);
    gnt_post_flush(post, A);
    struct gnt_mail mail = number(1);
    assert_int_equal(gnt_post_send_outside(post, B, &mail), GNT_OK);
    gnt_post_free(&post);
    assert_int_equal(came_count, 0);
    gnt_post_free(&post); /* NULL is fine */
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct gnt_post *p = NULL;
    for (long n = 0;; n++) {
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_post_new(2, 2, &p);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        if (!failed)
            break;
        assert_null(p);
    }
    gnt_post_free(&p);

    struct gnt_mail mail = number(RING + 1);
    send(A, B, 1, RING);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_post_send(post, A, B, &mail), GNT_NOMEM);
    assert_false(gnt_post_backlog(post, A));
    send(A, B, RING + 1, 64 + RING); /* the first outbox is full */
    mail.value = 64 + RING + 1;
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_post_send(post, A, B, &mail), GNT_NOMEM);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_post_send_outside(post, B, &mail), GNT_NOMEM);
    assert_int_equal(gnt_post_receive(post, B), 0);
    while (gnt_post_flush(post, A), gnt_post_receive(post, B))
        ;
    assert_came(1, 64 + RING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_sizes),
        cmocka_unit_test_setup_teardown(test_visible_at_flush_and_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_to_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_ring_goes_on_in_the_outbox, setup, teardown),
        cmocka_unit_test_setup_teardown(test_much_work_is_divided, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_behind_holds_its_senders_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sleeper_is_woken_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_does_not_sleep_on_mail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sender_with_a_backlog_is_woken_for_room, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_mail_sends_waits_for_the_next_receive, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_from_outside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_drops_what_nobody_took, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
