#include "support/unit.h"

#include "support/ground_contract.h"
#include "support/sim_ground.h"

static struct sim_soil *soil;

static void wipe(void)
{
    sim_soil_free(soil);
    soil = sim_soil_new();
    assert_non_null(soil);
}

static gnt_err open_sim(const struct gnt_store_time *time, struct gnt_ground **out)
{
    return sim_ground_open(soil, time, out);
}

static const struct ground_under_test sim = {"sim_ground", wipe, open_sim};

static struct ground_fixture fixture;

static int set_up(void **state)
{
    *state = &fixture;
    return ground_fixture_init(&fixture, &sim);
}

static int tear_down(void **state)
{
    ground_fixture_fini(*state);
    return 0;
}

static void reopen(struct ground_fixture *f)
{
    f->ground->ops->close(f->ground);
    assert_int_equal(open_sim(&fixture.time, &f->ground), GNT_OK);
}

static void test_the_kth_call_fails(void **state)
{
    struct ground_fixture *f = *state;
    struct gnt_ground_log log;
    ground_twin_write(&f->twin, &f->random, 50);
    sim_ground_fail_at(soil, 1, GNT_FULL, false);
    assert_int_equal(f->ground->ops->log(f->ground, LITERAL("q"), &log), GNT_OK);
    assert_int_equal(ground_twin_apply(&f->twin, f->ground), GNT_FULL);
    assert_int_equal(sim_ground_count(soil), 0);
    assert_int_equal(ground_twin_apply(&f->twin, f->ground), GNT_OK);
    sim_ground_fail_at(soil, 0, GNT_IO, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(f->ground->ops->log(f->ground, LITERAL("q"), &log), GNT_IO);
    sim_ground_fail_at(soil, -1, GNT_OK, false);
    ground_twin_compare(&f->twin, f->ground);
}

static void test_a_crash_in_an_apply(void **state)
{
    struct ground_fixture *f = *state;
    struct gnt_ground_log log;
    for (int kept = 0; kept < 2; kept++) {
        ground_twin_write(&f->twin, &f->random, 50);
        sim_ground_crash_at(soil, 0, kept);
        uint64_t applied = sim_ground_applied(soil);
        assert_int_equal(ground_twin_apply(&f->twin, f->ground), GNT_IO);
        assert_int_equal(sim_ground_applied(soil), applied + (unsigned)kept);
        assert_int_equal(f->ground->ops->log(f->ground, LITERAL("q"), &log), GNT_IO);
        reopen(f);
        assert_int_equal(ground_twin_apply(&f->twin, f->ground), GNT_OK);
        ground_twin_compare(&f->twin, f->ground);
    }
}

static void crash(void *context)
{
    struct ground_fixture *f = context;
    struct gnt_ground_log log;
    assert_int_equal(f->ground->ops->log(f->ground, LITERAL("q"), &log), GNT_OK);
    assert_int_equal(log.count, 0); /* as before the apply */
    sim_ground_crash(soil);
}

static void test_a_running_apply_is_forgotten(void **state)
{
    struct ground_fixture *f = *state;
    ground_twin_write(&f->twin, &f->random, 50);
    sim_ground_during(soil, crash, f);
    assert_int_equal(ground_twin_apply(&f->twin, f->ground), GNT_IO);
    sim_ground_during(soil, NULL, NULL);
    assert_int_equal(sim_ground_count(soil), 0);
    reopen(f);
    assert_int_equal(ground_twin_apply(&f->twin, f->ground), GNT_OK);
    ground_twin_compare(&f->twin, f->ground);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_kth_call_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_crash_in_an_apply, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_running_apply_is_forgotten, set_up, tear_down),
    };
    int failed = ground_contract(&sim) + cmocka_run_group_tests(tests, NULL, NULL);
    sim_soil_free(soil);
    return failed;
}
