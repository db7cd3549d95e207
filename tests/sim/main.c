/* Lives of a broker, each from a seed; a seed that fails is printed with the promise it breaks.
 *
 *     sim --seeds 250 --from 1000       250 lives
 *     sim --crashes --seeds 250         with a data directory, on a machine that crashes
 *     sim --disk-faults --seeds 250     and its disk fails for a while now and then
 *     sim --seed 1017 --trace           one life, with all that happens in it */

#include "base/log.h"
#include "base/rcu.h"
#include "life.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t seed_now;

/* An assertion of the broker's, or worse. */
static void on_crash(int number)
{
    char text[64];
    int n =
        snprintf(text, sizeof text, "seed %llu: signal %d\n", (unsigned long long)seed_now, number);
    if (write(STDERR_FILENO, text, (size_t)n) != n)
        _exit(2);
    signal(number, SIG_DFL);
    raise(number);
}

/* The broker's log: a part of the trace. */
static void on_log(void *context, enum gnt_log_level level, const char *line, size_t size)
{
    (void)level;
    if (*(bool *)context)
        printf("             broker: %.*s\n", (int)size, line);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "sim: '%s' is not a number\n", text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"seed", required_argument, NULL, 's'},  {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},  {"workers", required_argument, NULL, 'w'},
        {"trace", no_argument, NULL, 't'},       {"faults", no_argument, NULL, 'a'},
        {"digests", no_argument, NULL, 'd'},     {"crashes", no_argument, NULL, 'c'},
        {"disk-faults", no_argument, NULL, 'x'}, {NULL, 0, NULL, 0},
    };
    struct sim_life_options life = {0};
    uint64_t from = 1, seeds = 1;
    bool digests = false;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 's': from = number(optarg); break;
        case 'n': seeds = number(optarg); break;
        case 'f': from = number(optarg); break;
        case 'w': life.workers = (unsigned)number(optarg); break;
        case 't': life.trace = true; break;
        case 'a': life.faults = true; break;
        case 'd': digests = true; break;
        case 'x': life.crashes = life.disk_faults = true; break;
        case 'c': life.crashes = true; break;
        default: return 2;
        }
    }
    signal(SIGABRT, on_crash);
    gnt_log_divert(on_log, &life.trace);
    gnt_log_configure(life.trace ? GNT_LOG_DEBUG : GNT_LOG_ERROR, GNT_LOG_TEXT);
    gnt_rcu_register();
    struct sim_life_report report = {0};
    for (life.seed = from; life.seed < from + seeds; life.seed++) {
        seed_now = life.seed;
        sim_life(&life, &report);
        if (digests)
            printf("%llu %016llx\n", (unsigned long long)life.seed,
                   (unsigned long long)report.digest);
    }
    gnt_rcu_unregister();
    printf("seeds %llu to %llu:  %llu messages, %llu deliveries, %llu lives unsure\n",
           (unsigned long long)from, (unsigned long long)(from + seeds - 1),
           (unsigned long long)report.messages, (unsigned long long)report.deliveries,
           (unsigned long long)report.unsure);
    printf("%llu messages to queues, %llu taken and confirmed\n", (unsigned long long)report.queued,
           (unsigned long long)report.taken);
    if (life.crashes)
        printf("%llu crashes, %llu interrupted recoveries\n", (unsigned long long)report.crashes,
               (unsigned long long)report.interrupted);
    return 0;
}
