/* What gnatter bench can be told, and the plan of a run that comes of it. */
#ifndef GNT_CLI_BENCH_OPTIONS_H
#define GNT_CLI_BENCH_OPTIONS_H

#include "cli/bench_load.h"
#include "cli/tls.h"
#include "conf/args.h"

struct gnt_bench_options {
    struct gnt_strings scenarios, targets;
    uint32_t publishers, subscribers, groups, size, window;
    uint64_t rate, credit, ramp, warm_ms, duration_ms, drain_ms;
    uint32_t rounds;
    uint8_t qos;
    bool live, json;
    char *host, *username, *password;
    uint32_t protocol; /* enum gnt_url_kind */
    uint16_t port;
    struct gnt_cli_tls tls;
    uint32_t version, auth_method;
};

/* Fill in a struct gnt_bench_options. */
extern const struct gnt_args gnt_bench_arguments;

/* What does not go together, for people; NULL: nothing. */
const char *gnt_bench_mistake(const struct gnt_bench_options *o);

/* One at least. */
size_t gnt_bench_scenario_count(const struct gnt_bench_options *o);
enum gnt_bench_shape gnt_bench_scenario(const struct gnt_bench_options *o, size_t i);

/* A run of that SHAPE; borrows from O. */
struct gnt_bench_plan gnt_bench_plan_of(const struct gnt_bench_options *o,
                                        enum gnt_bench_shape shape);

#endif
