#include "model/message.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MESSAGES = 2000, TURNS = 20 };

/* Each of two threads takes and gives references to the same messages, then gives up its own; the
 * last one of either side frees.  The sanitizers see a free too early, too late or in a race. */
static void *hold(void *arg)
{
    struct gnt_message **mine = arg;
    uintptr_t sum = 0;
    for (size_t i = 0; i < MESSAGES; i++) {
        struct gnt_message *held[TURNS];
        for (size_t k = 0; k < TURNS; k++)
            held[k] = gnt_message_ref(mine[i]);
        for (size_t k = 0; k < TURNS; k++)
            gnt_message_unref(&held[k]);
        sum += mine[i]->payload.data[0];
        gnt_message_unref(&mine[i]);
    }
    return (void *)sum; /* NOLINT: a number through the thread's result */
}

static void references_from_two_threads(void **state)
{
    (void)state;
    static struct gnt_message *mine[2][MESSAGES];
    for (size_t i = 0; i < MESSAGES; i++) {
        uint8_t *buffer = malloc(1);
        assert_non_null(buffer);
        *buffer = 1;
        struct gnt_message_init init = {.payload = gnt_slice(buffer, 1), .expires = GNT_NEVER};
        gnt_err err = i % 2 ? gnt_message_adopt(&buffer, &init, &mine[0][i])
                            : gnt_message_new(&init, &mine[0][i]);
        assert_int_equal(err, GNT_OK);
        free(buffer);
        mine[1][i] = gnt_message_ref(mine[0][i]);
    }
    pthread_t threads[2];
    for (size_t t = 0; t < 2; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, hold, mine[t]), 0);
    for (size_t t = 0; t < 2; t++) {
        void *sum = NULL;
        assert_int_equal(pthread_join(threads[t], &sum), 0);
        assert_int_equal((uintptr_t)sum, MESSAGES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(references_from_two_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
