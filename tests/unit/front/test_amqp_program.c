/* A program that has the broker inside, and peers of AMQP: what it is asked, and what comes of what
 * it says; and how many may come at once. */
#include "amqp/codec/frame.h"
#include "support/alloc_fault.h"
#include "support/amqp_script.h"
#include "support/unit.h"

#include "front/base/hooks.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static struct {
    enum gnt_login_answer answer;
    const char *counts_as; /* NULL: as whom it says */
    atomic_int asked;
    char client[32], user[32], password[32], named_at_first[32];
    int came, went;
    char guest[64];
} program;

static void keep(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "(none)");
}

static enum gnt_login_answer login(void *context, const struct gnt_login_question *question,
                                   char user[GNT_LOGIN_USER_SIZE])
{
    assert_ptr_equal(context, &program);
    assert_string_equal(question->protocol, "amqp");
    assert_string_equal(question->address, "pair");
    assert_null(question->certificate);
    assert_null(question->named);
    keep(program.client, sizeof program.client, question->client);
    keep(program.user, sizeof program.user, question->user);
    keep(program.password, sizeof program.password, (const char *)question->password.data);
    keep(program.named_at_first, sizeof program.named_at_first, user);
    if (program.counts_as)
        snprintf(user, GNT_LOGIN_USER_SIZE, "%s", program.counts_as);
    program.asked++;
    return program.answer;
}

static void came(void *context, const struct gnt_guest *guest)
{
    assert_ptr_equal(context, &program);
    assert_string_equal(guest->protocol, "amqp");
    assert_string_equal(guest->address, "pair");
    snprintf(program.guest, sizeof program.guest, "%s as %s", guest->client,
             guest->user ? guest->user : "(none)");
    program.came++;
}

static void went(void *context, const struct gnt_guest *guest, const char *why)
{
    assert_ptr_equal(context, &program);
    assert_string_equal(guest->client, "peer");
    assert_string_not_equal(why, "");
    program.went++;
}

static const struct gnt_hooks hooks = {&program, login, came, went};

static void start(struct script *s, const char *anonymous)
{
    script_init(s, 1, anonymous, NULL);
    s->amqp = true;
    assert_int_equal(gnt_workers_heed(s->workers, &s->config, &hooks), GNT_OK);
    program.asked = program.came = program.went = 0;
    program.guest[0] = '\0';
}

enum way { PLAIN, ANONYMOUS, NO_SASL };

/* All that a peer says who comes that WAY, with a link behind it. */
static void say(struct script_client *c, enum way way)
{
    uint8_t bytes[1024];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    if (way == PLAIN)
        amqp_put_sasl(&w, "PLAIN", LITERAL("\0ann\0word"));
    else if (way == ANONYMOUS)
        amqp_put_sasl(&w, "ANONYMOUS", gnt_slice(NULL, 0));
    amqp_put_opening(&w);
    amqp_put_attach(&w, "in", 0, true, "q");
    assert_true(gnt_amqp_fits(&w));
    script_send_bytes(c, gnt_amqp_written(&w));
}

/* Until the broker has said how it goes on, which takes another thread. */
static const struct amqp_told *outcome(struct script_client *c)
{
    enum { PATIENCE = 10000, PAUSE_US = 1000 };
    const struct amqp_told *told = amqp_look(c);
    for (int i = 0; i < PATIENCE && !told->attach && !c->ended; i++) {
        usleep(PAUSE_US);
        script_settle(c->script);
        told = amqp_look(c);
    }
    return told;
}

static void heeds_what_it_says(void **state)
{
    (void)state;
    static const struct {
        enum way way;
        enum gnt_login_answer answer;
        const char *counts_as, *settings;
        const char *guest; /* "": it does not come in */
        int failed;
    } rows[] = {
        {PLAIN, GNT_LOGIN_ACCEPT, NULL, "allow_anonymous=false", "peer as ann", 0},
        {PLAIN, GNT_LOGIN_ACCEPT, "bob", "allow_anonymous=false", "peer as bob", 0},
        {PLAIN, GNT_LOGIN_ACCEPT, "", "allow_anonymous=false", "peer as (none)", 0},
        {PLAIN, GNT_LOGIN_REFUSE, NULL, "allow_anonymous=true", "", 1},
        {PLAIN, GNT_LOGIN_USUAL, NULL, "allow_anonymous=true", "", 1},
        {ANONYMOUS, GNT_LOGIN_ACCEPT, NULL, "allow_anonymous=false", "peer as (none)", 0},
        {ANONYMOUS, GNT_LOGIN_ACCEPT, "bob", "allow_anonymous=false", "peer as bob", 0},
        {ANONYMOUS, GNT_LOGIN_REFUSE, NULL, "allow_anonymous=true", "", 0},
        {ANONYMOUS, GNT_LOGIN_USUAL, NULL, "allow_anonymous=false", "", 0},
        {ANONYMOUS, GNT_LOGIN_USUAL, NULL, "allow_anonymous=true", "peer as (none)", 0},
        {NO_SASL, GNT_LOGIN_ACCEPT, NULL, "allow_anonymous=false", "peer as (none)", 0},
        {NO_SASL, GNT_LOGIN_ACCEPT, "bob", "allow_anonymous=false", "peer as bob", 0},
        {NO_SASL, GNT_LOGIN_REFUSE, NULL, "allow_anonymous=true", "", 0},
        {NO_SASL, GNT_LOGIN_USUAL, NULL, "allow_anonymous=false", "", 0},
        {NO_SASL, GNT_LOGIN_USUAL, NULL, "allow_anonymous=true", "peer as (none)", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script s;
        start(&s, rows[i].settings);
        program.answer = rows[i].answer;
        program.counts_as = rows[i].counts_as;
        struct script_client *c = script_open(&s, 0);
        c->careless = true;
        say(c, rows[i].way);
        script_settle(&s);
        const struct amqp_told *told = outcome(c);
        print_message("row %zu: %s\n", i, told->text);
        assert_int_equal(program.asked, 1);
        assert_string_equal(program.client, rows[i].way == NO_SASL ? "peer" : "");
        assert_string_equal(program.user, rows[i].way == PLAIN ? "ann" : "(none)");
        assert_string_equal(program.password, rows[i].way == PLAIN ? "word" : "(none)");
        assert_string_equal(program.named_at_first, rows[i].way == PLAIN ? "ann" : "");
        assert_string_equal(program.guest, rows[i].guest);
        assert_int_equal(script_counted(&s, GNT_COUNT_LOGINS_FAILED), rows[i].failed);
        assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTS), rows[i].guest[0] != '\0');
        assert_int_equal(told->attach, rows[i].guest[0] != '\0'); /* what came behind it, too */
        assert_int_equal(told->outcome, rows[i].way != NO_SASL);
        assert_int_equal(told->close, rows[i].way == NO_SASL && !rows[i].guest[0]);
        script_close(c);
        script_settle(&s);
        assert_int_equal(program.went, program.came);
        script_fini(&s);
    }
}

/* It cannot be asked about SCRAM, by which nobody goes around it. */
static void offers_what_it_can_be_asked_about(void **state)
{
    (void)state;
    static const char users[] = "/tmp/gnatter-amqp-program";
    FILE *f = fopen(users, "w");
    assert_non_null(f);
    fputs("ann:SCRAM-SHA-256$5000:AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
          f);
    fclose(f);
    for (int asked = 0; asked < 2; asked++) {
        struct script s;
        char setting[64], problem[128];
        uint8_t bytes[64];
        snprintf(setting, sizeof setting, "users=%s", users);
        script_init(&s, 1, setting, "allow_anonymous=false", NULL);
        s.amqp = true;
        assert_int_equal(gnt_workers_read_users(s.workers, &s.config, problem, sizeof problem),
                         GNT_OK);
        if (asked)
            assert_int_equal(gnt_workers_heed(s.workers, &s.config, &hooks), GNT_OK);
        struct script_client *c = script_open(&s, 0);
        c->careless = true;
        struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
        gnt_amqp_put_protocol(&w, GNT_AMQP_PROTOCOL_SASL);
        script_send_bytes(c, gnt_amqp_written(&w));
        script_settle(&s);
        const char *text = amqp_look(c)->text;
        assert_int_equal(strstr(text, "SCRAM-SHA-256") != NULL, !asked);
        assert_int_equal(strstr(text, "ANONYMOUS") != NULL, asked);
        assert_non_null(strstr(text, "PLAIN"));
        script_fini(&s);
    }
    (void)unlink(users);
}

/* Whatever allocation fails, and if the peer goes meanwhile: whoever has come goes. */
static bool come(long n, enum way way, enum gnt_login_answer answer, bool goes)
{
    struct script s;
    start(&s, "allow_anonymous=true");
    program.answer = answer;
    program.counts_as = NULL;
    struct script_client *c = script_open(&s, 0);
    c->careless = true;
    say(c, way);
    gnt_alloc_fail_at(n);
    script_settle(&s);
    if (goes) /* it does not wait */
        script_close(c);
    for (int i = 0; i < 10000 && !c->ended && !program.came && c->stream; i++) {
        usleep(100);
        script_settle(&s);
        script_read(c);
    }
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    assert_int_equal(program.came, script_counted(&s, GNT_COUNT_CONNECTS));
    s.hasty = true;
    script_fini(&s);
    assert_int_equal(program.came, program.went);
    return failed;
}

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    static const enum gnt_login_answer answers[] = {GNT_LOGIN_REFUSE, GNT_LOGIN_ACCEPT,
                                                    GNT_LOGIN_USUAL};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        for (int way = PLAIN; way <= NO_SASL; way++) {
            long n = 0;
            while (come(n, (enum way)way, answers[i], false))
                n++;
            assert_true(n > 2);
            for (n = 0; n < 8; n++)
                come(n, (enum way)way, answers[i], true);
        }
    }
}

/* ---- Guessing */

static void guess(struct script *s)
{
    struct script_client *c = script_open(s, 0);
    c->careless = true;
    say(c, PLAIN);
    script_settle(s);
    assert_int_equal(outcome(c)->attach, 0);
}

/* Whoever guesses passwords over AMQP is blocked, whatever he speaks then, and not listened to if
 * he has come before that. */
static void guessing_is_counted(void **state)
{
    (void)state;
    struct script s;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
    script_init(&s, 1, "guessing.delay_after=off", "guessing.block_after=3", NULL);
    assert_int_equal(gnt_workers_heed(s.workers, &s.config, &hooks), GNT_OK);
    s.amqp = true;
    memcpy(&s.from, &from, sizeof from);
    program.answer = GNT_LOGIN_REFUSE;
    program.asked = 0;
    struct script_client *before = script_open(&s, 0), *too = script_open(&s, 0);
    before->careless = too->careless = true;
    for (int i = 0; i < 3; i++)
        guess(&s);
    assert_int_equal(script_counted(&s, GNT_COUNT_LOGINS_FAILED), 3);
    say(before, PLAIN);
    say(too, NO_SASL);
    script_settle(&s);
    assert_int_equal(outcome(before)->outcome, 0);
    assert_int_equal(outcome(too)->attach, 0);
    for (int amqp = 0; amqp < 2; amqp++) {
        s.amqp = amqp;
        struct script_client *c = script_open(&s, 0);
        c->careless = true;
        script_settle(&s);
        script_read(c);
        assert_true(c->ended);
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_BLOCKED), 2);
    assert_int_equal(program.asked, 3);
    script_fini(&s);
}

/* The sixth answer is held back for a second. */
static void answers_are_held_back(void **state)
{
    (void)state;
    struct script s;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
    script_init(&s, 1, NULL);
    assert_int_equal(gnt_workers_heed(s.workers, &s.config, &hooks), GNT_OK);
    s.amqp = true;
    memcpy(&s.from, &from, sizeof from);
    program.answer = GNT_LOGIN_REFUSE;
    for (int i = 0; i < 5; i++)
        guess(&s);
    struct script_client *c = script_open(&s, 0);
    c->careless = true;
    say(c, PLAIN);
    for (int i = 0; i < 10000 && script_counted(&s, GNT_COUNT_LOGINS_FAILED) < 6; i++) {
        usleep(1000);
        script_settle(&s);
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_LOGINS_FAILED), 6);
    assert_int_equal(amqp_look(c)->outcome, 0);
    script_pass(&s, 500);
    assert_int_equal(amqp_look(c)->outcome, 0);
    script_pass(&s, 700);
    assert_int_equal(amqp_look(c)->outcome, 1);
    script_fini(&s);
}

/* ---- How many come at once */

static const struct amqp_told *come_usually(struct script *s, enum way way)
{
    struct script_client *c = script_open(s, 0);
    c->careless = true;
    say(c, way);
    script_settle(s);
    return amqp_look(c);
}

static void not_more_at_once_than_may_come(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "limits.connect_rate=3", "allow_anonymous=true", NULL);
    script_connect(&s, 0, "10 | ['MQTT'] 04 02 0000 ['m']", "20 02 00 00"); /* one for all */
    s.amqp = true;
    assert_int_equal(come_usually(&s, NO_SASL)->attach, 1);
    assert_int_equal(come_usually(&s, ANONYMOUS)->attach, 1); /* once, for SASL and open */
    const struct amqp_told *told = come_usually(&s, NO_SASL);
    assert_int_equal(told->close, 1);
    assert_non_null(strstr(told->text, "amqp:resource-limit-exceeded"));
    assert_int_equal(told->attach, 0);
    told = come_usually(&s, ANONYMOUS);
    assert_int_equal(told->outcome, 1);
    assert_non_null(strstr(told->text, "sys-temp"));
    assert_int_equal(told->open, 0);
    assert_int_equal(script_counted(&s, GNT_COUNT_LOGINS_FAILED), 0);
    script_pass(&s, 400);
    assert_int_equal(come_usually(&s, ANONYMOUS)->attach, 1);
    script_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heeds_what_it_says),
        cmocka_unit_test(offers_what_it_can_be_asked_about),
        cmocka_unit_test(bears_a_lack_of_memory),
        cmocka_unit_test(guessing_is_counted),
        cmocka_unit_test(answers_are_held_back),
        cmocka_unit_test(not_more_at_once_than_may_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
