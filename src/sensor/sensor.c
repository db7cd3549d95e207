#include "sensor/sensor.h"

#include "base/assert.h"
#include "sensor/kinds.h"

#include <stdarg.h>
#include <stdio.h>

/*   word       what follows it                 opened by */
#define KINDS(X)                                                 \
    X("tmp102", ":/dev/i2c-N[@ADDRESS]", gnt_sensor_tmp102_open) \
    X("hwmon", ":NAME[/CHANNEL]", gnt_sensor_hwmon_open)         \
    X("thermal", ":N", gnt_sensor_thermal_open)                  \
    X("sim", "[:SEED]", gnt_sensor_sim_open)

struct kind {
    const char *word;
    gnt_sensor_kind_open *open;
};

static const struct kind kinds[] = {
#define KIND(word, form, open) {word, open},
    KINDS(KIND)
#undef KIND
};

const char *gnt_sensor_forms(void)
{
#define FORM(word, form, open) " | " word form
    static const char forms[] = KINDS(FORM);
#undef FORM
    return forms + sizeof " | " - 1;
}

gnt_err gnt_sensor_say(struct gnt_sensor_text why, gnt_err err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (why.size)
        vsnprintf(why.text, why.size, format, arguments);
    va_end(arguments);
    return err;
}

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

gnt_err gnt_sensor_number(struct gnt_slice text, uint64_t max, uint64_t *out)
{
    bool hexadecimal = gnt_slice_starts(text, gnt_slice_str("0x"));
    uint64_t base = hexadecimal ? 16 : 10, value = 0;
    text = gnt_slice_skip(text, hexadecimal ? 2 : 0);
    if (text.size == 0)
        return GNT_INVALID;
    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)digit_value(text.data[i]);
        if (digit >= base || digit > max || value > (max - digit) / base)
            return GNT_INVALID;
        value = value * base + digit;
    }
    *out = value;
    return GNT_OK;
}

static const struct kind *find_kind(struct gnt_slice word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (gnt_slice_eq_str(word, kinds[i].word))
            return &kinds[i];
    return NULL;
}

/* The sensor that SPEC describes, whether it is there or not. */
static gnt_err make(const char *spec, const struct gnt_sensor_options *options,
                    struct gnt_sensor **out, struct gnt_sensor_text why)
{
    size_t size = strlen(spec);
    if (size >= GNT_SENSOR_SPEC_MAX)
        return gnt_sensor_say(why, GNT_INVALID, "a sensor's name has at most %d characters",
                              GNT_SENSOR_SPEC_MAX - 1);
    size_t word = strcspn(spec, ":");
    const struct kind *kind = find_kind(gnt_slice(spec, word));
    if (!kind)
        return gnt_sensor_say(why, GNT_INVALID, "\"%s\" is no sensor; it must be one of %s", spec,
                              gnt_sensor_forms());
    struct gnt_slice rest = gnt_slice_str(spec[word] ? spec + word + 1 : spec + word);
    gnt_err err = kind->open(rest, options, out, why);
    if (err == GNT_NOMEM)
        gnt_sensor_say(why, err, "out of memory");
    if (!err)
        memcpy((*out)->name, spec, size + 1);
    return err;
}

gnt_err gnt_sensor_open(const char *spec, const struct gnt_sensor_options *options, uint64_t now,
                        struct gnt_sensor **out, char *text, size_t text_size)
{
    static const struct gnt_sensor_options real_world;
    struct gnt_sensor_text why = {text, text ? text_size : 0};
    struct gnt_sensor *sensor;
    struct gnt_reading reading;
    if (!options)
        options = &real_world;
    gnt_err err = make(spec, options, &sensor, why);
    if (err)
        return err;
    err = gnt_sensor_read(sensor, now, &reading);
    if (err < 0 && !options->absent_ok) {
        gnt_sensor_say(why, err, "%s", sensor->problem);
        gnt_sensor_close(&sensor);
        return err;
    }
    *out = sensor;
    return GNT_OK;
}

void gnt_sensor_close(struct gnt_sensor **sensor)
{
    if (*sensor)
        (*sensor)->ops->close(*sensor);
    *sensor = NULL;
}

gnt_err gnt_sensor_read(struct gnt_sensor *sensor, uint64_t now, struct gnt_reading *out)
{
    return sensor->ops->read(sensor, now, out);
}
