#include "support/unit.h"

#include "auth/guess.h"
#include "base/clock.h"

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

enum { THREADS = 4, EACH = 1000 };

static struct gnt_guess *guess;
static _Atomic unsigned blocks;

/* Every thread fails from an address of all, and from some of its own. */
static void *guesses(void *context)
{
    uint32_t me = *(uint32_t *)context;
    for (uint32_t i = 0; i < EACH; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        address.sin_addr.s_addr = htonl(i % 2 ? 0x0a000000 + me * EACH + i : 0xc0000201);
        struct gnt_guess_source s = gnt_guess_source((struct sockaddr *)&address);
        uint64_t delay;
        (void)gnt_guess_blocked(guess, &s, GNT_NS_PER_S);
        blocks += gnt_guess_failed(guess, &s, GNT_NS_PER_S, &delay);
    }
    return NULL;
}

static void counts_what_all_of_them_do(void **state)
{
    (void)state;
    const struct gnt_guess_limits limits = {.free = 5,
                                            .most = THREADS * EACH / 2,
                                            .window_ns = 60 * GNT_NS_PER_S,
                                            .delay_ns = GNT_NS_PER_S,
                                            .delay_most_ns = 8 * GNT_NS_PER_S,
                                            .block_ns = 300 * GNT_NS_PER_S};
    pthread_t threads[THREADS];
    uint32_t numbers[THREADS];
    assert_int_equal(gnt_guess_new(&limits, &guess), GNT_OK);
    for (uint32_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, guesses, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(blocks, 1); /* by the very last failure */
    gnt_guess_free(&guess);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_what_all_of_them_do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
