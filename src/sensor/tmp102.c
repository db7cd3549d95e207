#include "sensor/tmp102.h"

#include "base/assert.h"
#include "base/clock.h"

#define CONVERSION_NS (35 * GNT_NS_PER_MS)  /* at most [TMP102 5.5]; 26 ms is typical */
#define POLL_NS       (5 * GNT_NS_PER_MS)   /* between two looks at OS */
#define PATIENCE_NS   (200 * GNT_NS_PER_MS) /* a one-shot conversion that takes this long is none */

/* What stays as it was written. */
enum {
    CHECKED = GNT_TMP102_F | GNT_TMP102_POL | GNT_TMP102_TM | GNT_TMP102_SD | GNT_TMP102_CR |
              GNT_TMP102_EM
};

const struct gnt_tmp102_config gnt_tmp102_power_up = {
    .faults = GNT_TMP102_1_FAULT,
    .rate = GNT_TMP102_4_HZ,
    .low_milli = 75000,
    .high_milli = 80000,
};

const char *gnt_tmp102_add0(uint64_t address)
{
    switch (address) {
#define ADD0(pin, value) \
    case value: return pin;
        GNT_TMP102_ADDRESSES(ADD0)
#undef ADD0
    }
    return NULL;
}

uint64_t gnt_tmp102_period_ns(enum gnt_tmp102_rate rate)
{
    static const uint64_t periods_ms[] = {
        [GNT_TMP102_QUARTER_HZ] = 4000,
        [GNT_TMP102_1_HZ] = 1000,
        [GNT_TMP102_4_HZ] = 250,
        [GNT_TMP102_8_HZ] = 125,
    };
    GNT_ASSERT(rate <= GNT_TMP102_8_HZ);
    return periods_ms[rate] * GNT_NS_PER_MS;
}

static int code_bits(bool extended)
{
    return extended ? 13 : 12;
}

int32_t gnt_tmp102_milli(uint16_t code, bool extended)
{
    int32_t sign = 1 << (code_bits(extended) - 1);
    int32_t value = code & (2 * sign - 1);
    if (value & sign)
        value -= 2 * sign;
    int32_t half_millis = value * 125; /* one code is 62.5 milli-degrees */
    return (half_millis + (value < 0 ? -1 : 1)) / 2;
}

uint16_t gnt_tmp102_code(int32_t milli, bool extended)
{
    int32_t end = 1 << (code_bits(extended) - 1);
    int64_t half_millis = (int64_t)milli * 2;
    int64_t value = (half_millis + (milli < 0 ? -62 : 62)) / 125;
    if (value >= end)
        value = end - 1;
    if (value < -end)
        value = -end;
    return (uint16_t)(value & (2 * end - 1));
}

/* A code stands at the left of the temperature and limit registers [TMP102 6.5.2, 6.5.4]. */
static uint16_t code_to_register(uint16_t code, bool extended)
{
    return (uint16_t)(code << (16 - code_bits(extended)));
}

static uint16_t register_to_code(uint16_t value, bool extended)
{
    return (uint16_t)(value >> (16 - code_bits(extended)));
}

uint16_t gnt_tmp102_bits(const struct gnt_tmp102_config *config)
{
    unsigned bits = 0;
    bits |= (unsigned)config->faults << GNT_TMP102_F_SHIFT;
    bits |= (unsigned)config->rate << GNT_TMP102_CR_SHIFT;
    bits |= config->active_high ? GNT_TMP102_POL : 0;
    bits |= config->interrupt ? GNT_TMP102_TM : 0;
    bits |= config->shutdown ? GNT_TMP102_SD : 0;
    bits |= config->extended ? GNT_TMP102_EM : 0;
    return (uint16_t)bits;
}

/* [TMP102 6.3.5] */
static gnt_err write_register(struct gnt_tmp102 *dev, enum gnt_tmp102_register which,
                              uint16_t value)
{
    uint8_t out[] = {(uint8_t)which, (uint8_t)(value >> 8), (uint8_t)value};
    return gnt_i2c_transfer(dev->bus, dev->address, gnt_slice(out, sizeof out), NULL, 0);
}

static gnt_err read_register(struct gnt_tmp102 *dev, enum gnt_tmp102_register which,
                             uint16_t *value)
{
    uint8_t pointer = (uint8_t)which, in[2];
    gnt_err err = gnt_i2c_transfer(dev->bus, dev->address, gnt_slice(&pointer, 1), in, sizeof in);
    if (!err)
        *value = (uint16_t)(in[0] << 8 | in[1]);
    return err;
}

void gnt_tmp102_init(struct gnt_tmp102 *dev, const struct gnt_i2c *bus, uint8_t address)
{
    GNT_ASSERT(gnt_tmp102_add0(address) != NULL);
    *dev = (struct gnt_tmp102){.bus = bus, .address = address, .ready_ns = GNT_NEVER};
}

static bool in_range(int32_t milli, bool extended)
{
    int32_t end = 1 << (code_bits(extended) - 1);
    return milli >= -end * 125 / 2 && milli <= gnt_tmp102_milli((uint16_t)(end - 1), extended);
}

static gnt_err write_limits(struct gnt_tmp102 *dev, int32_t low_milli, int32_t high_milli,
                            bool extended)
{
    if (low_milli > high_milli || !in_range(low_milli, extended) || !in_range(high_milli, extended))
        return GNT_INVALID;
    uint16_t low = code_to_register(gnt_tmp102_code(low_milli, extended), extended);
    uint16_t high = code_to_register(gnt_tmp102_code(high_milli, extended), extended);
    gnt_err err = write_register(dev, GNT_TMP102_T_LOW, low);
    return err ? err : write_register(dev, GNT_TMP102_T_HIGH, high);
}

/* The limits go first: a chip that starts to convert with its new configuration finds them there.
 * Where the number of bits changes, a conversion that ends between two writes may meet limits in
 * the other format; the chip offers no way to change all three at once. */
gnt_err gnt_tmp102_configure(struct gnt_tmp102 *dev, const struct gnt_tmp102_config *config,
                             uint64_t now)
{
    uint16_t found, bits = gnt_tmp102_bits(config);
    gnt_err err = read_register(dev, GNT_TMP102_CONFIG, &found);
    if (!err)
        err = write_limits(dev, config->low_milli, config->high_milli, config->extended);
    if (!err)
        err = write_register(dev, GNT_TMP102_CONFIG, bits);
    if (err)
        return err;
    dev->bits = bits;
    dev->extended = config->extended;
    dev->shutdown = config->shutdown;
    dev->ready_ns = gnt_deadline(now, CONVERSION_NS);
    if ((found ^ bits) & GNT_TMP102_EM) {
        /* The conversion under way, or the pause after it, may still be the old rate's. */
        uint64_t old = gnt_tmp102_period_ns((found & GNT_TMP102_CR) >> GNT_TMP102_CR_SHIFT);
        uint64_t new = gnt_tmp102_period_ns(config->rate);
        dev->ready_ns = gnt_deadline(dev->ready_ns, old > new ? old : new);
    }
    if (config->shutdown)
        dev->ready_ns = GNT_NEVER;
    return GNT_OK;
}

gnt_err gnt_tmp102_set_limits(struct gnt_tmp102 *dev, int32_t low_milli, int32_t high_milli)
{
    return write_limits(dev, low_milli, high_milli, dev->extended);
}

gnt_err gnt_tmp102_start(struct gnt_tmp102 *dev, uint64_t now)
{
    if (!dev->shutdown)
        return GNT_STATE;
    gnt_err err = write_register(dev, GNT_TMP102_CONFIG, dev->bits | GNT_TMP102_OS);
    if (err)
        return err;
    dev->ready_ns = gnt_deadline(now, CONVERSION_NS);
    dev->deadline_ns = gnt_deadline(now, PATIENCE_NS);
    return GNT_OK;
}

/* Whether the chip is as it was told to be, and, in shutdown, has ended its conversion. */
static gnt_err check_config(struct gnt_tmp102 *dev, uint64_t now)
{
    uint16_t config;
    gnt_err err = read_register(dev, GNT_TMP102_CONFIG, &config);
    if (err)
        return err;
    if ((config ^ dev->bits) & CHECKED)
        return GNT_STATE;
    if (!dev->shutdown || config & GNT_TMP102_OS)
        return GNT_OK;
    if (now >= dev->deadline_ns)
        return GNT_TIMEOUT;
    dev->ready_ns = gnt_deadline(now, POLL_NS);
    return GNT_MORE;
}

/* The configuration is looked at after the temperature, because a reset between the two would make
 * 0 C look like a reading [TMP102 6.5.2]; in shutdown before it as well, because a conversion that
 * ends between the two would make an old reading look new. */
gnt_err gnt_tmp102_read(struct gnt_tmp102 *dev, uint64_t now, int32_t *milli)
{
    uint16_t value;
    if (now < dev->ready_ns)
        return GNT_MORE;
    gnt_err err = dev->shutdown ? check_config(dev, now) : GNT_OK;
    if (!err)
        err = read_register(dev, GNT_TMP102_TEMPERATURE, &value);
    if (!err)
        err = check_config(dev, now);
    if (!err)
        *milli = gnt_tmp102_milli(register_to_code(value, dev->extended), dev->extended);
    return err;
}

gnt_err gnt_tmp102_alert(struct gnt_tmp102 *dev, bool *active)
{
    uint16_t config;
    gnt_err err = read_register(dev, GNT_TMP102_CONFIG, &config);
    if (!err)
        *active = !(config & GNT_TMP102_AL) == !(config & GNT_TMP102_POL);
    return err;
}
