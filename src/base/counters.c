#include "base/counters.h"

const char *gnt_counter_topic(enum gnt_counter which)
{
    static const char *const topics[] = {
#define TOPIC(name, topic, help) [GNT_COUNT_##name] = (topic),
        GNT_COUNTERS(TOPIC) GNT_GAUGES(TOPIC)
#undef TOPIC
    };
    return topics[which];
}
