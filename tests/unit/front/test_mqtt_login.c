/* Who a client is: passwords and SCRAM, through engine, front and hasher. */
#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#include "auth/verifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define METHOD     "15 ['SCRAM-SHA-256']"
#define CONNECT4   "10 | ['MQTT'] 04 c2 0000 ['four'] "
#define CONNECT5   "10 | ['MQTT'] 05 c2 0000 () ['five'] "
#define CONNACK5   "20 | 00 00 (22 000a)"
#define REFUSED5   "20 | 00 86 (1f ['bad user name or password'])"
#define AUTH_EMPTY "f0 | 18 (" METHOD ")"

static struct gnt_seeded seeded;
static char path[64], setting[80];

/* ann has "secret", bob "other". */
static void put_users(const char *names)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (const char *c = names; *c; c++) {
        char text[GNT_VERIFIER_TEXT];
        const char *password = *c == 'a' ? "secret" : "other";
        assert_int_equal(gnt_verifier_make_scram(gnt_slice_str(password), 4096, &seeded.door, text),
                         GNT_OK);
        fprintf(f, "%s:%s\n", *c == 'a' ? "ann" : "bob", text);
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void read_users(struct script *s)
{
    char problem[256] = "";
    assert_int_equal(gnt_workers_read_users(s->workers, &s->config, problem, sizeof problem),
                     GNT_OK);
    assert_string_equal(problem, "");
    script_settle(s);
}

static void start(struct script *s, unsigned workers, const char *more)
{
    put_users("ab");
    script_init(s, workers, setting, more, NULL);
    read_users(s);
}

/* The hasher works in its own time: until the client has been told something. */
static void await(struct script_client *c)
{
    enum { PATIENCE = 10000, PAUSE_US = 1000 };
    for (int i = 0; i < PATIENCE; i++) {
        script_settle(c->script);
        script_read(c);
        if (c->in_size || c->ended)
            return;
        usleep(PAUSE_US);
    }
    fail_msg("nothing came");
}

/* ---- SCRAM */

static enum gnt_scram_hash by; /* by which one logs in */

/* The authentication data of the one packet that the client has been sent, taken away with it. */
static void take_data(struct script_client *c, struct gnt_buf *out)
{
    const char *method = gnt_scram_name(by);
    script_settle(c->script);
    script_read(c);
    const uint8_t *at = memmem(c->in, c->in_size, method, strlen(method));
    assert_non_null(at);
    at += strlen(method);
    gnt_buf_clear(out);
    if (at < c->in + c->in_size && *at == 0x16)
        assert_int_equal(gnt_buf_put(out, gnt_slice(at + 3, (size_t)at[1] << 8 | at[2])), GNT_OK);
    script_skip(c);
}

static void send_auth(struct script_client *c, const char *code, const struct gnt_buf *data)
{
    struct gnt_slice d = gnt_buf_slice(data);
    script_sendf(c, "f0 | %s (15 ['%s'] 16 ['%.*s'])", code, gnt_scram_name(by), (int)d.size,
                 (const char *)d.data);
}

static void send_connect(struct script_client *c, const char *id, const struct gnt_buf *data)
{
    struct gnt_slice d = gnt_buf_slice(data);
    script_sendf(c, "10 | ['MQTT'] 05 02 0000 (15 ['%s'] 16 ['%.*s']) ['%s']", gnt_scram_name(by),
                 (int)d.size, (const char *)d.data, id);
}

struct login {
    struct gnt_scram_client scram;
    struct gnt_buf to, from;
};

static void login_begin(struct login *l, const char *user)
{
    *l = (struct login){0};
    assert_int_equal(
        gnt_scram_client_begin(&l->scram, by, gnt_slice_str(user), &seeded.door, &l->to), GNT_OK);
}

static void login_answer(struct login *l, struct script_client *c, const char *password)
{
    take_data(c, &l->from);
    gnt_buf_clear(&l->to);
    assert_int_equal(gnt_scram_client_answer(&l->scram, gnt_buf_slice(&l->from),
                                             gnt_slice_str(password), &l->to),
                     GNT_OK);
    send_auth(c, "18", &l->to);
}

static void login_fini(struct login *l)
{
    gnt_scram_client_fini(&l->scram);
    gnt_buf_fini(&l->to);
    gnt_buf_fini(&l->from);
}

static struct script_client *log_in(struct script *s, unsigned worker, const char *id,
                                    const char *user, const char *password)
{
    struct login l;
    struct script_client *c = script_open(s, worker);
    login_begin(&l, user);
    send_connect(c, id, &l.to);
    login_answer(&l, c, password);
    script_settle(s);
    script_read(c);
    if (c->in_size > 3 && c->in[0] == 0x20 && c->in[3] == 0) {
        take_data(c, &l.from);
        assert_int_equal(gnt_scram_client_verify(&l.scram, gnt_buf_slice(&l.from)), GNT_OK);
    }
    login_fini(&l);
    return c;
}

static void again(struct script_client *c, const char *user, const char *password)
{
    struct login l;
    login_begin(&l, user);
    send_auth(c, "19", &l.to);
    login_answer(&l, c, password);
    script_settle(c->script);
    script_read(c);
    if (c->in_size > 0 && c->in[0] == 0xf0) {
        assert_int_equal(c->in[2], 0);
        take_data(c, &l.from);
        assert_int_equal(gnt_scram_client_verify(&l.scram, gnt_buf_slice(&l.from)), GNT_OK);
    }
    login_fini(&l);
}

static void logs_in_wherever_it_is_at_home(void **state)
{
    (void)state;
    struct script s;
    char id[16];
    start(&s, 2, NULL);
    for (unsigned home = 0; home < 2; home++) {
        struct script_client *c = log_in(&s, 0, script_id_at(&s, home, 1, id), "ann", "secret");
        script_send(c, "c000");
        script_expect(c, "d000");
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTED), 2);
    script_fini(&s);
}

static void by_the_other_hash(void **state)
{
    (void)state;
    struct script s;
    start(&s, 1, NULL);
    by = GNT_SCRAM_SHA_512;
    struct script_client *c = log_in(&s, 0, "a", "ann", "secret");
    again(c, "ann", "secret");
    script_send(c, "c000");
    script_expect(c, "d000");
    again(c, "ann", "other");
    script_expect(c, "e0 | 87 (1f ['invalid-proof'])");
    script_expect_close(c);
    c = log_in(&s, 0, "a", "zoe", "secret");
    script_expect(c, "20 | 00 87 (1f ['invalid-proof'])");
    script_expect_close(c);
    by = GNT_SCRAM_SHA_256;
    c = log_in(&s, 0, "a", "ann", "secret"); /* who has both has the same password */
    script_send(c, "c000");
    script_expect(c, "d000");
    script_fini(&s);
}

static void is_asked_for_what_it_left_out(void **state)
{
    (void)state;
    struct script s;
    struct login l;
    start(&s, 1, NULL);
    struct script_client *c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 05 02 0000 (" METHOD ") ['a']");
    script_expect(c, AUTH_EMPTY);
    login_begin(&l, "ann");
    send_auth(c, "18", &l.to);
    login_answer(&l, c, "secret");
    take_data(c, &l.from);
    assert_int_equal(gnt_scram_client_verify(&l.scram, gnt_buf_slice(&l.from)), GNT_OK);
    login_fini(&l);

    c = script_open(&s, 0); /* but once */
    script_send(c, "10 | ['MQTT'] 05 02 0000 (" METHOD ") ['b']");
    script_expect(c, AUTH_EMPTY);
    script_send(c, AUTH_EMPTY);
    script_expect(c, "20 | 00 87 (1f ['other-error'])");
    script_expect_close(c);
    script_fini(&s);
}

static void who_cannot_prove_it_stays_out(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"ann", "other"}, {"bob", "secret"}, {"zoe", "secret"}};
    struct script s;
    start(&s, 1, "allow_anonymous=true");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script_client *c = log_in(&s, 0, "a", rows[i][0], rows[i][1]);
        script_expect(c, "20 | 00 87 (1f ['invalid-proof'])");
        script_expect_close(c);
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTIONS_REFUSED), COUNT_OF(rows));
    assert_int_equal(script_counted(&s, GNT_COUNT_SESSIONS), 0);
    script_fini(&s);
}

/* What comes instead of the answer to the challenge, and what is said to it. */
static void before_connack(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"c000", "20 | 00 82 (1f ['protocol error'])"},
        {"30 | ['t'] () 'x'", "20 | 00 82 (1f ['protocol error'])"},
        {"82 | 0001 () ['t'] 00", "20 | 00 82 (1f ['protocol error'])"},
        {"10 | ['MQTT'] 05 02 0000 () ['a']", "20 | 00 82 (1f ['protocol error'])"},
        {"f0 | 19 (" METHOD " 16 ['n,,n=ann,r=abc'])", "20 | 00 82 (1f ['protocol error'])"},
        {"f0 | 00 (" METHOD ")", "20 | 00 82 (1f ['protocol error'])"},
        {"f0 00", "20 | 00 82 (1f ['protocol error'])"},
        {"f0 | 18 (16 ['x'])", "20 | 00 82 (1f ['protocol error'])"},
        {"f0 | 18 (15 ['SCRAM-SHA-1'] 16 ['x'])",
         "20 | 00 82 (1f ['another authentication method'])"},
        {"f0 | 18 (15 ['SCRAM-SHA-512'] 16 ['x'])",
         "20 | 00 82 (1f ['another authentication method'])"},
        {"f1 | 18 (" METHOD ")", "20 | 00 81 (1f ['malformed packet'])"},
        {AUTH_EMPTY, "20 | 00 87 (1f ['other-error'])"},
        {"f0 | 18 (" METHOD " 16 ['nonsense'])", "20 | 00 87 (1f ['other-error'])"},
        {"e0 00", ""},
        {"e0 | 04 ()", ""},
        {"e0 | 00 (11 00000001)", ""},
    };
    struct script s;
    start(&s, 1, NULL);
    struct script_client *watcher =
        script_connect(&s, 0, "10 | ['MQTT'] 04 02 0000 ['watcher']", "20 02 00 00");
    script_send(watcher, "82 | 0001 ['#'] 00");
    script_expect(watcher, "90 | 0001 00");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_buf challenge = {0};
        struct script_client *c = script_open(&s, 0);
        script_send(c, "10 | ['MQTT'] 05 06 0000 (" METHOD " 16 ['n,,n=ann,r=abc']) ['a'] () ['w'] "
                       "['will']");
        take_data(c, &challenge);
        script_send(c, rows[i][0]);
        script_expect(c, rows[i][1]);
        script_expect_close(c);
        gnt_buf_fini(&challenge);
    }
    script_expect_silence(watcher); /* nobody had a will yet */
    assert_int_equal(script_counted(&s, GNT_COUNT_SESSIONS), 1);
    script_fini(&s);
}

static void methods_that_are_not_known(void **state)
{
    (void)state;
    struct script s;
    start(&s, 1, NULL);
    struct script_client *c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 05 02 0000 (15 ['SCRAM-SHA-256-PLUS']) ['a']");
    script_expect(c, "20 | 00 8c (1f ['bad authentication method'])");
    script_expect_close(c);
    c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 05 02 0000 (" METHOD " 16 ['p=tls-unique,,n=ann,r=a']) ['a']");
    script_expect(c, "20 | 00 87 (1f ['channel-binding-not-supported'])");
    script_expect_close(c);
    script_fini(&s);
    script_init(&s, 1, NULL); /* nor is any where there are no users */
    c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 05 02 0000 (" METHOD " 16 ['n,,n=ann,r=a']) ['a']");
    script_expect(c, "20 | 00 8c (1f ['bad authentication method'])");
    script_expect_close(c);
    script_fini(&s);
}

static void takes_no_longer_than_a_connect_may(void **state)
{
    (void)state;
    struct script s;
    struct login l;
    start(&s, 1, "limits.connect_timeout=2s");
    struct script_client *c = script_open(&s, 0);
    script_pass(&s, 1000);
    login_begin(&l, "ann");
    send_connect(c, "a", &l.to);
    take_data(c, &l.from);
    script_pass(&s, 900);
    script_expect_silence(c);
    script_pass(&s, 200);
    script_expect_close(c);
    login_fini(&l);
    script_fini(&s);
}

/* ---- Again [MQTT5 4.12.1] */

static void authenticates_again_while_messages_flow(void **state)
{
    (void)state;
    struct script s;
    struct login l;
    start(&s, 1, NULL);
    struct script_client *c = log_in(&s, 0, "a", "ann", "secret");
    again(c, "ann", "secret");
    again(c, "ann", "secret");
    script_send(c, "82 | 0001 () ['t'] 00");
    script_expect(c, "90 | 0001 () 00");
    login_begin(&l, "ann");
    send_auth(c, "19", &l.to);
    take_data(c, &l.from);
    script_send(c, "30 | ['t'] () 'x'; c000");
    script_expect(c, "30 | ['t'] () 'x'; d000");
    login_fini(&l);
    script_fini(&s);
}

static void whoever_fails_again_is_cut_off(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"ann", "other", "e0 | 87 (1f ['invalid-proof'])"},
        {"zoe", "secret", "e0 | 87 (1f ['invalid-proof'])"},
        {"bob", "other", "e0 | 87 (1f ['only the same user can authenticate again'])"},
    };
    struct script s;
    start(&s, 1, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script_client *c = log_in(&s, 0, "a", "ann", "secret");
        again(c, rows[i][0], rows[i][1]);
        script_expect(c, rows[i][2]);
        script_expect_close(c);
    }
    static const char *const packets[][2] = {
        {"f0 | 19 (15 ['SCRAM-SHA-1'] 16 ['x'])", "e0 | 82 (1f ['another authentication method'])"},
        {"f0 | 19 (15 ['SCRAM-SHA-512'] 16 ['n,,n=ann,r=abc'])",
         "e0 | 82 (1f ['another authentication method'])"},
        {"f0 | 18 (" METHOD " 16 ['x'])", "e0 | 82 (1f ['protocol error'])"},
        {"f0 | 19 (" METHOD " 16 ['m=x'])", "e0 | 87 (1f ['other-error'])"},
    };
    for (size_t i = 0; i < COUNT_OF(packets); i++) {
        struct script_client *c = log_in(&s, 0, "a", "ann", "secret");
        script_send(c, packets[i][0]);
        script_expect(c, packets[i][1]);
        script_expect_close(c);
    }
    script_fini(&s);
}

static void no_auth_from_who_has_named_no_method(void **state)
{
    (void)state;
    struct script s;
    start(&s, 1, NULL);
    struct script_client *c = script_open(&s, 0);
    script_send(c, CONNECT5 "['ann'] ['secret']");
    await(c);
    script_expect(c, CONNACK5);
    script_send(c, "f0 | 19 (" METHOD " 16 ['n,,n=ann,r=abc'])");
    script_expect(c, "e0 | 82 (1f ['protocol error'])");
    script_expect_close(c);
    script_fini(&s);
}

/* ---- Passwords */

static void passwords(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {CONNECT4 "['ann'] ['secret']", "20 02 00 00"},
        {CONNECT4 "['ann'] ['other']", "20 02 00 04"},
        {CONNECT4 "['zoe'] ['secret']", "20 02 00 04"},
        {CONNECT4 "['ann'] []", "20 02 00 04"},
        {CONNECT4 "[] ['secret']", "20 02 00 04"},
        {"10 | ['MQTT'] 04 82 0000 ['four'] ['ann']", "20 02 00 04"},
        {"10 | ['MQIsdp'] 03 c2 0000 ['three'] ['ann'] ['secret']", "20 02 00 00"},
        {CONNECT5 "['ann'] ['secret']", CONNACK5},
        {CONNECT5 "['ann'] ['other']", REFUSED5},
        {CONNECT5 "['bob'] ['other']", CONNACK5},
        {"10 | ['MQTT'] 05 42 0000 () ['five'] ['secret']", REFUSED5},
    };
    struct script s;
    start(&s, 2, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script_client *c = script_open(&s, (unsigned)i % 2);
        script_send(c, rows[i][0]);
        await(c);
        bool in = c->in_size > 3 && c->in[3] == 0;
        script_expect(c, rows[i][1]);
        if (in)
            script_close(c);
        else
            script_expect_close(c);
    }
    struct script_client *c = script_open(&s, 0);
    script_sendf(c, CONNECT5 "['ann'] ['%01025d']", 0);
    script_expect(c, REFUSED5);
    script_expect_close(c);
    script_fini(&s);
}

/* Not by mail, which a connection from another worker could overtake. */
static void users_are_there_before_the_first_client(void **state)
{
    (void)state;
    struct script s;
    char problem[256];
    put_users("ab");
    script_init(&s, 2, setting, NULL);
    assert_int_equal(gnt_workers_read_users(s.workers, &s.config, problem, sizeof problem), GNT_OK);
    for (unsigned i = 0; i < 2; i++)
        assert_ptr_equal(s.workers->worker[i].mqtt->users, s.workers->users);
    script_fini(&s);
}

static void anonymous_as_before(void **state)
{
    (void)state;
    struct script s;
    start(&s, 1, "allow_anonymous=true");
    script_connect(&s, 0, "10 | ['MQTT'] 04 02 0000 ['a']", "20 02 00 00");
    script_fini(&s);
    start(&s, 1, "allow_anonymous=false");
    script_expect_close(script_connect(&s, 0, "10 | ['MQTT'] 04 02 0000 ['a']", "20 02 00 05"));
    script_fini(&s);
    start(&s, 1, NULL); /* loopback, and there the listener is */
    script_connect(&s, 0, "10 | ['MQTT'] 04 02 0000 ['a']", "20 02 00 00");
    script_fini(&s);
}

static void what_stands_behind_a_password_waits(void **state)
{
    (void)state;
    struct script s;
    start(&s, 2, NULL);
    struct script_client *c = script_open(&s, 0);
    script_send(c, CONNECT5 "['ann'] ['secret']; 82 | 0001 () ['t'] 00; 30 | ['t'] () 'x'; c000");
    await(c);
    script_expect(c, CONNACK5 "; 90 | 0001 () 00; 30 | ['t'] () 'x'; d000");
    c = script_open(&s, 0);
    script_send(c, CONNECT5 "['ann'] ['wrong']; 30 | ['t'] () 'x'");
    await(c);
    script_expect(c, REFUSED5);
    script_expect_close(c);
    script_fini(&s);
}

/* The hasher holds a password for a connection that goes, or a broker that ends. */
static void may_go_while_the_password_is_looked_at(void **state)
{
    (void)state;
    for (int stop = 0; stop < 3; stop++) {
        struct script s;
        start(&s, 1, "limits.connect_timeout=100ms");
        for (int i = 0; i < 20; i++) {
            struct script_client *c = script_open(&s, 0);
            script_send(c, CONNECT5 "['ann'] ['secret']");
            c->careless = true;
        }
        script_settle(&s);
        if (stop == 0)
            script_pass(&s, 200);
        if (stop == 1)
            gnt_worker_stop(&s.workers->worker[0]);
        script_settle(&s);
        for (size_t i = 0; i < s.count; i++)
            script_close(&s.client[i]);
        script_fini(&s);
    }
}

/* ---- The file again */

static void a_reload_changes_who_may_come(void **state)
{
    (void)state;
    struct script s;
    start(&s, 2, NULL);
    struct script_client *c = log_in(&s, 0, "a", "bob", "other");
    put_users("a");
    read_users(&s);
    script_send(c, "c000"); /* who is in stays in, until it has to show it again */
    script_expect(c, "d000");
    again(c, "bob", "other");
    script_expect(c, "e0 | 87 (1f ['invalid-proof'])");
    script_expect_close(c);
    script_expect(log_in(&s, 0, "b", "bob", "other"), "20 | 00 87 (1f ['invalid-proof'])");

    char problem[256];
    assert_int_equal(unlink(path), 0); /* what cannot be read changes nothing */
    assert_int_equal(gnt_workers_read_users(s.workers, &s.config, problem, sizeof problem),
                     GNT_NOTFOUND);
    assert_non_null(strstr(problem, "No such file"));
    script_settle(&s);
    script_close(log_in(&s, 1, "c", "ann", "secret"));
    s.client[s.count - 2].careless = true;
    script_fini(&s);
}

/* ---- Memory */

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct script s;
        struct login l;
        start(&s, 1, NULL);
        struct script_client *c = script_open(&s, 0);
        login_begin(&l, "ann");
        send_connect(c, "a", &l.to);
        gnt_alloc_fail_at(n);
        script_settle(&s);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        script_read(c);
        if (!failed) {
            login_answer(&l, c, "secret");
            gnt_alloc_fail_at(-1);
        }
        c->careless = true;
        login_fini(&l);
        script_fini(&s);
    }
}

static void bears_it_at_the_end_of_the_exchange(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct script s;
        struct login l;
        start(&s, 1, NULL);
        struct script_client *c = script_open(&s, 0);
        login_begin(&l, "ann");
        send_connect(c, "a", &l.to);
        login_answer(&l, c, "secret");
        gnt_alloc_fail_at(n);
        script_settle(&s);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        script_read(c);
        if (!failed)
            assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTED), 1);
        c->careless = true;
        login_fini(&l);
        script_fini(&s);
    }
}

static int remove_file(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_in_wherever_it_is_at_home),
        cmocka_unit_test(by_the_other_hash),
        cmocka_unit_test(is_asked_for_what_it_left_out),
        cmocka_unit_test(who_cannot_prove_it_stays_out),
        cmocka_unit_test(before_connack),
        cmocka_unit_test(methods_that_are_not_known),
        cmocka_unit_test(takes_no_longer_than_a_connect_may),
        cmocka_unit_test(authenticates_again_while_messages_flow),
        cmocka_unit_test(whoever_fails_again_is_cut_off),
        cmocka_unit_test(no_auth_from_who_has_named_no_method),
        cmocka_unit_test(passwords),
        cmocka_unit_test(users_are_there_before_the_first_client),
        cmocka_unit_test(anonymous_as_before),
        cmocka_unit_test(what_stands_behind_a_password_waits),
        cmocka_unit_test(may_go_while_the_password_is_looked_at),
        cmocka_unit_test(a_reload_changes_who_may_come),
        cmocka_unit_test(bears_a_lack_of_memory),
        cmocka_unit_test(bears_it_at_the_end_of_the_exchange),
    };
    gnt_seeded_init(&seeded, 1);
    snprintf(path, sizeof path, "/tmp/gnatter-login-%ld", (long)getpid());
    snprintf(setting, sizeof setting, "users=%s", path);
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
