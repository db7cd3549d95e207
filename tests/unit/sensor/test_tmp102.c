/* The TMP102's driver against a register-level model of the chip, under a clock that stands still
 * until it is told to move. */
#include "sensor/tmp102.h"
#include "support/tmp102_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MS GNT_NS_PER_MS

static uint64_t fake_now;

static uint64_t fake_now_ns(void *self)
{
    return *(uint64_t *)self;
}

static const struct gnt_clock fake_clock = {fake_now_ns, fake_now_ns, &fake_now};

static struct gnt_tmp102_model chip;
static struct gnt_tmp102 dev;

static int setup(void **state)
{
    (void)state;
    fake_now = GNT_NS_PER_S;
    gnt_tmp102_model_init(&chip, &fake_clock, 0x48);
    gnt_tmp102_init(&dev, &chip.bus, 0x48);
    return 0;
}

static void pass_ms(uint64_t ms)
{
    fake_now += ms * MS;
}

static uint16_t raw(uint8_t pointer)
{
    uint8_t in[2];
    assert_int_equal(
        gnt_i2c_transfer(&chip.bus, chip.address, gnt_slice(&pointer, 1), in, sizeof in), GNT_OK);
    return (uint16_t)(in[0] << 8 | in[1]);
}

static void configure(struct gnt_tmp102_config config)
{
    assert_int_equal(gnt_tmp102_configure(&dev, &config, fake_now), GNT_OK);
}

static int32_t read_milli(void)
{
    int32_t milli = INT32_MIN;
    assert_int_equal(gnt_tmp102_read(&dev, fake_now, &milli), GNT_OK);
    return milli;
}

/* The data sheet's tables [TMP102 6.3.1, 6.4.2], in thousandths of a degree: 127.9375 is a half
 * more than 127.937, and rounds up. */
static const struct {
    int32_t milli;
    uint16_t code12, code13;
} table[] = {
    {150000, 0x7ff, 0x0960}, {128000, 0x7ff, 0x0800}, {127938, 0x7ff, 0x07ff},
    {100000, 0x640, 0x0640}, {80000, 0x500, 0x0500},  {75000, 0x4b0, 0x04b0},
    {50000, 0x320, 0x0320},  {25000, 0x190, 0x0190},  {250, 0x004, 0x0004},
    {0, 0x000, 0x0000},      {-250, 0xffc, 0x1ffc},   {-25000, 0xe70, 0x1e70},
    {-55000, 0xc90, 0x1c90},
};
enum { TABLE_ROWS = sizeof table / sizeof table[0] };

static void codes_of_the_data_sheet(void **state)
{
    (void)state;
    for (int i = 0; i < TABLE_ROWS; i++) {
        int32_t milli = table[i].milli;
        assert_int_equal(gnt_tmp102_code(milli, false), table[i].code12);
        assert_int_equal(gnt_tmp102_code(milli, true), table[i].code13);
        assert_int_equal(gnt_tmp102_milli(table[i].code12, false), milli < 127938 ? milli : 127938);
        assert_int_equal(gnt_tmp102_milli(table[i].code13, true), milli);
    }
}

static void every_code_comes_back(void **state)
{
    (void)state;
    for (int extended = 0; extended <= 1; extended++) {
        int end = extended ? 4096 : 2048;
        int32_t before = INT32_MIN;
        for (int code = -end; code < end; code++) {
            uint16_t bits = (uint16_t)(code & (2 * end - 1));
            int32_t milli = gnt_tmp102_milli(bits, extended);
            assert_true(milli > before);
            assert_true(milli * 2 - code * 125 <= 1 && milli * 2 - code * 125 >= -1);
            assert_int_equal(gnt_tmp102_code(milli, extended), bits);
            assert_int_equal(gnt_tmp102_milli((uint16_t)(bits | 2 * end), extended), milli);
            before = milli;
        }
        assert_int_equal(gnt_tmp102_code(INT32_MAX, extended), end - 1);
        assert_int_equal(gnt_tmp102_code(INT32_MIN, extended), end);
    }
}

static void codes_round_to_the_nearest(void **state)
{
    (void)state;
    assert_int_equal(gnt_tmp102_code(31, false), 0);
    assert_int_equal(gnt_tmp102_code(32, false), 1);
    assert_int_equal(gnt_tmp102_code(-31, false), 0);
    assert_int_equal(gnt_tmp102_code(-32, false), 0xfff);
}

static void measures_the_table(void **state)
{
    (void)state;
    for (int extended = 0; extended <= 1; extended++) {
        struct gnt_tmp102_config config = gnt_tmp102_power_up;
        config.extended = extended;
        configure(config);
        for (int i = 0; i < TABLE_ROWS; i++) {
            gnt_tmp102_model_feel(&chip, table[i].milli);
            pass_ms(300);
            bool over = !extended && table[i].milli > 127938;
            assert_int_equal(read_milli(), over ? 127938 : table[i].milli);
            uint16_t code = extended ? table[i].code13 : table[i].code12;
            assert_int_equal(raw(0), extended ? code << 3 | 1 : code << 4);
        }
    }
}

static void power_up_values(void **state)
{
    (void)state;
#define ROW(name, pointer, reset) assert_int_equal(raw(pointer), reset);
    GNT_TMP102_REGISTERS(ROW)
#undef ROW
    assert_int_equal(gnt_tmp102_bits(&gnt_tmp102_power_up) | GNT_TMP102_R | GNT_TMP102_AL, 0x60a0);
    configure(gnt_tmp102_power_up);
#define ROW(name, pointer, reset) assert_int_equal(raw(pointer), reset);
    GNT_TMP102_REGISTERS(ROW)
#undef ROW
}

static void bits_of_the_configuration(void **state)
{
    (void)state;
    static const struct {
        struct gnt_tmp102_config config;
        uint16_t bits;
    } rows[] = {
        {{.extended = true}, 0x0010},
        {{.shutdown = true}, 0x0100},
        {{.interrupt = true}, 0x0200},
        {{.active_high = true}, 0x0400},
        {{.faults = GNT_TMP102_2_FAULTS}, 0x0800},
        {{.faults = GNT_TMP102_4_FAULTS}, 0x1000},
        {{.faults = GNT_TMP102_6_FAULTS}, 0x1800},
        {{.rate = GNT_TMP102_1_HZ}, 0x0040},
        {{.rate = GNT_TMP102_4_HZ}, 0x0080},
        {{.rate = GNT_TMP102_8_HZ}, 0x00c0},
        {{.extended = true,
          .shutdown = true,
          .interrupt = true,
          .active_high = true,
          .faults = GNT_TMP102_6_FAULTS,
          .rate = GNT_TMP102_8_HZ},
         0x1fd0},
        {{.rate = GNT_TMP102_QUARTER_HZ}, 0x0000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(gnt_tmp102_bits(&rows[i].config), rows[i].bits);
        configure(rows[i].config);
        assert_int_equal(raw(1) & 0x1fd0, rows[i].bits);
        assert_int_equal(raw(1) & 0x6000, 0x6000);
    }
}

static void addresses(void **state)
{
    (void)state;
    static const char *const pins[] = {"GND", "V+", "SDA", "SCL"};
    for (uint8_t at = 0x48; at <= 0x4b; at++) {
        assert_string_equal(gnt_tmp102_add0(at), pins[at - 0x48]);
        gnt_tmp102_model_init(&chip, &fake_clock, at);
        for (uint8_t asked = 0x48; asked <= 0x4b; asked++) {
            gnt_tmp102_init(&dev, &chip.bus, asked);
            assert_int_equal(gnt_tmp102_configure(&dev, &gnt_tmp102_power_up, fake_now),
                             asked == at ? GNT_OK : GNT_REFUSED);
        }
    }
    assert_null(gnt_tmp102_add0(0x47));
    assert_null(gnt_tmp102_add0(0x4c));
    assert_null(gnt_tmp102_add0(0x148));
}

/* The register reads 0 C until the first conversion after power-up has ended [TMP102 6.5.2]. */
static void never_shows_the_power_up_zero(void **state)
{
    (void)state;
    int32_t milli = 1;
    assert_int_equal(gnt_tmp102_read(&dev, fake_now, &milli), GNT_MORE);
    gnt_tmp102_model_feel(&chip, 21500);
    configure(gnt_tmp102_power_up);
    uint64_t ready = dev.ready_ns;
    assert_true(ready >= fake_now + 26 * MS && ready <= fake_now + 35 * MS);
    for (; fake_now < ready; fake_now += MS)
        assert_int_equal(gnt_tmp102_read(&dev, fake_now, &milli), GNT_MORE);
    assert_int_equal(milli, 1);
    assert_int_equal(read_milli(), 21500);
}

static void conversion_rates(void **state)
{
    (void)state;
    static const struct {
        enum gnt_tmp102_rate rate;
        unsigned in_40_s;
        uint64_t period_ns;
    } rows[] = {
        {GNT_TMP102_QUARTER_HZ, 10, 4000 * MS},
        {GNT_TMP102_1_HZ, 40, 1000 * MS},
        {GNT_TMP102_4_HZ, 160, 250 * MS},
        {GNT_TMP102_8_HZ, 320, 125 * MS},
    };
    for (int i = 0; i < 4; i++) {
        struct gnt_tmp102_config config = gnt_tmp102_power_up;
        config.rate = rows[i].rate;
        assert_true(gnt_tmp102_period_ns(rows[i].rate) == rows[i].period_ns);
        configure(config);
        pass_ms(5000);
        raw(0);
        unsigned long before = chip.conversions;
        pass_ms(40000);
        raw(0);
        assert_int_equal(chip.conversions - before, rows[i].in_40_s);
        gnt_tmp102_model_feel(&chip, 1000 * i);
        fake_now += rows[i].period_ns + 26 * MS;
        assert_int_equal(read_milli(), 1000 * i);
    }
}

/* Until the next conversion ends, the register holds the old format's number under the new
 * format's mark, which would read as twice or half the temperature. */
static void change_of_format_waits_for_a_conversion(void **state)
{
    (void)state;
    static const enum gnt_tmp102_rate rates[] = {GNT_TMP102_QUARTER_HZ, GNT_TMP102_8_HZ};
    gnt_tmp102_model_feel(&chip, 40000);
    pass_ms(100);
    for (int i = 0; i < 8; i++) {
        struct gnt_tmp102_config config = gnt_tmp102_power_up;
        config.extended = i % 2 == 0;
        config.rate = rates[i / 2 % 2];
        configure(config);
        int32_t milli = 0;
        gnt_err err;
        while ((err = gnt_tmp102_read(&dev, fake_now, &milli)) == GNT_MORE)
            pass_ms(1);
        assert_int_equal(err, GNT_OK);
        assert_int_equal(milli, 40000);
    }
}

static struct gnt_tmp102_config shutdown_config(void)
{
    struct gnt_tmp102_config config = gnt_tmp102_power_up;
    config.shutdown = true;
    return config;
}

static void one_shot(void **state)
{
    (void)state;
    int32_t milli;
    pass_ms(100);
    configure(shutdown_config());
    pass_ms(10000);
    assert_int_equal(raw(1) & GNT_TMP102_OS, GNT_TMP102_OS);
    assert_int_equal(chip.conversions, 1); /* that of power-up */
    assert_int_equal(gnt_tmp102_read(&dev, fake_now, &milli), GNT_MORE);
    for (int i = 0; i < 3; i++) {
        gnt_tmp102_model_feel(&chip, 1000 * (i + 1));
        assert_int_equal(gnt_tmp102_start(&dev, fake_now), GNT_OK);
        assert_int_equal(raw(1) & GNT_TMP102_OS, 0);
        assert_int_equal(gnt_tmp102_read(&dev, fake_now, &milli), GNT_MORE);
        fake_now = dev.ready_ns;
        assert_int_equal(read_milli(), 1000 * (i + 1));
        assert_int_equal(raw(1) & GNT_TMP102_OS, GNT_TMP102_OS);
        gnt_tmp102_model_feel(&chip, 99000);
        pass_ms(10000);
        assert_int_equal(read_milli(), 1000 * (i + 1)); /* it slept */
    }
    assert_int_equal(chip.conversions, 4);
    configure(gnt_tmp102_power_up);
    assert_int_equal(gnt_tmp102_start(&dev, fake_now), GNT_STATE);
    fake_now = dev.ready_ns;
    assert_int_equal(read_milli(), 99000);
}

static void one_shot_that_never_ends(void **state)
{
    (void)state;
    int32_t milli;
    gnt_err err;
    pass_ms(100);
    configure(shutdown_config());
    chip.stuck = true;
    assert_int_equal(gnt_tmp102_start(&dev, fake_now), GNT_OK);
    uint64_t started = fake_now;
    int polls = 0;
    while ((err = gnt_tmp102_read(&dev, fake_now, &milli)) == GNT_MORE && polls++ < 1000) {
        assert_true(dev.ready_ns > fake_now);
        fake_now = dev.ready_ns;
    }
    assert_int_equal(err, GNT_TIMEOUT);
    assert_true(fake_now - started <= 250 * MS);
    chip.stuck = false;
    assert_int_equal(gnt_tmp102_start(&dev, fake_now), GNT_OK);
    fake_now = dev.ready_ns;
    assert_int_equal(read_milli(), 0);
}

static void limits(void **state)
{
    (void)state;
    struct gnt_tmp102_config config = gnt_tmp102_power_up;
    configure(config);
    assert_int_equal(gnt_tmp102_set_limits(&dev, -25000, 50000), GNT_OK);
    assert_int_equal(raw(2), 0xe700);
    assert_int_equal(raw(3), 0x3200);
    config.extended = true;
    config.low_milli = -55000;
    config.high_milli = 150000;
    configure(config);
    assert_int_equal(raw(2), 0x1c90 << 3);
    assert_int_equal(raw(3), 0x0960 << 3);
    assert_int_equal(gnt_tmp102_set_limits(&dev, 255938, 255938), GNT_OK);

    static const int32_t bad[][2] = {{1, 0}, {0, 255939}, {-256001, 0}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(gnt_tmp102_set_limits(&dev, bad[i][0], bad[i][1]), GNT_INVALID);
    config.extended = false;
    assert_int_equal(gnt_tmp102_configure(&dev, &config, fake_now), GNT_INVALID);
    config.high_milli = 127938;
    config.low_milli = -128000;
    configure(config);
    assert_int_equal(raw(2), 0x8000);
    assert_int_equal(raw(3), 0x7ff0);
}

static bool alert(void)
{
    bool active;
    assert_int_equal(gnt_tmp102_alert(&dev, &active), GNT_OK);
    return active;
}

/* Feels MILLI for as many conversions as asked, and says how many it took until alert() or, in
 * interrupt mode, the pin, became WANTED; 0: not at all. */
static int conversions_until(int32_t milli, bool wanted, int at_most)
{
    gnt_tmp102_model_feel(&chip, milli);
    for (int i = 1; i <= at_most; i++) {
        pass_ms(250);
        if (alert() == wanted)
            return i;
    }
    return 0;
}

static void comparator_alert(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 4, 6};
    for (int i = 0; i < 8; i++) {
        struct gnt_tmp102_config config = gnt_tmp102_power_up;
        int count = counts[i / 2];
        config.faults = (enum gnt_tmp102_faults)(i / 2);
        config.active_high = i % 2;
        gnt_tmp102_model_init(&chip, &fake_clock, 0x48);
        configure(config);
        pass_ms(100);
        assert_int_equal(conversions_until(79938, true, 10), 0);
        assert_int_equal(gnt_tmp102_model_pin(&chip), !config.active_high);
        if (count > 1)
            assert_int_equal(conversions_until(80000, true, count - 1), 0);
        assert_int_equal(conversions_until(0, true, 1), 0); /* starts the count again */
        assert_int_equal(conversions_until(80000, true, 10), count);
        assert_int_equal(gnt_tmp102_model_pin(&chip), config.active_high);
        assert_int_equal(conversions_until(75000, false, 10), 0);
        assert_int_equal(conversions_until(74938, false, 10), count);
        assert_int_equal(gnt_tmp102_model_pin(&chip), !config.active_high);
    }
}

static void alert_below_zero_in_13_bits(void **state)
{
    (void)state;
    struct gnt_tmp102_config config = gnt_tmp102_power_up;
    config.extended = true;
    config.low_milli = -20000;
    config.high_milli = -10000;
    gnt_tmp102_model_feel(&chip, -30000);
    configure(config);
    pass_ms(1000);
    assert_false(alert());
    assert_int_equal(conversions_until(-10000, true, 3), 1);
    assert_int_equal(conversions_until(-20063, false, 3), 1);
}

static void interrupt_alert(void **state)
{
    (void)state;
    struct gnt_tmp102_config config = gnt_tmp102_power_up;
    config.interrupt = true;
    configure(config);
    pass_ms(300);
    assert_true(gnt_tmp102_model_pin(&chip));
    gnt_tmp102_model_feel(&chip, 90000);
    pass_ms(300);
    assert_false(gnt_tmp102_model_pin(&chip));
    assert_true(alert()); /* AL follows comparator mode, and reading it releases the pin */
    assert_true(gnt_tmp102_model_pin(&chip));
    pass_ms(1000); /* still hot, but told already */
    assert_true(gnt_tmp102_model_pin(&chip));
    gnt_tmp102_model_feel(&chip, 70000);
    pass_ms(300);
    assert_false(gnt_tmp102_model_pin(&chip)); /* told that it is over */
    assert_int_equal(read_milli(), 70000);
    assert_true(gnt_tmp102_model_pin(&chip));
    gnt_tmp102_model_feel(&chip, 90000);
    pass_ms(300);
    assert_false(gnt_tmp102_model_pin(&chip));
    config.shutdown = true;
    configure(config);
    assert_true(gnt_tmp102_model_pin(&chip));
}

static void unplugged_and_back(void **state)
{
    (void)state;
    struct gnt_tmp102_config config = gnt_tmp102_power_up;
    config.rate = GNT_TMP102_1_HZ;
    int32_t milli = 7;
    gnt_tmp102_model_feel(&chip, 20000);
    configure(config);
    pass_ms(100);
    assert_int_equal(read_milli(), 20000);
    gnt_tmp102_model_unplug(&chip);
    bool active;
    assert_int_equal(gnt_tmp102_read(&dev, fake_now, &milli), GNT_REFUSED);
    assert_int_equal(gnt_tmp102_alert(&dev, &active), GNT_REFUSED);
    assert_int_equal(gnt_tmp102_configure(&dev, &config, fake_now), GNT_REFUSED);
    gnt_tmp102_model_plug(&chip);
    assert_int_equal(gnt_tmp102_read(&dev, fake_now, &milli), GNT_STATE); /* not 0 C */
    assert_int_equal(milli, 7);
    configure(config);
    fake_now = dev.ready_ns;
    assert_int_equal(read_milli(), 20000);
}

static gnt_err whole_life(int32_t *milli)
{
    struct gnt_tmp102_config config = shutdown_config();
    bool active;
    gnt_err err = gnt_tmp102_configure(&dev, &config, fake_now);
    if (!err)
        err = gnt_tmp102_start(&dev, fake_now);
    if (!err) {
        fake_now = dev.ready_ns;
        err = gnt_tmp102_read(&dev, fake_now, milli);
    }
    if (!err)
        err = gnt_tmp102_alert(&dev, &active);
    return err ? err : gnt_tmp102_set_limits(&dev, 0, 1000);
}

static void each_transfer_fails_once(void **state)
{
    long n = 0;
    gnt_err err;
    do {
        setup(state);
        int32_t milli = 0;
        gnt_tmp102_model_feel(&chip, 33000);
        pass_ms(100);
        chip.fail_at = n++;
        chip.fail_error = GNT_IO;
        err = whole_life(&milli);
        assert_int_equal(err, chip.fail_at < 0 ? GNT_IO : GNT_OK);
        if (err) {
            assert_int_equal(whole_life(&milli), GNT_OK);
            assert_int_equal(milli, 33000);
        }
    } while (err);
    assert_int_equal(n, 12); /* 4 + 1 + 3 + 1 + 2 transfers, and the life without a failure */
}

/* What keeps the model honest: the pointer stays, writes go byte by byte, some bits are fixed. */
static void registers_of_the_model(void **state)
{
    (void)state;
    uint8_t in[3];
    pass_ms(100);
    static const uint8_t msb_only[] = {1, 0xff}, all[] = {1, 0x00, 0xff}, temperature[] = {0, 1, 2};
    assert_int_equal(gnt_i2c_transfer(&chip.bus, 0x48, gnt_slice(msb_only, 2), NULL, 0), GNT_OK);
    pass_ms(100);
    assert_int_equal(gnt_i2c_transfer(&chip.bus, 0x48, gnt_slice(NULL, 0), in, 3), GNT_OK);
    assert_int_equal(in[0] << 8 | in[1], 0xff80); /* shut down, ready, active high: AL reads 0 */
    assert_int_equal(in[2], 0xff);
    assert_int_equal(gnt_i2c_transfer(&chip.bus, 0x48, gnt_slice(all, 3), NULL, 0), GNT_OK);
    assert_int_equal(raw(1), 0x60f0);
    assert_int_equal(gnt_i2c_transfer(&chip.bus, 0x48, gnt_slice(temperature, 3), NULL, 0), GNT_OK);
    assert_int_equal(raw(0), 0x0001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_of_the_data_sheet),
        cmocka_unit_test(every_code_comes_back),
        cmocka_unit_test(codes_round_to_the_nearest),
        cmocka_unit_test_setup(measures_the_table, setup),
        cmocka_unit_test_setup(power_up_values, setup),
        cmocka_unit_test_setup(bits_of_the_configuration, setup),
        cmocka_unit_test_setup(addresses, setup),
        cmocka_unit_test_setup(never_shows_the_power_up_zero, setup),
        cmocka_unit_test_setup(conversion_rates, setup),
        cmocka_unit_test_setup(change_of_format_waits_for_a_conversion, setup),
        cmocka_unit_test_setup(one_shot, setup),
        cmocka_unit_test_setup(one_shot_that_never_ends, setup),
        cmocka_unit_test_setup(limits, setup),
        cmocka_unit_test_setup(comparator_alert, setup),
        cmocka_unit_test_setup(alert_below_zero_in_13_bits, setup),
        cmocka_unit_test_setup(interrupt_alert, setup),
        cmocka_unit_test_setup(unplugged_and_back, setup),
        cmocka_unit_test_setup(each_transfer_fails_once, setup),
        cmocka_unit_test_setup(registers_of_the_model, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
