/* The Linux I2C bus, with an ioctl(2) of our own between it and the kernel: the device is a plain
 * file, the chip behind it is the model. */
#include "sensor/i2c_linux.h"
#include "sensor/sensor.h"
#include "support/tmp102_model.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cmocka.h>

static uint64_t fake_now = GNT_NS_PER_S;

static uint64_t fake_now_ns(void *self)
{
    return *(uint64_t *)self;
}

static const struct gnt_clock fake_clock = {fake_now_ns, fake_now_ns, &fake_now};

static struct gnt_tmp102_model chip;
static char path[64];
static int ioctl_errno; /* what the next ioctl fails with; 0: it goes to the model */
static int nack_errno;  /* the adapter driver's word for a missing acknowledgement */
static int ioctl_fd;
static bool no_bus; /* the file is no I2C bus */

/* Plays the kernel: hands a write, a read, or a write and a read in one to the model. */
static int play_kernel(const struct i2c_rdwr_ioctl_data *data)
{
    struct gnt_slice out = {NULL, 0};
    void *in = NULL;
    size_t in_size = 0;
    assert_in_range(data->nmsgs, 1, 2);
    for (uint32_t i = 0; i < data->nmsgs; i++) {
        const struct i2c_msg *message = &data->msgs[i];
        assert_int_equal(message->addr, data->msgs[0].addr);
        if (message->flags & I2C_M_RD) {
            assert_int_equal(i, data->nmsgs - 1);
            in = message->buf;
            in_size = message->len;
        } else {
            assert_int_equal(i, 0);
            out = gnt_slice(message->buf, message->len);
        }
    }
    if (gnt_i2c_transfer(&chip.bus, (uint8_t)data->msgs[0].addr, out, in, in_size) == GNT_OK)
        return (int)data->nmsgs;
    errno = nack_errno;
    return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    struct i2c_rdwr_ioctl_data *data = va_arg(arguments, struct i2c_rdwr_ioctl_data *);
    va_end(arguments);
    assert_int_equal(request, I2C_RDWR);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ioctl_fd = fd;
    errno = no_bus ? ENOTTY : ioctl_errno;
    ioctl_errno = 0;
    return errno ? -1 : play_kernel(data);
}

static void plug_bus(void)
{
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/gnatter-i2c-%ld", (long)getpid());
    ioctl_errno = 0;
    nack_errno = EREMOTEIO;
    gnt_tmp102_model_init(&chip, &fake_clock, 0x48);
    gnt_tmp102_model_feel(&chip, 23250);
    plug_bus();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void paths(void **state)
{
    (void)state;
    struct gnt_i2c_linux i2c;
    char longest[GNT_I2C_PATH_MAX];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(gnt_i2c_linux_init(&i2c, gnt_slice(NULL, 0)), GNT_INVALID);
    assert_int_equal(gnt_i2c_linux_init(&i2c, gnt_slice(longest, sizeof longest)), GNT_INVALID);
    assert_int_equal(gnt_i2c_linux_init(&i2c, gnt_slice(longest, sizeof longest - 1)), GNT_OK);
    gnt_i2c_linux_fini(&i2c);
}

static void transfers(void **state)
{
    (void)state;
    struct gnt_i2c_linux i2c;
    uint8_t in[2];
    static const uint8_t t_high[] = {3, 0x12, 0x30};
    assert_int_equal(gnt_i2c_linux_init(&i2c, gnt_slice_str(path)), GNT_OK);
    assert_int_equal(i2c.fd, -1); /* not opened before it is needed */
    assert_int_equal(gnt_i2c_transfer(&i2c.bus, 0x48, gnt_slice(t_high, 3), NULL, 0), GNT_OK);
    assert_int_equal(gnt_i2c_transfer(&i2c.bus, 0x48, gnt_slice(NULL, 0), in, 2), GNT_OK);
    assert_int_equal(in[0] << 8 | in[1], 0x1230);
    assert_int_equal(gnt_i2c_transfer(&i2c.bus, 0x48, gnt_slice("\1", 1), in, 2), GNT_OK);
    assert_int_equal(in[0] << 8 | in[1], 0x60a0);
    gnt_i2c_linux_fini(&i2c);
    assert_int_equal(fcntl(ioctl_fd, F_GETFD), -1);
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        int number;
        gnt_err err;
        bool stays_open;
    } rows[] = {
        {ENXIO, GNT_REFUSED, true},
        {EREMOTEIO, GNT_REFUSED, true},
        {ENODEV, GNT_NOTFOUND, false},
        {ENOTTY, GNT_UNSUPPORTED, false},
        {ETIMEDOUT, GNT_TIMEOUT, false},
        {EIO, GNT_IO, false},
        {EAGAIN, GNT_BUSY, false},
        {EINTR, GNT_IO, false},
        {EOPNOTSUPP, GNT_UNSUPPORTED, false},
    };
    struct gnt_i2c_linux i2c;
    uint8_t in[2];
    assert_int_equal(gnt_i2c_linux_init(&i2c, gnt_slice_str(path)), GNT_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ioctl_errno = rows[i].number;
        assert_int_equal(gnt_i2c_transfer(&i2c.bus, 0x48, gnt_slice("", 1), in, 2), rows[i].err);
        assert_int_equal(i2c.fd >= 0, rows[i].stays_open);
        assert_int_equal(gnt_i2c_transfer(&i2c.bus, 0x48, gnt_slice("", 1), in, 2), GNT_OK);
    }
    gnt_i2c_linux_fini(&i2c);
}

static void assert_fails(struct gnt_sensor *sensor, gnt_err expected, const char *words)
{
    struct gnt_reading reading;
    assert_int_equal(gnt_sensor_read(sensor, fake_now, &reading), expected);
    if (!strstr(sensor->problem, words) || !strstr(sensor->problem, path))
        fail_msg("\"%s\" does not say \"%s\"", sensor->problem, words);
}

static void assert_reads(struct gnt_sensor *sensor)
{
    struct gnt_reading reading = {0, NULL};
    if (gnt_sensor_read(sensor, fake_now, &reading) == GNT_MORE)
        fake_now = sensor->ready_ns;
    assert_int_equal(gnt_sensor_read(sensor, fake_now, &reading), GNT_OK);
    assert_int_equal(reading.milli, 23250);
}

/* The whole way from a spec to the chip's registers, with the bus and the chip coming and going. */
static void bus_and_chip_come_and_go(void **state)
{
    (void)state;
    char spec[128], text[GNT_SENSOR_PROBLEM_MAX];
    struct gnt_sensor *sensor = NULL;
    snprintf(spec, sizeof spec, "tmp102:%s@0x48", path);
    assert_int_equal(gnt_sensor_open(spec, NULL, fake_now, &sensor, text, sizeof text), GNT_OK);
    assert_reads(sensor);
    gnt_tmp102_model_unplug(&chip);
    nack_errno = ENXIO;
    assert_fails(sensor, GNT_REFUSED, "no chip answers at 0x48");
    gnt_tmp102_model_plug(&chip);
    assert_reads(sensor);
    ioctl_errno = ENODEV;
    unlink(path);
    assert_fails(sensor, GNT_NOTFOUND, "there is no such I2C bus");
    assert_fails(sensor, GNT_NOTFOUND, "there is no such I2C bus");
    plug_bus();
    assert_reads(sensor);
    gnt_sensor_close(&sensor);

    unlink(path);
    assert_int_equal(gnt_sensor_open(spec, NULL, fake_now, &sensor, text, sizeof text),
                     GNT_NOTFOUND);
    assert_non_null(strstr(text, path));
    assert_null(sensor);
}

static void not_a_bus(void **state)
{
    (void)state;
    struct gnt_sensor *sensor = NULL;
    char text[GNT_SENSOR_PROBLEM_MAX];
    no_bus = true;
    assert_int_equal(gnt_sensor_open("tmp102:/dev/null", NULL, fake_now, &sensor, text,
                                     sizeof text),
                     GNT_UNSUPPORTED);
    no_bus = false;
    assert_string_equal(text,
                        "/dev/null: is no I2C bus, or one that cannot do plain I2C transfers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths, setup, teardown),
        cmocka_unit_test_setup_teardown(transfers, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
        cmocka_unit_test_setup_teardown(bus_and_chip_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(not_a_bus, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
