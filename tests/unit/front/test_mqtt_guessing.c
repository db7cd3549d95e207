/* What guessing passwords costs: answers that are held back, and addresses that are blocked. */
#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#include "auth/verifier.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define METHOD  "15 ['SCRAM-SHA-256']"
#define WRONG   "10 | ['MQTT'] 05 c2 0000 () ['five'] ['ann'] ['other']"
#define RIGHT   "10 | ['MQTT'] 05 c2 0000 () ['five'] ['ann'] ['secret']"
#define FIRST   "10 | ['MQTT'] 05 02 0000 (" METHOD " 16 ['n,,n=ann,r=abc']) ['five']"
#define SECOND  "f0 | 18 (" METHOD " 16 ['nonsense'])"
#define CONNACK "20 | 00 00 (22 000a)"
#define REFUSED "20 | 00 86 (1f ['bad user name or password'])"
#define FAILED  "20 | 00 87 (1f ['other-error'])"
#define BANNED  "20 | 00 8a (1f ['banned'])"

static char path[64], setting[80];

/* ann has "secret". */
static int put_user(void **state)
{
    (void)state;
    struct gnt_seeded seeded;
    char text[GNT_VERIFIER_TEXT];
    snprintf(path, sizeof path, "/tmp/gnatter-guessing-%ld", (long)getpid());
    snprintf(setting, sizeof setting, "users=%s", path);
    gnt_seeded_init(&seeded, 1);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(gnt_verifier_make_scram(gnt_slice_str("secret"), 4096, &seeded.door, text),
                     GNT_OK);
    fprintf(f, "ann:%s\n", text);
    assert_int_equal(fclose(f), 0);
    return chmod(path, 0600);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void come_from(struct script *s, const char *dotted)
{
    unsigned a[4];
    assert_int_equal(sscanf(dotted, "%u.%u.%u.%u", &a[0], &a[1], &a[2], &a[3]), 4);
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    v4.sin_addr.s_addr = htonl(a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3]);
    s->from = (struct sockaddr_storage){0};
    memcpy(&s->from, &v4, sizeof v4);
}

/* The second failure of an address is held back for 2 s, the fourth blocks it. */
static void start(struct script *s, const char *more)
{
    char problem[256] = "";
    script_init(s, 1, setting, "guessing.delay_after=1", "guessing.delay=2s",
                "guessing.delay_max=4s", "guessing.block_after=4", "guessing.block=1m",
                "limits.connect_timeout=1s", more, NULL);
    assert_int_equal(gnt_workers_read_users(s->workers, &s->config, problem, sizeof problem),
                     GNT_OK);
    come_from(s, "192.0.2.1");
}

/* The hasher works in its own time. */
static void await(struct script *s, enum gnt_counter what, int64_t count)
{
    enum { PATIENCE = 10000, PAUSE_US = 1000 };
    for (int i = 0; i < PATIENCE && script_counted(s, what) < count; i++) {
        usleep(PAUSE_US);
        script_settle(s);
    }
    assert_int_equal(script_counted(s, what), count);
}

/* A client whose password is wrong; returns when the broker knows it. */
static struct script_client *guess_wrong(struct script *s)
{
    int64_t before = script_counted(s, GNT_COUNT_LOGINS_FAILED);
    struct script_client *c = script_open(s, 0);
    script_send(c, WRONG);
    await(s, GNT_COUNT_LOGINS_FAILED, before + 1);
    return c;
}

static struct script_client *guess_wrong_at_once(struct script *s)
{
    struct script_client *c = guess_wrong(s);
    script_expect(c, REFUSED);
    script_expect_close(c);
    return c;
}

static void block(struct script *s)
{
    guess_wrong_at_once(s);
    for (int i = 0; i < 3; i++)
        guess_wrong(s)->careless = true;
    script_pass(s, 5000);
}

static uint32_t connections(const struct script *s)
{
    return s->workers->lobby.connections;
}

/* ---- Answers that are held back */

static void an_answer_is_held_back(void **state)
{
    (void)state;
    struct script s;
    start(&s, NULL);
    guess_wrong_at_once(&s);
    struct script_client *second = guess_wrong(&s), *third = guess_wrong(&s);
    script_pass(&s, 1900); /* a CONNECT has a second only, but it has come */
    script_expect_silence(second);
    script_pass(&s, 200);
    script_expect(second, REFUSED);
    script_expect_close(second);
    script_pass(&s, 1800);
    script_expect_silence(third);
    script_pass(&s, 200);
    script_expect(third, REFUSED);
    script_expect_close(third);

    struct script_client *c = script_open(&s, 0);
    script_send(c, RIGHT);
    await(&s, GNT_COUNT_CONNECTED, 1); /* who knows the password does not wait */
    script_expect(c, CONNACK);
    script_fini(&s);
}

static void of_scram_too(void **state)
{
    (void)state;
    struct script s;
    start(&s, NULL);
    for (int i = 0; i < 2; i++) {
        struct script_client *c = script_open(&s, 0);
        script_send(c, FIRST);
        script_settle(&s);
        script_read(c);
        assert_int_equal(c->in[0], 0xf0);
        script_skip(c);
        script_send(c, SECOND);
        if (i) {
            script_pass(&s, 1900);
            script_expect_silence(c);
            script_pass(&s, 200);
        }
        script_expect(c, FAILED);
        script_expect_close(c);
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_LOGINS_FAILED), 2);
    script_fini(&s);
}

static void on_loopback_too(void **state)
{
    (void)state;
    struct script s;
    start(&s, NULL);
    come_from(&s, "127.0.0.1");
    block(&s);
    for (int i = 0; i < 3; i++)
        script_expect_silence(guess_wrong(&s));
    script_pass(&s, 5000);
    for (size_t i = s.count - 3; i < s.count; i++) {
        script_expect(&s.client[i], REFUSED);
        script_expect_close(&s.client[i]);
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_BLOCKED), 0);
    script_fini(&s);
}

static void nobody_is_without_an_address(void **state)
{
    (void)state;
    struct script s;
    start(&s, NULL);
    s.from.ss_family = AF_UNIX;
    for (int i = 0; i < 6; i++)
        guess_wrong_at_once(&s);
    script_fini(&s);
}

static void who_goes_is_forgotten(void **state)
{
    (void)state;
    struct script s;
    start(&s, NULL);
    guess_wrong_at_once(&s);
    script_settle(&s);
    struct script_client *c = guess_wrong(&s);
    assert_int_equal(connections(&s), 1);
    script_close(c);
    script_settle(&s);
    assert_int_equal(connections(&s), 0);
    script_fini(&s);
}

/* What it says is thrown away, up to a point. */
static void who_talks_on_is_not_listened_to_for_ever(void **state)
{
    (void)state;
    enum { LONG = 8 * 1024 * 1024, SIZE = 64 * 1024 };
    static uint8_t noise[SIZE];
    struct script s;
    start(&s, NULL);
    guess_wrong_at_once(&s);
    struct script_client *c = guess_wrong(&s);
    size_t taken = 0, n = 0;
    const struct iovec piece = {noise, sizeof noise};
    while (!gnt_stream_writev(c->stream, &piece, 1, &n) && taken < LONG) {
        script_settle(&s);
        taken += n;
    }
    assert_in_range(taken, 2 * SIZE, LONG - 1);
    script_pass(&s, 2000);
    script_expect(c, REFUSED);
    script_expect_close(c);
    script_fini(&s);
}

static void an_end_comes_before_the_answer(void **state)
{
    (void)state;
    struct script s;
    start(&s, NULL);
    guess_wrong_at_once(&s);
    struct script_client *c = guess_wrong(&s);
    gnt_worker_stop(&s.workers->worker[0]);
    script_settle(&s);
    c->careless = true;
    script_close(c);
    script_settle(&s);
    assert_true(gnt_worker_idle(&s.workers->worker[0]));
    script_fini(&s);

    start(&s, NULL);
    guess_wrong_at_once(&s);
    guess_wrong(&s)->careless = true;
    script_fini(&s);
}

/* ---- Blocks */

static void a_blocked_address_is_not_served(void **state)
{
    (void)state;
    struct script s;
    start(&s, "allow_anonymous=true");
    struct script_client *in =
        script_connect(&s, 0, "10 | ['MQTT'] 04 02 0000 ['in']", "20 02 00 00");
    script_settle(&s);
    block(&s);

    struct script_client *c = script_open(&s, 0);
    script_send(c, RIGHT);
    script_expect_close(c);
    assert_int_equal(script_counted(&s, GNT_COUNT_BLOCKED), 1);
    script_send(in, "c000"); /* who is in stays in */
    script_expect(in, "d000");

    come_from(&s, "192.0.2.2");
    c = script_open(&s, 0);
    script_send(c, RIGHT);
    await(&s, GNT_COUNT_CONNECTED, 2);
    script_expect(c, CONNACK);
    script_close(c);

    come_from(&s, "192.0.2.1");
    script_pass(&s, 60000);
    c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 04 02 0000 ['four']");
    script_expect(c, "20 02 00 00");
    script_fini(&s);
}

static void a_reload_lets_it_in_again(void **state)
{
    (void)state;
    struct script s;
    start(&s, NULL);
    block(&s);
    script_expect_close(script_open(&s, 0));
    script_set(&s, "guessing.block_after=off");
    script_set(&s, "guessing.delay_after=off");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_settle(&s);
    for (int i = 0; i < 30; i++)
        guess_wrong_at_once(&s);
    struct script_client *c = script_open(&s, 0);
    script_send(c, RIGHT);
    await(&s, GNT_COUNT_CONNECTED, 1);
    script_expect(c, CONNACK);
    script_fini(&s);
}

/* All that had connected before: nothing is looked at any more, not even what is right. */
static void nothing_is_looked_at_any_more(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {RIGHT, BANNED},
        {FIRST, BANNED},
        {"10 | ['MQTT'] 04 02 0000 ['four']", "20 02 00 05"},
    };
    struct script s;
    start(&s, "limits.connect_timeout=1m");
    struct script_client *early[COUNT_OF(rows)], *asked = script_open(&s, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        early[i] = script_open(&s, 0);
    script_send(asked, FIRST);
    script_settle(&s);
    script_read(asked);
    script_skip(asked);
    block(&s);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        script_send(early[i], rows[i][0]);
        script_expect(early[i], rows[i][1]);
        script_expect_close(early[i]);
    }
    script_send(asked, SECOND);
    script_expect(asked, BANNED);
    script_expect_close(asked);
    assert_int_equal(script_counted(&s, GNT_COUNT_LOGINS_FAILED), 4);
    script_fini(&s);
}

/* The right one is among them, but too late. */
static void guesses_side_by_side_count_one_by_one(void **state)
{
    (void)state;
    struct script s;
    start(&s, NULL);
    struct script_client *guess[6];
    for (size_t i = 0; i < COUNT_OF(guess); i++) {
        guess[i] = script_open(&s, 0);
        guess[i]->careless = true;
        script_send(guess[i], i < COUNT_OF(guess) - 1 ? WRONG : RIGHT);
    }
    script_settle(&s);
    await(&s, GNT_COUNT_CONNECTIONS_REFUSED, 3); /* the first and the last two */
    script_expect(guess[COUNT_OF(guess) - 1], BANNED);
    assert_int_equal(script_counted(&s, GNT_COUNT_LOGINS_FAILED), 4);
    script_fini(&s);
}

/* ---- Memory */

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct script s;
        start(&s, NULL);
        guess_wrong_at_once(&s);
        struct script_client *c = script_open(&s, 0);
        script_send(c, FIRST);
        script_settle(&s);
        script_read(c);
        script_skip(c);
        script_send(c, SECOND);
        gnt_alloc_fail_at(n);
        script_settle(&s);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        script_read(c);
        assert_true(failed || c->in_size == 0);
        c->careless = true;
        script_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_held_back),
        cmocka_unit_test(of_scram_too),
        cmocka_unit_test(on_loopback_too),
        cmocka_unit_test(nobody_is_without_an_address),
        cmocka_unit_test(who_goes_is_forgotten),
        cmocka_unit_test(who_talks_on_is_not_listened_to_for_ever),
        cmocka_unit_test(an_end_comes_before_the_answer),
        cmocka_unit_test(a_blocked_address_is_not_served),
        cmocka_unit_test(a_reload_lets_it_in_again),
        cmocka_unit_test(nothing_is_looked_at_any_more),
        cmocka_unit_test(guesses_side_by_side_count_one_by_one),
        cmocka_unit_test(bears_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, put_user, remove_file);
}
