#include "cli/reading.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <jansson.h>

static void alert_has_hysteresis(void **state)
{
    (void)state;
    struct gnt_alert alert = {.limited = true, .high_milli = 28000, .low_milli = 27000};
    static const struct {
        int32_t milli;
        bool changed, active;
    } life[] = {
        {20000, true, false}, /* the first one says how it stands */
        {27999, false, false}, {28000, true, true},   {27500, false, true}, {27000, false, true},
        {26999, true, false},  {27999, false, false}, {35000, true, true},
    };
    for (size_t i = 0; i < COUNT_OF(life); i++) {
        assert_int_equal(gnt_alert_update(&alert, life[i].milli), life[i].changed);
        assert_int_equal(alert.active, life[i].active);
    }
    struct gnt_alert hot = {.limited = true, .high_milli = 28000, .low_milli = 27000};
    assert_true(gnt_alert_update(&hot, 40000));
    assert_true(hot.active);
    struct gnt_alert none = {0};
    (void)gnt_alert_update(&none, 90000);
    assert_false(none.active);
}

static void json(const struct gnt_alert *alert, const char *sensor, int32_t milli,
                 const char *expected)
{
    const struct gnt_reading reading = {milli, "C"};
    for (long n = 0;; n++) {
        struct gnt_buf out = {NULL, 0, 0, 0};
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_reading_json(&reading, sensor, UINT64_C(1795341600123), alert, &out);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        struct gnt_slice text = gnt_buf_slice(&out);
        if (!failed) {
            json_error_t error;
            json_t *parsed = json_loadb((const char *)text.data, text.size, 0, &error);
            assert_non_null(parsed);
            json_decref(parsed);
            assert_int_equal(err, GNT_OK);
            assert_int_equal(text.size, strlen(expected));
            assert_memory_equal(text.data, expected, text.size);
        } else {
            assert_int_equal(err, GNT_NOMEM);
        }
        gnt_buf_fini(&out);
        if (!failed)
            return;
    }
}

static void readings_as_json(void **state)
{
    (void)state;
    const struct gnt_alert none = {0}, cool = {.limited = true},
                           hot = {.limited = true, .active = true};
    json(&none, "sim", 21375,
         "{\"value\":21.375,\"unit\":\"C\",\"time\":\"2026-11-22T10:00:00.123Z\",\"sensor\":"
         "\"sim\"}");
    json(&cool, "sim", -500,
         "{\"value\":-0.5,\"unit\":\"C\",\"time\":\"2026-11-22T10:00:00.123Z\",\"sensor\":\"sim\","
         "\"alert\":false}");
    json(&hot, "hwmon:a\"b", 28000,
         "{\"value\":28.0,\"unit\":\"C\",\"time\":\"2026-11-22T10:00:00.123Z\",\"sensor\":"
         "\"hwmon:a\\\"b\",\"alert\":true}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alert_has_hysteresis),
        cmocka_unit_test(readings_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
