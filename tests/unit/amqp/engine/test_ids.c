/* The ring against a plain array of what should be in it. */
#include "amqp/engine/ids.h"

#include "base/random.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

enum { IDS = 400 };

struct model {
    struct gnt_amqp_ids ids;
    struct {
        uint32_t id;
        char *delivery; /* NULL: settled */
    } list[IDS];
    size_t count;
};

static char objects[IDS];

static struct gnt_amqp_delivery *as_delivery(char *object)
{
    return (struct gnt_amqp_delivery *)(void *)object;
}

static struct gnt_amqp_delivery *expected(const struct model *m, uint32_t first, uint32_t last)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i].delivery && m->list[i].id - first <= last - first)
            return as_delivery(m->list[i].delivery);
    return NULL;
}

static void against_a_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct gnt_seeded g;
        struct model m = {0};
        gnt_seeded_init(&g, seed);
        uint32_t id = (uint32_t)gnt_seeded_next(&g);
        uint64_t skips = gnt_seeded_next(&g) % 3, keeps = 1 + gnt_seeded_next(&g) % 6;
        uint32_t live = 0, begin = id;
        while (m.count < IDS) {
            assert_true(gnt_amqp_ids_behind(&m.ids, id) || m.ids.count == 0);
            assert_int_equal(gnt_amqp_ids_reserve(&m.ids), GNT_OK);
            gnt_amqp_ids_add(&m.ids, id, as_delivery(&objects[m.count]));
            m.list[m.count].id = id;
            m.list[m.count].delivery = &objects[m.count];
            m.count++;
            live++;
            assert_false(gnt_amqp_ids_behind(&m.ids, id));
            id += 1 + (skips ? (uint32_t)(gnt_seeded_next(&g) % (skips * 1000)) : 0);
            for (uint64_t n = gnt_seeded_next(&g) % keeps; n; n--) {
                size_t i = (size_t)(gnt_seeded_next(&g) % m.count);
                if (!m.list[i].delivery)
                    continue;
                gnt_amqp_ids_remove(&m.ids, m.list[i].id);
                m.list[i].delivery = NULL;
                live--;
            }
            assert_int_equal(m.ids.live, live);
            uint32_t first = begin - 5 + (uint32_t)(gnt_seeded_next(&g) % (id - begin + 10));
            uint32_t width = (uint32_t)(gnt_seeded_next(&g) % (id - begin + 10));
            /* A range lies within what the two ends of serial numbers can tell apart. */
            assert_ptr_equal(gnt_amqp_ids_next(&m.ids, first, first + width),
                             expected(&m, first, first + width));
            assert_ptr_equal(gnt_amqp_ids_next(&m.ids, begin - 1, begin + 0x7ffffff0),
                             expected(&m, begin - 1, begin + 0x7ffffff0));
        }
        assert_true(m.ids.mask + 1 <= 4 * IDS);
        gnt_amqp_ids_idle(&m.ids);
        assert_int_equal(m.ids.ring == NULL, live == 0);
        gnt_amqp_ids_fini(&m.ids);
    }
}

/* One that stays keeps the ring no larger than what is unsettled. */
static void an_old_one_costs_nothing(void **state)
{
    (void)state;
    struct gnt_amqp_ids ids = {0};
    for (uint32_t id = 0; id < 100000; id++) {
        assert_int_equal(gnt_amqp_ids_reserve(&ids), GNT_OK);
        gnt_amqp_ids_add(&ids, id, as_delivery(objects));
        if (id)
            gnt_amqp_ids_remove(&ids, id);
    }
    assert_int_equal(ids.live, 1);
    assert_true(ids.mask < 64);
    assert_ptr_equal(gnt_amqp_ids_next(&ids, 0, 0), as_delivery(objects));
    gnt_amqp_ids_fini(&ids);
}

static void no_memory(void **state)
{
    (void)state;
    struct gnt_amqp_ids ids = {0};
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_amqp_ids_reserve(&ids), GNT_NOMEM);
    for (uint32_t id = 0; id < 16; id++) {
        assert_int_equal(gnt_amqp_ids_reserve(&ids), GNT_OK);
        gnt_amqp_ids_add(&ids, id, as_delivery(objects));
    }
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_amqp_ids_reserve(&ids), GNT_NOMEM);
    assert_int_equal(ids.live, 16);
    assert_ptr_equal(gnt_amqp_ids_next(&ids, 7, 7), as_delivery(objects));
    gnt_amqp_ids_fini(&ids);
    gnt_alloc_fail_at(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_list),
        cmocka_unit_test(an_old_one_costs_nothing),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
