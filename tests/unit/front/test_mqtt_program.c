/* A program that is asked and told, when memory runs out: whoever has come, goes. */
#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#include "front/base/hooks.h"

#include <stdatomic.h>
#include <unistd.h>

#define CONNECT "10 | ['MQTT'] 05 c2 0000 () ['five'] ['ann'] ['word']"

static struct {
    enum gnt_login_answer answer;
    atomic_int asked;
    int came, went;
} program;

static enum gnt_login_answer login(void *context, const struct gnt_login_question *question,
                                   char user[GNT_LOGIN_USER_SIZE])
{
    assert_ptr_equal(context, &program);
    assert_string_equal(question->client, "five");
    assert_string_equal(question->user, "ann");
    assert_string_equal(question->address, "pair");
    assert_true(gnt_slice_eq_str(question->password, "word"));
    assert_string_equal(user, "ann");
    program.asked++;
    return program.answer;
}

static void came(void *context, const struct gnt_guest *guest)
{
    assert_ptr_equal(context, &program);
    assert_string_equal(guest->client, "five");
    program.came++;
}

static void went(void *context, const struct gnt_guest *guest, const char *why)
{
    assert_ptr_equal(context, &program);
    assert_string_equal(guest->client, "five");
    assert_string_not_equal(why, "");
    program.went++;
}

static const struct gnt_hooks hooks = {&program, login, came, went};

/* Up to the answer, with the allocation N failing; whether one has. */
static bool come(long n, enum gnt_login_answer answer)
{
    enum { PATIENCE = 10000, PAUSE_US = 1000 };
    struct script s;
    program.answer = answer;
    program.asked = program.came = program.went = 0;
    script_init(&s, 1, "allow_anonymous=true", NULL);
    assert_int_equal(gnt_workers_heed(s.workers, &s.config, &hooks), GNT_OK);
    struct script_client *c = script_open(&s, 0);
    c->careless = true;
    script_send(c, CONNECT);
    gnt_alloc_fail_at(n);
    for (int i = 0; i < PATIENCE && !c->in_size && !c->ended; i++) {
        script_settle(&s);
        script_read(c);
        usleep(PAUSE_US);
    }
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    assert_true(c->in_size || c->ended);
    if (!failed) {
        assert_int_equal(program.asked, 1);
        assert_int_equal(c->in[3], answer == GNT_LOGIN_REFUSE ? 0x86 : 0);
    }
    assert_int_equal(program.came, script_counted(&s, GNT_COUNT_CONNECTS));
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
        long n = 0;
        while (come(n, answers[i]))
            n++;
        assert_true(n > 4);
    }
}

static void names_that_are_too_long(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "allow_anonymous=true", NULL);
    assert_int_equal(gnt_workers_heed(s.workers, &s.config, &hooks), GNT_OK);
    struct script_client *c = script_open(&s, 0);
    script_sendf(c, "10 | ['MQTT'] 05 82 0000 () ['five'] ['%01025d']", 0);
    script_expect(c, "20 | 00 86 (1f ['bad user name or password'])");
    script_expect_close(c);
    script_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bears_a_lack_of_memory),
        cmocka_unit_test(names_that_are_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
