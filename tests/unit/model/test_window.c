#include "model/window.h"

#include "base/random.h"
#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { IDS = 65535 };

static struct gnt_message *message(void)
{
    struct gnt_message_init init = {.topic = gnt_slice_str("t"), .expires = GNT_NEVER};
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

static uint16_t add(struct gnt_window *w, struct gnt_message *m, uint64_t cookie)
{
    struct gnt_flight flight = {.message = m ? gnt_message_ref(m) : NULL, .cookie = cookie};
    struct gnt_flight *out = NULL;
    enum gnt_flight_state state = m ? GNT_FLIGHT_PUBLISHED : GNT_FLIGHT_REQUESTED;
    gnt_err err = gnt_window_add(w, &flight, state, &out);
    assert_int_equal(err, GNT_OK);
    assert_null(flight.message);
    assert_ptr_equal(out, gnt_window_find(w, out->id));
    assert_int_equal(out->cookie, cookie);
    return out->id;
}

static gnt_err restore(struct gnt_window *w, uint16_t id, struct gnt_message *m,
                       enum gnt_flight_state state)
{
    struct gnt_flight flight = {.message = m ? gnt_message_ref(m) : NULL, .id = id};
    gnt_err err = gnt_window_restore(w, &flight, state);
    assert_int_equal(flight.message != NULL, m && err);
    gnt_message_unref(&flight.message);
    return err;
}

static void settle(struct gnt_window *w, uint16_t id)
{
    struct gnt_flight *flight = gnt_window_find(w, id);
    assert_non_null(flight);
    gnt_window_remove(w, flight);
    assert_null(gnt_window_find(w, id));
}

static void the_life_of_a_flight(void **state)
{
    (void)state;
    struct gnt_window w;
    gnt_window_init(&w);
    struct gnt_message *m = message();
    uint32_t *many = malloc(2 * sizeof *many);
    assert_non_null(many);
    struct gnt_flight flight = {
        .message = gnt_message_ref(m), .ids = {.count = 2, .many = many}, .qos = 2, .retain = true};
    struct gnt_flight *out = NULL;
    assert_int_equal(gnt_window_add(&w, &flight, GNT_FLIGHT_PUBLISHED, &out), GNT_OK);
    assert_null(flight.message);
    assert_int_equal(flight.ids.count, 0);
    assert_int_equal(out->id, 1);
    assert_int_equal(out->qos, 2);
    assert_true(out->retain);
    assert_int_equal(out->ids.count, 2);
    assert_int_equal(out->state, GNT_FLIGHT_PUBLISHED);
    assert_int_equal(m->refs, 2);

    gnt_window_release(&w, out);
    assert_int_equal(out->state, GNT_FLIGHT_RELEASED);
    assert_null(out->message);
    assert_int_equal(out->ids.count, 0);
    assert_int_equal(m->refs, 1);
    assert_int_equal(w.count, 1);

    gnt_window_remove(&w, out);
    assert_null(gnt_window_find(&w, 1));
    assert_null(gnt_window_next(&w, NULL));
    assert_int_equal(w.count, 0);
    assert_int_equal(add(&w, m, 0), 2); /* an id is not given out again at once */
    assert_int_equal(add(&w, NULL, 0), 3);
    assert_int_equal(gnt_window_find(&w, 3)->state, GNT_FLIGHT_REQUESTED);
    gnt_window_fini(&w);
    assert_int_equal(m->refs, 1);
    gnt_message_unref(&m);
}

static void ids_that_are_not_in_flight(void **state)
{
    (void)state;
    struct gnt_window w;
    gnt_window_init(&w);
    assert_null(gnt_window_find(&w, 0));
    assert_null(gnt_window_find(&w, 1));
    assert_int_equal(add(&w, NULL, 0), 1);
    assert_null(gnt_window_find(&w, 0));
    assert_null(gnt_window_find(&w, 2));
    assert_null(gnt_window_find(&w, 65535));
    gnt_window_fini(&w);
}

/* The oldest is never settled: all other ids come and go until the window says it is full. */
static void stuck_front_and_full_span(void **state)
{
    (void)state;
    struct gnt_window w;
    gnt_window_init(&w);
    for (uint32_t start = 0; start < 300; start++) /* somewhere in the sequence */
        settle(&w, add(&w, NULL, 0));
    struct gnt_message *m = message();
    uint16_t front = add(&w, m, 0);
    for (uint32_t n = 1; n < IDS; n++)
        settle(&w, add(&w, m, n));
    assert_int_equal(w.count, 1);

    struct gnt_flight flight = {.message = gnt_message_ref(m)}, *out = NULL;
    assert_int_equal(gnt_window_add(&w, &flight, GNT_FLIGHT_PUBLISHED, &out), GNT_FULL);
    assert_ptr_equal(flight.message, m); /* nothing was taken */
    gnt_message_unref(&flight.message);

    settle(&w, front);
    assert_int_equal(add(&w, m, 0), front); /* once round */
    gnt_window_fini(&w);
    gnt_message_unref(&m);
}

static void all_ids_at_once(void **state)
{
    (void)state;
    struct gnt_window w;
    gnt_window_init(&w);
    for (uint32_t id = 1; id <= IDS; id++)
        assert_int_equal(add(&w, NULL, id), id);
    uint32_t want = 1;
    for (struct gnt_flight *f = gnt_window_next(&w, NULL); f; f = gnt_window_next(&w, f), want++) {
        assert_int_equal(f->id, want);
        gnt_window_remove(&w, f); /* AFTER may have been removed just now */
    }
    assert_int_equal(want, IDS + 1);
    assert_int_equal(w.count, 0);
    assert_null(w.ring); /* megabytes are given back */
    assert_int_equal(add(&w, NULL, 0), 1);
    gnt_window_fini(&w);
}

static void restored_in_order(void **state)
{
    (void)state;
    struct gnt_window w;
    gnt_window_init(&w);
    struct gnt_message *m = message();
    assert_int_equal(restore(&w, 0, m, GNT_FLIGHT_PUBLISHED), GNT_INVALID);
    assert_int_equal(restore(&w, 65530, m, GNT_FLIGHT_PUBLISHED), GNT_OK);
    assert_int_equal(restore(&w, 65530, m, GNT_FLIGHT_PUBLISHED), GNT_INVALID);
    assert_int_equal(restore(&w, 65535, NULL, GNT_FLIGHT_RELEASED), GNT_OK);
    assert_int_equal(restore(&w, 65531, m, GNT_FLIGHT_PUBLISHED), GNT_INVALID);
    assert_int_equal(restore(&w, 65534, m, GNT_FLIGHT_PUBLISHED), GNT_INVALID);
    assert_int_equal(restore(&w, 2, m, GNT_FLIGHT_PUBLISHED), GNT_OK); /* 1 was settled */
    assert_int_equal(restore(&w, 1, m, GNT_FLIGHT_PUBLISHED), GNT_INVALID);
    assert_int_equal(w.count, 3);
    assert_int_equal(m->refs, 3);
    static const uint16_t order[] = {65530, 65535, 2};
    struct gnt_flight *f = NULL;
    for (size_t i = 0; i < 3; i++) {
        f = gnt_window_next(&w, f);
        assert_non_null(f);
        assert_int_equal(f->id, order[i]);
    }
    assert_null(gnt_window_next(&w, f));
    assert_null(gnt_window_find(&w, 65531)); /* a hole */
    assert_null(gnt_window_find(&w, 1));
    assert_int_equal(add(&w, m, 0), 3);
    settle(&w, 65530);
    settle(&w, 65535);
    settle(&w, 3);
    assert_int_equal(gnt_window_next(&w, NULL)->id, 2);
    gnt_window_fini(&w);
    assert_int_equal(m->refs, 1);
    gnt_message_unref(&m);
}

static void restored_over_the_full_span(void **state)
{
    (void)state;
    struct gnt_window w;
    gnt_window_init(&w);
    assert_int_equal(restore(&w, 10, NULL, GNT_FLIGHT_RELEASED), GNT_OK);
    assert_int_equal(restore(&w, 9, NULL, GNT_FLIGHT_RELEASED), GNT_OK); /* 65,534 later */
    assert_int_equal(restore(&w, 10, NULL, GNT_FLIGHT_RELEASED), GNT_INVALID);
    struct gnt_flight flight = {0}, *out = NULL;
    assert_int_equal(gnt_window_add(&w, &flight, GNT_FLIGHT_REQUESTED, &out), GNT_FULL);
    struct gnt_flight *first = gnt_window_next(&w, NULL);
    assert_int_equal(first->id, 10);
    assert_int_equal(gnt_window_next(&w, first)->id, 9);
    gnt_window_remove(&w, first);
    assert_int_equal(gnt_window_next(&w, first)->id, 9);
    gnt_window_fini(&w);
}

static void no_memory(void **state)
{
    (void)state;
    struct gnt_window w;
    gnt_window_init(&w);
    struct gnt_message *m = message();
    for (uint32_t n = 0; n < 100; n++) {
        struct gnt_flight flight = {.message = gnt_message_ref(m)}, *out = NULL;
        gnt_alloc_fail_at(0);
        gnt_err err = gnt_window_add(&w, &flight, GNT_FLIGHT_PUBLISHED, &out);
        assert_int_equal(err, gnt_alloc_failed() ? GNT_NOMEM : GNT_OK);
        gnt_alloc_fail_at(-1);
        if (err) {
            assert_ptr_equal(flight.message, m);
            assert_int_equal(w.count, n);
            assert_int_equal(gnt_window_add(&w, &flight, GNT_FLIGHT_PUBLISHED, &out), GNT_OK);
        }
        assert_int_equal(out->id, n + 1);
        assert_int_equal(m->refs, n + 2);
    }
    gnt_alloc_fail_at(0);
    assert_int_equal(restore(&w, 1000, m, GNT_FLIGHT_PUBLISHED), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_int_equal(w.count, 100);
    assert_null(gnt_window_find(&w, 1000));
    assert_int_equal(add(&w, m, 0), 101);
    gnt_window_fini(&w);
    gnt_message_unref(&m);
}

/* The same window as a list that is searched from one end to the other. */
struct naive {
    struct {
        uint16_t id;
        uint8_t state;
        uint64_t cookie;
    } list[IDS];
    uint32_t count;
    uint32_t next_id, rounds;
};

static void naive_remove(struct naive *n, uint32_t at)
{
    memmove(&n->list[at], &n->list[at + 1], (n->count - at - 1) * sizeof *n->list);
    n->count--;
}

static uint32_t naive_span(const struct naive *n)
{
    return n->count ? (n->next_id - n->list[0].id + IDS - 1) % IDS + 1 : 0;
}

static void compare(struct gnt_window *w, const struct naive *n)
{
    assert_int_equal(w->count, n->count);
    struct gnt_flight *f = NULL;
    for (uint32_t i = 0; i < n->count; i++) {
        f = gnt_window_next(w, f);
        assert_non_null(f);
        assert_int_equal(f->id, n->list[i].id);
        assert_int_equal(f->state, n->list[i].state);
        assert_int_equal(f->cookie, n->list[i].cookie);
        assert_ptr_equal(f, gnt_window_find(w, f->id));
    }
    assert_null(gnt_window_next(w, f));
}

/* One random step; */
static void step(struct gnt_window *w, struct naive *n, struct gnt_message *m, uint64_t r)
{
    uint32_t at = n->count ? (uint32_t)((r >> 32) % n->count) : 0;
    if (r >> 8 & 3) /* mostly near the front, so that the ids go round */
        at %= 3;
    struct gnt_flight *f = n->count ? gnt_window_find(w, n->list[at].id) : NULL;
    switch (r & 3) {
    case 0:
    case 1:
        if (naive_span(n) == IDS)
            return;
        n->list[n->count].state = r & 16 ? GNT_FLIGHT_PUBLISHED : GNT_FLIGHT_REQUESTED;
        n->list[n->count].cookie = r;
        n->list[n->count].id = add(w, r & 16 ? m : NULL, r);
        assert_int_equal(n->list[n->count].id, n->next_id);
        n->next_id = n->next_id % IDS + 1;
        n->rounds += n->next_id == 1;
        n->count++;
        return;
    case 2:
        if (!f || f->state != GNT_FLIGHT_PUBLISHED)
            return;
        gnt_window_release(w, f);
        n->list[at].state = GNT_FLIGHT_RELEASED;
        return;
    case 3:
        if (!f)
            return;
        gnt_window_remove(w, f);
        naive_remove(n, at);
        return;
    }
}

static void random_against_a_list(void **state)
{
    (void)state;
    static struct naive n;
    const char *given = getenv("GNATTER_SEED");
    uint64_t first = given ? strtoull(given, NULL, 0) : 1;
    for (uint64_t seed = first; seed < first + 4; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        struct gnt_seeded g;
        gnt_seeded_init(&g, seed);
        n.count = 0;
        n.next_id = 1;
        n.rounds = 0;
        struct gnt_window w;
        gnt_window_init(&w);
        struct gnt_message *m = message();
        uint32_t most = 50;
        for (uint32_t i = 0; i < 450000; i++) { /* the ids go round more than twice */
            uint64_t r = gnt_seeded_next(&g);
            if (r % 4096 == 0)
                most = (uint32_t)(r >> 20) % 400; /* now crowded, now empty */
            if (n.count >= most)
                r |= 3; /* settle */
            step(&w, &n, m, r);
            if (i % 997 == 0)
                compare(&w, &n);
        }
        compare(&w, &n);
        assert_true(n.rounds >= 2);
        gnt_window_fini(&w);
        assert_int_equal(m->refs, 1);
        gnt_message_unref(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_life_of_a_flight),
        cmocka_unit_test(ids_that_are_not_in_flight),
        cmocka_unit_test(stuck_front_and_full_span),
        cmocka_unit_test(all_ids_at_once),
        cmocka_unit_test(restored_in_order),
        cmocka_unit_test(restored_over_the_full_span),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(random_against_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
