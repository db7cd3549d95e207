/* What the configuration permits, in the words of those that keep to it: the core, the fronts, and
 * who counts failed logins. */
#ifndef GNT_BROKER_LIMITS_H
#define GNT_BROKER_LIMITS_H

#include "auth/guess.h"
#include "conf/config.h"
#include "core/core.h"
#include "front/amqp/front.h"
#include "front/mqtt/front.h"

/* Without its homes, and how they reach each other: workers.c adds these. */
struct gnt_core_config gnt_limits_core(const struct gnt_config *c);

struct gnt_mqtt_limits gnt_limits_mqtt(const struct gnt_config *c);

struct gnt_amqp_limits gnt_limits_amqp(const struct gnt_config *c);

struct gnt_guess_limits gnt_limits_guess(const struct gnt_config_guessing *g);

#endif
