#include "front/amqp/delivery.h"
#include "support/unit.h"

/* A `rejected` whose error has a description of that many bytes, in BYTES. */
static struct gnt_amqp_value rejected(size_t size, uint8_t bytes[2048])
{
    static uint8_t text[1024], inside[1024];
    struct gnt_amqp_error error = {0};
    struct gnt_amqp_rejected state = {0};
    memset(text, 'x', size);
    GNT_AMQP_SET(&error, condition, gnt_slice_str("amqp:internal-error"));
    GNT_AMQP_SET(&error, description, gnt_slice(text, size));
    struct gnt_amqp_writer w = gnt_amqp_writer(inside, sizeof inside);
    gnt_amqp_put_error(&w, &error);
    GNT_AMQP_SET(&state, error, gnt_amqp_encoded(gnt_amqp_written(&w)));
    w = gnt_amqp_writer(bytes, 2048);
    gnt_amqp_put_rejected(&w, &state);
    return gnt_amqp_encoded(gnt_amqp_written(&w));
}

/* One frame may tell of 65536 deliveries: what is kept for each of them has to be small. */
static void long_outcomes_are_echoed_in_short(void **state)
{
    (void)state;
    uint8_t bytes[2048];
    struct gnt_amqp_value said = rejected(20, bytes);
    assert_true(gnt_slice_eq(gnt_delivery_echo(&said), said.encoded));
    said = rejected(800, bytes);
    assert_slice(gnt_delivery_echo(&said), "\0S\x25\x45");
    said = gnt_amqp_fieldless(GNT_AMQP_ACCEPTED);
    assert_slice(gnt_delivery_echo(&said), "\0S\x24\x45");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_outcomes_are_echoed_in_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
