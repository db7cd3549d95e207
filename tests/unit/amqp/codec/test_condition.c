#include "support/unit.h"

#include "amqp/codec/condition.h"

static void test_there_and_back(void **state)
{
    (void)state;
    for (unsigned i = GNT_AMQP_NO_CONDITION + 1; i < GNT_AMQP_CONDITION_COUNT; i++) {
        struct gnt_slice symbol = gnt_amqp_condition_symbol((enum gnt_amqp_condition)i);
        assert_true(gnt_slice_starts(symbol, gnt_slice_str("amqp:")));
        assert_int_equal(gnt_amqp_condition_of(symbol), i);
        symbol.size--;
        assert_int_equal(gnt_amqp_condition_of(symbol), GNT_AMQP_NO_CONDITION);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_slice(gnt_amqp_condition_symbol(GNT_AMQP_CONNECTION_FRAMING_ERROR),
                 "amqp:connection:framing-error");
    assert_slice(gnt_amqp_condition_symbol(GNT_AMQP_LINK_STOLEN), "amqp:link:stolen");
    assert_slice(gnt_amqp_condition_symbol(GNT_AMQP_NO_CONDITION), "");
    assert_int_equal(gnt_amqp_condition_of(gnt_slice_str("com.microsoft:timeout")),
                     GNT_AMQP_NO_CONDITION);
    assert_int_equal(gnt_amqp_condition_of(gnt_slice(NULL, 0)), GNT_AMQP_NO_CONDITION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
