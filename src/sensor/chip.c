/* "tmp102:BUS@ADDRESS": a TMP102, kept configured, and configured again whenever it or its bus was
 * away: a chip that lost power has forgotten what it was told. */
#include "sensor/i2c_linux.h"
#include "sensor/kinds.h"
#include "sensor/tmp102.h"

#include <stdlib.h>

/* 1 Hz is enough for a thermometer and warms the chip less.  It is also not the power-up rate, so a
 * chip that was reset behind our back shows itself. */
static const struct gnt_tmp102_config usual = {
    .faults = GNT_TMP102_1_FAULT,
    .rate = GNT_TMP102_1_HZ,
    .low_milli = 75000,
    .high_milli = 80000,
};

struct chip {
    struct gnt_sensor sensor;
    struct gnt_i2c_linux linux_bus;
    struct gnt_tmp102_config config;
    struct gnt_tmp102 dev;
    bool configured;
    bool started; /* in shutdown: a conversion was asked for and not fetched */
};

static gnt_err explain(struct chip *chip, gnt_err err)
{
    struct gnt_sensor_text why = gnt_sensor_why(&chip->sensor);
    const char *bus = chip->linux_bus.path;
    unsigned address = chip->dev.address;
    switch ((int)err) {
    case GNT_REFUSED:
        return gnt_sensor_say(why, err,
                              "%s: no chip answers at 0x%02x (ADD0 to %s): check the wiring and "
                              "where ADD0 is tied; \"i2cdetect\" lists the addresses that answer",
                              bus, address, gnt_tmp102_add0(address));
    case GNT_NOTFOUND:
        return gnt_sensor_say(why, err,
                              "%s: there is no such I2C bus: enable I2C on this board and load the "
                              "module i2c-dev; \"ls /dev/i2c-*\" lists the buses there are",
                              bus);
    case GNT_DENIED:
        return gnt_sensor_say(why, err,
                              "%s: permission denied: let this user use it, usually by adding it "
                              "to the group i2c",
                              bus);
    case GNT_UNSUPPORTED:
        return gnt_sensor_say(why, err,
                              "%s: is no I2C bus, or one that cannot do plain I2C transfers", bus);
    case GNT_INVALID:
        return gnt_sensor_say(why, err,
                              "%s: the alert limits must be in order and within the TMP102's range",
                              bus);
    }
    return gnt_sensor_say(why, err, "%s: TMP102 at 0x%02x: %s", bus, address, gnt_err_text(err));
}

/* One try; GNT_STATE: the chip has forgotten what it was told. */
static gnt_err measure(struct chip *chip, uint64_t now, int32_t *milli)
{
    gnt_err err = GNT_OK;
    if (!chip->configured) {
        err = gnt_tmp102_configure(&chip->dev, &chip->config, now);
        chip->configured = !err;
        chip->started = false;
    }
    if (!err && chip->config.shutdown && !chip->started) {
        err = gnt_tmp102_start(&chip->dev, now);
        chip->started = !err;
    }
    return err ? err : gnt_tmp102_read(&chip->dev, now, milli);
}

static gnt_err chip_read(struct gnt_sensor *sensor, uint64_t now, struct gnt_reading *out)
{
    struct chip *chip = (struct chip *)sensor;
    int32_t milli;
    gnt_err err = measure(chip, now, &milli);
    if (err == GNT_STATE) {
        chip->configured = false;
        err = measure(chip, now, &milli);
    }
    if (err == GNT_MORE) {
        sensor->ready_ns = chip->dev.ready_ns;
        return err;
    }
    chip->started = false;
    if (err) {
        chip->configured = false;
        return explain(chip, err);
    }
    *out = (struct gnt_reading){milli, "C"};
    return GNT_OK;
}

static void chip_close(struct gnt_sensor *sensor)
{
    struct chip *chip = (struct chip *)sensor;
    gnt_i2c_linux_fini(&chip->linux_bus);
    free(chip);
}

static const struct gnt_sensor_ops chip_ops = {chip_read, chip_close};

/* Takes "@ADDRESS" off the end of *BUS; without one *address stays. */
static gnt_err take_address(struct gnt_slice *bus, uint8_t *address, struct gnt_sensor_text why)
{
#define ADD0(pin, value) " " #value " (ADD0 to " pin ")"
    static const char addresses[] = GNT_TMP102_ADDRESSES(ADD0);
#undef ADD0
    const uint8_t *at = bus->size ? memrchr(bus->data, '@', bus->size) : NULL;
    uint64_t number;
    if (!at)
        return GNT_OK;
    struct gnt_slice text = gnt_slice_skip(*bus, (size_t)(at - bus->data) + 1);
    if (gnt_sensor_number(text, 0x7f, &number) || !gnt_tmp102_add0(number))
        return gnt_sensor_say(why, GNT_INVALID, "\"%.*s\": no TMP102 has this address; there are%s",
                              (int)text.size, (const char *)text.data, addresses);
    bus->size = (size_t)(at - bus->data);
    *address = (uint8_t)number;
    return GNT_OK;
}

gnt_err gnt_sensor_tmp102_open(struct gnt_slice rest, const struct gnt_sensor_options *options,
                               struct gnt_sensor **out, struct gnt_sensor_text why)
{
    uint8_t address = GNT_TMP102_ADDRESS_DEFAULT;
    gnt_err err = take_address(&rest, &address, why);
    if (err)
        return err;
    struct chip *chip = calloc(1, sizeof *chip);
    if (!chip)
        return GNT_NOMEM;
    if (gnt_i2c_linux_init(&chip->linux_bus, rest)) {
        free(chip);
        return gnt_sensor_say(why, GNT_INVALID,
                              "a TMP102 needs its bus, and may have an address: "
                              "tmp102:/dev/i2c-1 or tmp102:/dev/i2c-1@0x48");
    }
    chip->sensor.ops = &chip_ops;
    chip->config = options->tmp102 ? *options->tmp102 : usual;
    gnt_tmp102_init(&chip->dev, options->i2c ? options->i2c : &chip->linux_bus.bus, address);
    *out = &chip->sensor;
    return GNT_OK;
}
