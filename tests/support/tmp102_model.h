/* A TMP102 as its data sheet describes it, down to the registers, on an I2C bus of its own.  It
 * shares no code with the driver; time comes from a clock that the test holds.  [TMP102 n] is a
 * section of SBOS397, revision I. */
#ifndef GNT_TESTS_TMP102_MODEL_H
#define GNT_TESTS_TMP102_MODEL_H

#include "base/clock.h"
#include "sensor/i2c.h"

struct gnt_tmp102_model {
    struct gnt_i2c bus; /* give this to the driver */
    const struct gnt_clock *clock;
    uint8_t address;

    /* What a test may set at any time. */
    bool stuck;         /* a conversion, once begun, never ends */
    long fail_at;       /* the transfer that fails: 0 is the next; -1: none */
    gnt_err fail_error; /* with this */

    /* What a test may look at. */
    unsigned long transfers;   /* whether they failed or not */
    unsigned long conversions; /* that ended since power-up */

    /* The chip's inside. */
    bool plugged;
    int32_t milli; /* what it feels */
    uint8_t pointer;
    uint16_t registers[4];
    bool converting;
    uint64_t started_ns, next_ns;
    bool comparator_active;
    unsigned comparator_faults;
    bool interrupt_active, interrupt_waits_for_low;
    unsigned interrupt_faults;
};

/* Powered up now, at 0 C. */
void gnt_tmp102_model_init(struct gnt_tmp102_model *chip, const struct gnt_clock *clock,
                           uint8_t address);

/* The temperature around it from now on. */
void gnt_tmp102_model_feel(struct gnt_tmp102_model *chip, int32_t milli);

/* The level of the ALERT pin, true: high. */
bool gnt_tmp102_model_pin(struct gnt_tmp102_model *chip);

/* Takes it off the bus; putting it back is a power-up. */
void gnt_tmp102_model_unplug(struct gnt_tmp102_model *chip);
void gnt_tmp102_model_plug(struct gnt_tmp102_model *chip);

#endif
