/* Sensors from their specs: the kernel's files are a tree in a temporary directory, the TMP102 is a
 * model, time stands still until it is told to move. */
#include "sensor/sensor.h"
#include "sensor/tmp102.h"
#include "support/alloc_fault.h"
#include "support/tmp102_model.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define MS GNT_NS_PER_MS

static uint64_t fake_now;

static uint64_t fake_now_ns(void *self)
{
    return *(uint64_t *)self;
}

static const struct gnt_clock fake_clock = {fake_now_ns, fake_now_ns, &fake_now};

static struct gnt_tmp102_model chip;
static struct gnt_seeded seeded;
static char root[64];
static struct gnt_sensor_options options;
static struct gnt_sensor *sensor;
static char text[GNT_SENSOR_PROBLEM_MAX];

static int setup(void **state)
{
    (void)state;
    fake_now = GNT_NS_PER_S;
    gnt_tmp102_model_init(&chip, &fake_clock, 0x48);
    gnt_tmp102_model_feel(&chip, 21500);
    gnt_seeded_init(&seeded, 1);
    snprintf(root, sizeof root, "/tmp/gnatter-sensor-XXXXXX");
    options =
        (struct gnt_sensor_options){.sysfs_root = root, .random = &seeded.door, .i2c = &chip.bus};
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    gnt_alloc_fail_at(-1);
    gnt_sensor_close(&sensor);
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Puts TEXT into a file of the tree, with the directories on its way; NULL: removes the file. */
static void put(const char *path, const char *content)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    if (!content) {
        assert_int_equal(unlink(full), 0);
        return;
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static gnt_err open_sensor(const char *spec)
{
    text[0] = '\0';
    gnt_sensor_close(&sensor);
    return gnt_sensor_open(spec, &options, fake_now, &sensor, text, sizeof text);
}

static gnt_err read_sensor(int32_t *milli)
{
    struct gnt_reading reading = {*milli, NULL};
    gnt_err err = gnt_sensor_read(sensor, fake_now, &reading);
    if (err == GNT_OK)
        assert_string_equal(reading.unit, "C");
    *milli = reading.milli;
    return err;
}

static void assert_reads(int32_t expected)
{
    int32_t milli = INT32_MIN;
    gnt_err err;
    while ((err = read_sensor(&milli)) == GNT_MORE) {
        assert_true(sensor->ready_ns > fake_now);
        fake_now = sensor->ready_ns;
    }
    assert_int_equal(err, GNT_OK);
    assert_int_equal(milli, expected);
}

/* A read that fails leaves its output alone, and a text that has WORDS in it. */
static void assert_fails(gnt_err expected, const char *words)
{
    int32_t milli = 77;
    assert_int_equal(read_sensor(&milli), expected);
    assert_int_equal(milli, 77);
    if (!strstr(sensor->problem, words))
        fail_msg("\"%s\" does not say \"%s\"", sensor->problem, words);
}

static void good_specs(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "tmp102:/dev/i2c-1@0x48",
        "tmp102:/dev/i2c-1",
        "tmp102:/dev/i2c-1@72",
        "tmp102:/dev/by@name/i2c@0x48",
        "hwmon:coretemp",
        "hwmon:coretemp/2",
        "thermal:0",
        "sim",
        "sim:0",
        "sim:0xFFffFFffFFffFFff",
        "sim:18446744073709551615",
    };
    put("class/hwmon/hwmon0/name", "coretemp\n");
    put("class/hwmon/hwmon0/temp1_input", "41000\n");
    put("class/hwmon/hwmon0/temp2_input", "42000\n");
    put("class/thermal/thermal_zone0/temp", "43000\n");
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        if (open_sensor(specs[i]))
            fail_msg("%s: %s", specs[i], text);
        assert_string_equal(sensor->name, specs[i]);
        assert_string_equal(text, "");
    }
}

static void bad_specs(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *words;
    } rows[] = {
        {"", "tmp102:/dev/i2c-N[@ADDRESS] | hwmon:NAME[/CHANNEL] | thermal:N | sim[:SEED]"},
        {"bme280:/dev/i2c-1", "\"bme280:/dev/i2c-1\" is no sensor; it must be one of tmp102:"},
        {"tmp1", "it must be one of"},
        {"simulated", "it must be one of"},
        {":", "it must be one of"},
        {"tmp102", "tmp102:/dev/i2c-1@0x48"},
        {"tmp102:", "tmp102:/dev/i2c-1@0x48"},
        {"tmp102:@0x48", "tmp102:/dev/i2c-1@0x48"},
        {"tmp102:/dev/i2c-1@", "\"\": no TMP102 has this address"},
        {"tmp102:/dev/i2c-1@0x", "0x48 (ADD0 to GND)"},
        {"tmp102:/dev/i2c-1@0x47", "0x48 (ADD0 to GND)"},
        {"tmp102:/dev/i2c-1@0x4c", "0x4b (ADD0 to SCL)"},
        {"tmp102:/dev/i2c-1@0x148", "no TMP102"},
        {"tmp102:/dev/i2c-1@48", "\"48\": no TMP102 has this address"},
        {"tmp102:/dev/i2c-1@4a", "no TMP102"},
        {"tmp102:/dev/i2c-1@0x4a ", "no TMP102"},
        {"tmp102:/dev/i2c-1@18446744073709551688", "no TMP102"},
        {"hwmon", "hwmon:coretemp/2"},
        {"hwmon:", "hwmon:coretemp/2"},
        {"hwmon:/1", "hwmon:coretemp/2"},
        {"hwmon:a/", "hwmon:coretemp/2"},
        {"hwmon:a/0", "a channel from 1 to 128"},
        {"hwmon:a/129", "a channel from 1 to 128"},
        {"hwmon:a/x", "\"hwmon:a/x\""},
        {"hwmon:0123456789012345678901234567890123456789012345678901234567890123", "chip's name"},
        {"thermal", "as in thermal:0"},
        {"thermal:", "as in thermal:0"},
        {"thermal:cpu", "\"thermal:cpu\""},
        {"thermal:-1", "as in thermal:0"},
        {"thermal:2147483648", "as in thermal:0"},
        {"sim:x", "as in sim:42"},
        {"sim:18446744073709551616", "as in sim:42"},
        {"sim:0x10000000000000000", "as in sim:42"},
    };
    options.absent_ok = true; /* does not excuse a bad spec */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(open_sensor(rows[i].spec), GNT_INVALID);
        assert_null(sensor);
        if (!strstr(text, rows[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].spec, text, rows[i].words);
    }
}

static void too_long(void **state)
{
    (void)state;
    char spec[2 * GNT_SENSOR_SPEC_MAX];
    memset(spec, 'a', sizeof spec);
    spec[GNT_SENSOR_SPEC_MAX] = '\0';
    assert_int_equal(open_sensor(spec), GNT_INVALID);
    assert_non_null(strstr(text, "255 characters"));
    spec[GNT_SENSOR_SPEC_MAX - 1] = '\0';
    memcpy(spec, "tmp102:/", 8);
    assert_int_equal(open_sensor(spec), GNT_OK);
    options.sysfs_root = spec;
    assert_int_equal(open_sensor("thermal:0"), GNT_NOTFOUND);
    spec[GNT_SENSOR_SPEC_MAX - 1] = 'a';
    spec[GNT_SENSOR_SPEC_MAX] = '\0';
    assert_int_equal(open_sensor("thermal:0"), GNT_INVALID);
}

static void text_is_cut_or_not_wanted(void **state)
{
    (void)state;
    char small[8];
    memset(small, 'x', sizeof small);
    assert_int_equal(gnt_sensor_open("what", &options, fake_now, &sensor, small, 6), GNT_INVALID);
    assert_string_equal(small, "\"what");
    assert_int_equal(small[6], 'x');
    assert_int_equal(gnt_sensor_open("what", NULL, fake_now, &sensor, NULL, 0), GNT_INVALID);
    assert_int_equal(gnt_sensor_open("thermal:0", &options, fake_now, &sensor, NULL, 0),
                     GNT_NOTFOUND);
    assert_null(sensor);
}

static void absent_sensors_say_what_is_missing(void **state)
{
    (void)state;
    static const char *const specs[] = {"thermal:3", "hwmon:k10temp", "hwmon:nvme/2", "hwmon:fan"};
    static const char *const words[] = {
        "/class/thermal/thermal_zone3/temp: there is no such file",
        "/class/hwmon: no chip is called \"k10temp\"; there are: ",
        "hwmon7 (nvme) has no temp2_input",
        "hwmon9 (fan) has no temperature",
    };
    assert_int_equal(open_sensor("hwmon:nvme"), GNT_NOTFOUND);
    assert_non_null(strstr(text, "there are: none"));
    put("class/hwmon/hwmon7/name", "nvme\n");
    put("class/hwmon/hwmon7/temp1_input", "30000\n");
    put("class/hwmon/hwmon9/name", "fan\n");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(open_sensor(specs[i]), GNT_NOTFOUND);
        assert_null(sensor);
        if (!strstr(text, words[i]) || !strstr(text, root))
            fail_msg("\"%s\" does not say \"%s\"", text, words[i]);
        options.absent_ok = true;
        assert_int_equal(open_sensor(specs[i]), GNT_OK);
        assert_fails(GNT_NOTFOUND, words[i]);
        options.absent_ok = false;
    }
    assert_int_equal(open_sensor("hwmon:k10temp"), GNT_NOTFOUND);
    assert_non_null(strstr(text, " nvme"));
    assert_non_null(strstr(text, " fan"));
}

static void thermal_values(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        gnt_err err;
        int32_t milli;
    } rows[] = {
        {"47123\n", GNT_OK, 47123},
        {"-40000\n", GNT_OK, -40000},
        {"0", GNT_OK, 0},
        {"2147483647\n", GNT_OK, INT32_MAX},
        {"-2147483648\n", GNT_OK, INT32_MIN},
        {"2147483648\n", GNT_MALFORMED, 0},
        {"-2147483649\n", GNT_MALFORMED, 0},
        {"99999999999999999999999\n", GNT_MALFORMED, 0},
        {"", GNT_MALFORMED, 0},
        {"\n", GNT_MALFORMED, 0},
        {"warm\n", GNT_MALFORMED, 0},
        {"21 C\n", GNT_MALFORMED, 0},
        {"0x15\n", GNT_MALFORMED, 0},
        {"21.5\n", GNT_MALFORMED, 0},
    };
    options.absent_ok = true;
    assert_int_equal(open_sensor("thermal:12"), GNT_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put("class/thermal/thermal_zone12/temp", rows[i].content);
        if (rows[i].err)
            assert_fails(rows[i].err, "thermal_zone12/temp: holds no temperature");
        else
            assert_reads(rows[i].milli);
    }
}

static void thermal_goes_and_returns(void **state)
{
    (void)state;
    put("class/thermal/thermal_zone0/temp", "20000\n");
    assert_int_equal(open_sensor("thermal:0"), GNT_OK);
    for (int i = 0; i < 3; i++) {
        assert_reads(20000);
        put("class/thermal/thermal_zone0/temp", NULL);
        assert_fails(GNT_NOTFOUND, "there is no such file");
        assert_fails(GNT_NOTFOUND, "there is no such file");
        put("class/thermal/thermal_zone0/temp", "20000\n");
    }
    assert_reads(20000);
}

static void unreadable_file(void **state)
{
    (void)state;
    put("class/thermal/thermal_zone0/temp/is_a_directory", "");
    assert_int_equal(open_sensor("thermal:0"), GNT_IO);
    assert_non_null(strstr(text, "cannot be read: Is a directory"));
}

static void hwmon_channels(void **state)
{
    (void)state;
    put("class/hwmon/hwmon0/name", "acpitz\n");
    put("class/hwmon/hwmon0/temp1_input", "1000\n");
    put("class/hwmon/hwmon1/name", "coretemp\n");
    put("class/hwmon/hwmon1/temp4_input", "4000\n");
    put("class/hwmon/hwmon1/temp2_input", "2000\n");
    put("class/hwmon/hwmon2/name", "coretempo\n");
    put("class/hwmon/hwmon2/temp1_input", "3000\n");
    put("class/hwmon/unrelated", "coretemp\n");
    assert_int_equal(open_sensor("hwmon:coretemp"), GNT_OK);
    assert_reads(2000); /* the first there is */
    assert_int_equal(open_sensor("hwmon:coretemp/4"), GNT_OK);
    assert_reads(4000);
    assert_int_equal(open_sensor("hwmon:coretemp/1"), GNT_NOTFOUND);
    put("class/hwmon/hwmon1/temp1_input", "1500\n");
    assert_int_equal(open_sensor("hwmon:coretemp"), GNT_OK);
    assert_reads(1500);
}

static void hwmon_of_two_the_lowest(void **state)
{
    (void)state;
    static const char *const numbers[] = {"12", "9", "30"};
    for (int i = 0; i < 3; i++) {
        char path[64], value[16];
        snprintf(path, sizeof path, "class/hwmon/hwmon%s/name", numbers[i]);
        put(path, "nvme\n");
        snprintf(path, sizeof path, "class/hwmon/hwmon%s/temp1_input", numbers[i]);
        snprintf(value, sizeof value, "%s000\n", numbers[i]);
        put(path, value);
    }
    assert_int_equal(open_sensor("hwmon:nvme"), GNT_OK);
    assert_reads(9000);
}

/* A module that is loaded anew gets another number, and its old one may go to another chip. */
static void hwmon_goes_and_returns_elsewhere(void **state)
{
    (void)state;
    put("class/hwmon/hwmon3/name", "w1_slave\n");
    put("class/hwmon/hwmon3/temp1_input", "20000\n");
    assert_int_equal(open_sensor("hwmon:w1_slave"), GNT_OK);
    assert_reads(20000);
    put("class/hwmon/hwmon3/temp1_input", NULL);
    assert_fails(GNT_NOTFOUND, "temp1_input");
    assert_fails(GNT_NOTFOUND, "no temp");
    put("class/hwmon/hwmon3/name", NULL);
    assert_fails(GNT_NOTFOUND, "no chip is called \"w1_slave\"");
    put("class/hwmon/hwmon3/name", "coretemp\n");
    put("class/hwmon/hwmon3/temp1_input", "66000\n");
    assert_fails(GNT_NOTFOUND, "there are: coretemp");
    put("class/hwmon/hwmon5/name", "w1_slave\n");
    put("class/hwmon/hwmon5/temp1_input", "19000\n");
    assert_reads(19000);
    put("class/hwmon/hwmon5/name", "nvme\n");
    put("class/hwmon/hwmon3/name", "w1_slave\n");
    assert_reads(66000);
}

static void tmp102_reads(void **state)
{
    (void)state;
    assert_int_equal(open_sensor("tmp102:/dev/i2c-1"), GNT_OK);
    assert_reads(21500);
    assert_true(fake_now <= GNT_NS_PER_S + 35 * MS);
    for (int32_t milli = -55000; milli <= 127000; milli += 1000) {
        gnt_tmp102_model_feel(&chip, milli);
        fake_now += 1100 * MS;
        uint64_t before = fake_now;
        assert_reads(milli);
        assert_true(fake_now == before); /* in continuous mode nobody waits */
    }
}

static void tmp102_goes_and_returns(void **state)
{
    (void)state;
    assert_int_equal(open_sensor("tmp102:/dev/i2c-1@0x49"), GNT_REFUSED);
    assert_non_null(strstr(text, "/dev/i2c-1: no chip answers at 0x49 (ADD0 to V+)"));
    assert_int_equal(open_sensor("tmp102:/dev/i2c-1@0x48"), GNT_OK);
    for (int i = 0; i < 3; i++) {
        assert_reads(21500);
        gnt_tmp102_model_unplug(&chip);
        assert_fails(GNT_REFUSED, "no chip answers at 0x48 (ADD0 to GND)");
        fake_now += 1000 * MS;
        assert_fails(GNT_REFUSED, "no chip answers at 0x48 (ADD0 to GND)");
        gnt_tmp102_model_plug(&chip);
    }
    assert_reads(21500);
    gnt_tmp102_model_unplug(&chip); /* so briefly that no read noticed */
    gnt_tmp102_model_plug(&chip);
    assert_reads(21500);
}

static void tmp102_comes_late(void **state)
{
    (void)state;
    gnt_tmp102_model_unplug(&chip);
    options.absent_ok = true;
    assert_int_equal(open_sensor("tmp102:/dev/i2c-1"), GNT_OK);
    assert_fails(GNT_REFUSED, "no chip answers");
    gnt_tmp102_model_plug(&chip);
    assert_reads(21500);
}

static void tmp102_errors_of_the_bus(void **state)
{
    (void)state;
    static const struct {
        gnt_err err;
        const char *words;
    } rows[] = {
        {GNT_NOTFOUND, "/dev/i2c-1: there is no such I2C bus"},
        {GNT_DENIED, "/dev/i2c-1: permission denied"},
        {GNT_UNSUPPORTED, "/dev/i2c-1: is no I2C bus"},
        {GNT_IO, "/dev/i2c-1: TMP102 at 0x48: input/output error"},
        {GNT_TIMEOUT, "/dev/i2c-1: TMP102 at 0x48: timed out"},
    };
    assert_int_equal(open_sensor("tmp102:/dev/i2c-1"), GNT_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_reads(21500);
        chip.fail_at = 0;
        chip.fail_error = rows[i].err;
        assert_fails(rows[i].err, rows[i].words);
        assert_reads(21500);
    }
}

/* 13 bits, limits of its own, measuring only when asked. */
static void tmp102_as_configured(void **state)
{
    (void)state;
    struct gnt_tmp102_config config = gnt_tmp102_power_up;
    config.extended = config.shutdown = true;
    config.low_milli = 100000;
    config.high_milli = 140000;
    options.tmp102 = &config;
    assert_int_equal(open_sensor("tmp102:/dev/i2c-1"), GNT_OK);
    gnt_tmp102_model_feel(&chip, 149500);
    assert_int_equal(chip.registers[3], 140000 / 625 * 10 << 3);
    fake_now = sensor->ready_ns;
    int32_t milli;
    assert_int_equal(read_sensor(&milli), GNT_OK); /* the conversion that open asked for */
    unsigned long before = chip.conversions;
    for (int i = 0; i < 3; i++) {
        fake_now += 5000 * MS;
        assert_reads(149500);
    }
    assert_int_equal(chip.conversions, before + 3);
    assert_false(gnt_tmp102_model_pin(&chip));
    chip.stuck = true;
    assert_int_equal(read_sensor(&milli), GNT_MORE);
    fake_now += 300 * MS;
    assert_fails(GNT_TIMEOUT, "timed out");
    chip.stuck = false;
    assert_reads(149500);
    config.high_milli = 0;
    assert_int_equal(open_sensor("tmp102:/dev/i2c-1"), GNT_INVALID);
    assert_non_null(strstr(text, "limits must be in order"));
}

static void sim_is_a_quiet_room(void **state)
{
    (void)state;
    int32_t low = INT32_MAX, high = INT32_MIN, before = 21000, milli = 0;
    assert_int_equal(open_sensor("sim:42"), GNT_OK);
    for (int i = 0; i < 24 * 720; i++) { /* a day, every 5 seconds */
        assert_int_equal(read_sensor(&milli), GNT_OK);
        assert_true(abs(milli - before) <= 21 * 50);
        low = milli < low ? milli : low;
        high = milli > high ? milli : high;
        before = milli;
        fake_now += 5000 * MS;
    }
    assert_true(low > 19000 && low < 20900);
    assert_true(high < 23000 && high > 21100);
    fake_now += UINT64_C(17000000000) * GNT_NS_PER_S; /* a long sleep costs no time */
    assert_int_equal(read_sensor(&milli), GNT_OK);
    assert_true(milli > 19000 && milli < 23000);
    fake_now -= 5000 * MS; /* nor does time that stands still or goes back hurt */
    assert_int_equal(read_sensor(&before), GNT_OK);
    assert_int_equal(before, milli);
}

/* The sum of a walk's first minute, as good as its fingerprint. */
static int64_t walk(const char *spec)
{
    int64_t sum = 0;
    int32_t milli = 0;
    assert_int_equal(open_sensor(spec), GNT_OK);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(read_sensor(&milli), GNT_OK);
        sum = sum * 31 % 1000003 + milli;
        fake_now += 1000 * MS;
    }
    return sum;
}

static void sim_repeats_from_its_seed(void **state)
{
    (void)state;
    assert_true(walk("sim:7") == walk("sim:7"));
    assert_true(walk("sim:7") != walk("sim:8"));
    gnt_seeded_init(&seeded, 99);
    int64_t first = walk("sim");
    assert_true(walk("sim") != first); /* the door gives another number each time */
    gnt_seeded_init(&seeded, 99);
    assert_true(walk("sim") == first);
    options.random = NULL;
    assert_true(walk("sim") != first);
}

static void allocation_failures(void **state)
{
    (void)state;
    static const char *const specs[] = {"tmp102:/dev/i2c-1", "hwmon:a", "thermal:0", "sim"};
    put("class/hwmon/hwmon0/name", "a\n");
    put("class/hwmon/hwmon0/temp1_input", "1\n");
    put("class/thermal/thermal_zone0/temp", "1\n");
    for (int i = 0; i < 4; i++) {
        gnt_err err = GNT_NOMEM;
        long n;
        for (n = 0; err && n < 10; n++) {
            gnt_sensor_close(&sensor);
            gnt_alloc_fail_at(n);
            err = gnt_sensor_open(specs[i], &options, fake_now, &sensor, text, sizeof text);
            gnt_alloc_fail_at(-1);
            if (err) {
                assert_int_equal(err, GNT_NOMEM);
                assert_null(sensor);
                assert_string_equal(text, "out of memory");
            }
        }
        assert_int_equal(n, 2);
        fake_now += 100 * MS;
        int32_t milli;
        gnt_alloc_fail_at(0);
        assert_int_equal(read_sensor(&milli), GNT_OK);
        assert_false(gnt_alloc_failed()); /* reading allocates nothing */
        gnt_alloc_fail_at(-1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(good_specs, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_specs, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(text_is_cut_or_not_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(absent_sensors_say_what_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(thermal_values, setup, teardown),
        cmocka_unit_test_setup_teardown(thermal_goes_and_returns, setup, teardown),
        cmocka_unit_test_setup_teardown(unreadable_file, setup, teardown),
        cmocka_unit_test_setup_teardown(hwmon_channels, setup, teardown),
        cmocka_unit_test_setup_teardown(hwmon_of_two_the_lowest, setup, teardown),
        cmocka_unit_test_setup_teardown(hwmon_goes_and_returns_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(tmp102_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(tmp102_goes_and_returns, setup, teardown),
        cmocka_unit_test_setup_teardown(tmp102_comes_late, setup, teardown),
        cmocka_unit_test_setup_teardown(tmp102_errors_of_the_bus, setup, teardown),
        cmocka_unit_test_setup_teardown(tmp102_as_configured, setup, teardown),
        cmocka_unit_test_setup_teardown(sim_is_a_quiet_room, setup, teardown),
        cmocka_unit_test_setup_teardown(sim_repeats_from_its_seed, setup, teardown),
        cmocka_unit_test_setup_teardown(allocation_failures, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
