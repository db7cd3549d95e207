#include "support/tmp102_model.h"

/* Typical [TMP102 5.5]. */
#define CONVERSION_NS (26 * GNT_NS_PER_MS)

enum { TEMPERATURE, CONFIG, T_LOW, T_HIGH };

/* The configuration register [TMP102 6.5.3]. */
enum {
    OS = 0x8000,
    F = 0x1800,
    POL = 0x0400,
    TM = 0x0200,
    SD = 0x0100,
    CR = 0x00c0,
    AL = 0x0020,
    EM = 0x0010,
};

static bool set(const struct gnt_tmp102_model *chip, int bit)
{
    return chip->registers[CONFIG] & bit;
}

static unsigned fault_queue(const struct gnt_tmp102_model *chip)
{
    static const unsigned counts[] = {1, 2, 4, 6}; /* [TMP102 6.5.3.4] */
    return counts[(chip->registers[CONFIG] & F) >> 11];
}

static uint64_t period_ns(const struct gnt_tmp102_model *chip)
{
    static const uint64_t millis[] = {4000, 1000, 250, 125}; /* [TMP102 6.5.3.9] */
    return millis[(chip->registers[CONFIG] & CR) >> 6] * GNT_NS_PER_MS;
}

/* The number in a temperature or limit register, in codes. */
static int number(const struct gnt_tmp102_model *chip, int which)
{
    return (int16_t)chip->registers[which] >> (set(chip, EM) ? 3 : 4);
}

/* Counts a conversion towards the fault queue; whether the queue is full, which empties it. */
static bool fault(const struct gnt_tmp102_model *chip, unsigned *count, bool is_fault)
{
    *count = is_fault ? *count + 1 : 0;
    if (*count < fault_queue(chip))
        return false;
    *count = 0;
    return true;
}

/* [TMP102 6.4.5.1] for AL and the pin, [TMP102 6.4.5.2] for the pin. */
static void compare(struct gnt_tmp102_model *chip)
{
    bool high = number(chip, TEMPERATURE) >= number(chip, T_HIGH);
    bool low = number(chip, TEMPERATURE) < number(chip, T_LOW);
    if (fault(chip, &chip->comparator_faults, chip->comparator_active ? low : high))
        chip->comparator_active = !chip->comparator_active;
    if (!set(chip, TM) || chip->interrupt_active)
        return;
    if (fault(chip, &chip->interrupt_faults, chip->interrupt_waits_for_low ? low : high)) {
        chip->interrupt_active = true;
        chip->interrupt_waits_for_low = !chip->interrupt_waits_for_low;
    }
}

/* The converter: nearest code, and the end of the range beyond it [TMP102 6.5.2]. */
static void convert(struct gnt_tmp102_model *chip)
{
    int end = set(chip, EM) ? 4096 : 2048;
    double codes = chip->milli / 62.5;
    int code = (int)(codes < 0 ? codes - 0.5 : codes + 0.5);
    code = code >= end ? end - 1 : code < -end ? -end : code;
    chip->registers[TEMPERATURE] = (uint16_t)(code * (set(chip, EM) ? 8 : 16));
    chip->conversions++;
    compare(chip);
}

/* Lives until now: conversions begin and end when they are due [TMP102 6.4.1]. */
static void live(struct gnt_tmp102_model *chip)
{
    uint64_t now = gnt_now(chip->clock);
    for (;;) {
        if (!chip->converting && chip->next_ns <= now) {
            chip->converting = true;
            chip->started_ns = chip->next_ns;
        }
        if (!chip->converting || chip->stuck || chip->started_ns + CONVERSION_NS > now)
            return;
        chip->converting = false;
        convert(chip);
        chip->next_ns = set(chip, SD) ? GNT_NEVER : chip->started_ns + period_ns(chip);
    }
}

/* The data sheet does not say when a new rate begins to count; here it is, as is worst for a
 * driver, after the pause that is under way. */
static void changed_config(struct gnt_tmp102_model *chip, uint16_t before)
{
    uint64_t now = gnt_now(chip->clock);
    uint16_t flipped = chip->registers[CONFIG] ^ before;
    if (flipped & (TM | F)) {
        chip->comparator_faults = chip->interrupt_faults = 0;
        chip->interrupt_active = chip->interrupt_waits_for_low = false;
    }
    if (set(chip, SD)) {
        chip->interrupt_active = false; /* [TMP102 6.4.5.2] */
        if (!chip->converting)          /* else at its end [TMP102 6.5.3.1] */
            chip->next_ns = set(chip, OS) ? now : GNT_NEVER;
    } else if (flipped & SD && !chip->converting) {
        chip->next_ns = now;
    }
    chip->registers[CONFIG] &= (uint16_t)~OS; /* what is read is made up then */
    live(chip);
}

/* Registers are updated byte by byte; what is read-only stays [TMP102 6.5.1, 6.5.3]. */
static void write_byte(struct gnt_tmp102_model *chip, bool most_significant, uint8_t byte)
{
    uint16_t before = chip->registers[chip->pointer];
    uint16_t mask = most_significant ? 0xff00 : 0x00ff;
    uint16_t value = (uint16_t)(most_significant ? byte << 8 : byte);
    if (chip->pointer == TEMPERATURE)
        return;
    if (chip->pointer == CONFIG)
        mask &= OS | F | POL | TM | SD | CR | EM;
    else
        mask &= set(chip, EM) ? 0xfff8 : 0xfff0;
    chip->registers[chip->pointer] = (uint16_t)((before & ~mask) | (value & mask));
    if (chip->pointer == CONFIG)
        changed_config(chip, before);
}

static uint16_t read_register(struct gnt_tmp102_model *chip)
{
    unsigned value = chip->registers[chip->pointer];
    if (chip->pointer == CONFIG) {
        bool al = chip->comparator_active == set(chip, POL);
        value = (value & ~(unsigned)AL) | (al ? AL : 0);
        if (set(chip, SD) && !chip->converting)
            value |= OS;
    }
    if (chip->pointer == TEMPERATURE && set(chip, EM))
        value |= 1; /* at once, though the number still has the old format */
    return (uint16_t)value;
}

static gnt_err model_transfer(void *self, uint8_t address, struct gnt_slice out, void *in,
                              size_t in_size)
{
    struct gnt_tmp102_model *chip = self;
    uint8_t *bytes = in;
    chip->transfers++;
    if (chip->fail_at >= 0 && chip->fail_at-- == 0)
        return chip->fail_error;
    if (!chip->plugged || address != chip->address)
        return GNT_REFUSED;
    live(chip);
    if (out.size)
        chip->pointer = out.data[0] & 3;
    for (size_t i = 1; i < out.size && i <= 2; i++)
        write_byte(chip, i == 1, out.data[i]);
    for (size_t i = 0; i < in_size; i++) {
        uint16_t value = read_register(chip);
        bytes[i] = i == 0 ? (uint8_t)(value >> 8) : i == 1 ? (uint8_t)value : 0xff;
    }
    if (in_size)
        chip->interrupt_active = false;
    return GNT_OK;
}

static void power_up(struct gnt_tmp102_model *chip)
{
    static const uint16_t reset[4] = {0x0000, 0x60a0, 0x4b00, 0x5000};
    for (int i = 0; i < 4; i++)
        chip->registers[i] = reset[i];
    chip->plugged = true;
    chip->pointer = TEMPERATURE;
    chip->converting = chip->comparator_active = false;
    chip->interrupt_active = chip->interrupt_waits_for_low = false;
    chip->comparator_faults = chip->interrupt_faults = 0;
    chip->conversions = 0;
    chip->next_ns = gnt_now(chip->clock);
    live(chip);
}

void gnt_tmp102_model_init(struct gnt_tmp102_model *chip, const struct gnt_clock *clock,
                           uint8_t address)
{
    *chip = (struct gnt_tmp102_model){.clock = clock, .address = address, .fail_at = -1};
    chip->bus = (struct gnt_i2c){model_transfer, chip};
    power_up(chip);
}

void gnt_tmp102_model_feel(struct gnt_tmp102_model *chip, int32_t milli)
{
    if (chip->plugged)
        live(chip);
    chip->milli = milli;
}

bool gnt_tmp102_model_pin(struct gnt_tmp102_model *chip)
{
    live(chip);
    bool active = set(chip, TM) ? chip->interrupt_active : chip->comparator_active;
    return active == set(chip, POL);
}

void gnt_tmp102_model_unplug(struct gnt_tmp102_model *chip)
{
    chip->plugged = false;
}

void gnt_tmp102_model_plug(struct gnt_tmp102_model *chip)
{
    power_up(chip);
}
