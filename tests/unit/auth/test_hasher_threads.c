#include "support/unit.h"

#include "auth/hasher.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

static struct gnt_seeded seeded;
static struct gnt_verifier verifier;

struct job {
    struct gnt_hasher_job job;
    sem_t done;
};

static void on_done(struct gnt_hasher_job *job)
{
    sem_post(&GNT_CONTAINER(job, struct job, job)->done);
}

static struct job *job_new(const char *password, bool known)
{
    struct job *j = calloc(1, sizeof *j);
    assert_non_null(j);
    sem_init(&j->done, 0, 0);
    j->job = (struct gnt_hasher_job){
        .verifier = verifier, .known = known, .done = on_done, .password_size = strlen(password)};
    memcpy(j->job.password, password, strlen(password));
    return j;
}

static gnt_err result_of(struct job *j)
{
    while (sem_wait(&j->done))
        ;
    gnt_err result = j->job.result;
    for (size_t i = 0; i < sizeof j->job.password; i++)
        assert_int_equal(j->job.password[i], 0);
    sem_destroy(&j->done);
    free(j);
    return result;
}

static void checks_passwords(void **state)
{
    (void)state;
    struct gnt_hasher *h;
    assert_int_equal(gnt_hasher_new(&h), GNT_OK);
    struct job *right = job_new("secret", true), *wrong = job_new("secre", true),
               *nobody = job_new("secret", false);
    assert_int_equal(gnt_hasher_submit(h, &right->job), GNT_OK);
    assert_int_equal(gnt_hasher_submit(h, &wrong->job), GNT_OK);
    assert_int_equal(gnt_hasher_submit(h, &nobody->job), GNT_OK);
    assert_int_equal(result_of(right), GNT_OK);
    assert_int_equal(result_of(wrong), GNT_DENIED);
    assert_int_equal(result_of(nobody), GNT_DENIED);
    gnt_hasher_free(&h);
    assert_null(h);
    gnt_hasher_free(&h);
}

/* Each kind of verifier by its own row of the table. */
static void checks_every_kind(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "$scrypt$ln=10,r=1,p=1$AAAA$EspzlEUpnsXAumpJuh5CBw",
        "SCRAM-SHA-512$4096:AAAA$"
        "c9iFmc6b+vFsakRvYzzknJfCWg909NehnXgPqRPpyIywRwFjBRxQcjT2YLwnX0VEYnv9lTUgSjfaVSZCVZFQ+Q==:"
        "3TedJOMWqOIOXtrF+CCRHsHaPoNCnDRj4RX4FWMqya7ToJYEP3CjGqgc+zy+buQJcFFs25ZYvVBkReKuF2c8XA==",
        "$7$101$EiLFpl49F980wqGg$IvO6LVovP3ts1g8SICT6mUvQlvksqXdgaCUHLkVbS4T06dytwVRQSagx69ld6uueCG"
        "kjsenSmuHJcv5+JY9ISw==",
        "$6$5Djkz7nTeSxiZZxt$PoKo6AkwIjqY1yxFKJd2BPfBJ0oNDjCKn8Xr4jKEVhpIxci6uTmO+ajiskZcQ5x9lrqXEN"
        "zA/KJHqHSTMOXNHQ==",
    };
    struct gnt_hasher *h;
    assert_int_equal(gnt_hasher_new(&h), GNT_OK);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct job *right = job_new("secret", true), *wrong = job_new("Secret", true);
        const char *why;
        assert_int_equal(gnt_verifier_read(gnt_slice_str(texts[i]), &right->job.verifier, &why),
                         GNT_OK);
        wrong->job.verifier = right->job.verifier;
        assert_int_equal(gnt_hasher_submit(h, &right->job), GNT_OK);
        assert_int_equal(gnt_hasher_submit(h, &wrong->job), GNT_OK);
        assert_int_equal(result_of(right), GNT_OK);
        assert_int_equal(result_of(wrong), GNT_DENIED);
    }
    gnt_hasher_free(&h);
}

/* The hasher's thread stands in the first job's `done` while the queue fills up behind it. */
static sem_t arrived, gate;

static void on_done_at_gate(struct gnt_hasher_job *job)
{
    sem_post(&arrived);
    while (sem_wait(&gate))
        ;
    on_done(job);
}

static void says_when_it_is_full(void **state)
{
    (void)state;
    struct gnt_hasher *h;
    struct job *jobs[GNT_HASHER_JOBS_MAX];
    sem_init(&arrived, 0, 0);
    sem_init(&gate, 0, 0);
    assert_int_equal(gnt_hasher_new(&h), GNT_OK);
    struct job *slow = job_new("secret", true), *over = job_new("secret", true);
    slow->job.done = on_done_at_gate;
    assert_int_equal(gnt_hasher_submit(h, &slow->job), GNT_OK);
    while (sem_wait(&arrived))
        ;
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        jobs[i] = job_new("secret", true);
        assert_int_equal(gnt_hasher_submit(h, &jobs[i]->job), GNT_OK);
    }
    assert_int_equal(gnt_hasher_submit(h, &over->job), GNT_FULL);
    sem_destroy(&over->done);
    free(over);
    sem_post(&gate);
    gnt_hasher_free(&h); /* whatever is left is not looked at */
    assert_int_equal(result_of(slow), GNT_OK);
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        gnt_err result = result_of(jobs[i]);
        assert_true(result == GNT_STATE || result == GNT_OK);
    }
    sem_destroy(&arrived);
    sem_destroy(&gate);
}

static void passes_over_what_nobody_wants_any_more(void **state)
{
    (void)state;
    struct gnt_hasher *h;
    assert_int_equal(gnt_hasher_new(&h), GNT_OK);
    struct job *gone = job_new("secret", true);
    gone->job.unwanted = true;
    assert_int_equal(gnt_hasher_submit(h, &gone->job), GNT_OK);
    assert_int_equal(result_of(gone), GNT_STATE);
    gnt_hasher_free(&h);
}

static void needs_no_thread_before_there_is_work(void **state)
{
    (void)state;
    struct gnt_hasher *h;
    assert_int_equal(gnt_hasher_new(&h), GNT_OK);
    gnt_hasher_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_passwords),
        cmocka_unit_test(checks_every_kind),
        cmocka_unit_test(says_when_it_is_full),
        cmocka_unit_test(passes_over_what_nobody_wants_any_more),
        cmocka_unit_test(needs_no_thread_before_there_is_work),
    };
    gnt_seeded_init(&seeded, 1);
    if (gnt_scram_verifier_make(GNT_SCRAM_SHA_256, LITERAL("secret"), 4096, &seeded.door,
                                &verifier.scram[GNT_SCRAM_SHA_256]))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
