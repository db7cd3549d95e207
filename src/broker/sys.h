/* $SYS: what the broker says about itself, as retained messages under mosquitto's names, published
 * by worker 0 every few seconds where the value has changed. */
#ifndef GNT_BROKER_SYS_H
#define GNT_BROKER_SYS_H

#include "base/err.h"

#include <stdint.h>

struct gnt_config;
struct gnt_worker;
struct gnt_sys;

/* The first round is published at once, in the worker's next turn; CONFIG is not kept.  Interval 0:
 * nothing is published. */
GNT_MUST gnt_err gnt_sys_new(struct gnt_worker *worker, const struct gnt_config *config,
                             struct gnt_sys **out);
void gnt_sys_free(struct gnt_sys **sys);

/* On the worker's thread: the next round is that much later from now. */
void gnt_sys_set_interval(struct gnt_sys *sys, uint64_t interval_ms);

#endif
