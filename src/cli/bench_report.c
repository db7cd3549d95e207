#include "cli/bench_report.h"

#include "cli/json.h"
#include "conf/text.h"

#include <stdlib.h>

static const struct {
    const char *title, *key;
    int places;
} figure_names[] = {
    [GNT_BENCH_RATE] = {"deliveries/s", "deliveries_per_s", 0},
    [GNT_BENCH_P50] = {"p50, us", "p50_us", 1},
    [GNT_BENCH_P99] = {"p99, us", "p99_us", 1},
    [GNT_BENCH_P999] = {"p99.9, us", "p999_us", 1},
    [GNT_BENCH_BROKER_CPU] = {"broker CPU, us/delivery", "broker_cpu_us", 3},
    [GNT_BENCH_BROKER_RSS] = {"broker memory, B/client", "broker_rss_bytes_per_client", 0},
};

static double us(const struct gnt_histogram *h, double quantile)
{
    return (double)gnt_histogram_quantile(h, quantile) / 1e3;
}

static double per(double amount, double of)
{
    return of > 0 ? amount / of : 0;
}

static double broker_cpu_s(const struct gnt_bench_result *r)
{
    return r->end.broker_cpu_s - r->start.broker_cpu_s;
}

static double broker_cpu_us(const struct gnt_bench_result *r)
{
    return per(broker_cpu_s(r) * 1e6, (double)r->measured_received);
}

static double self_percent(const struct gnt_bench_result *r)
{
    return 100 * per(r->end.self_cpu_s - r->start.self_cpu_s, r->measured_s);
}

static double rss_per_client(const struct gnt_bench_result *r)
{
    uint64_t before = r->before.broker_rss_bytes, now = r->start.broker_rss_bytes;
    return now > before ? per((double)(now - before), (double)r->connected) : 0;
}

void gnt_bench_figures(const struct gnt_bench_result *r, double figures[GNT_BENCH_FIGURES])
{
    figures[GNT_BENCH_RATE] = per((double)r->measured_received, r->measured_s);
    figures[GNT_BENCH_P50] = us(&r->latency_ns, 0.5);
    figures[GNT_BENCH_P99] = us(&r->latency_ns, 0.99);
    figures[GNT_BENCH_P999] = us(&r->latency_ns, 0.999);
    figures[GNT_BENCH_BROKER_CPU] = broker_cpu_us(r);
    figures[GNT_BENCH_BROKER_RSS] = r->sent ? 0 : rss_per_client(r);
}

gnt_err gnt_bench_put_live(struct gnt_buf *out, const struct gnt_bench_progress *p)
{
    return gnt_text_put(out,
                        "%6.1f s %-10s %u/%u clients  sent %llu/s  received %llu/s  "
                        "p50 %.0f us  p99 %.0f us  on their way %llu",
                        p->elapsed_s, p->phase, p->connected, p->clients,
                        (unsigned long long)p->sent, (unsigned long long)p->received,
                        us(p->latency_ns, 0.5), us(p->latency_ns, 0.99),
                        (unsigned long long)p->missing);
}

/* ---- The summary */

static gnt_err put_plan(struct gnt_buf *out, const struct gnt_bench_plan *plan)
{
    gnt_err err = gnt_text_put(out, "%s: %u publishers, %u subscribers, QoS %u, %u bytes, ",
                               gnt_bench_shape_name(plan->shape), plan->publishers,
                               plan->subscribers, plan->qos, plan->size);
    if (!err && plan->rate)
        return gnt_text_put(out, "%llu msg/s", (unsigned long long)plan->rate);
    return err ? err : gnt_text_put(out, "as fast as it goes");
}

static gnt_err put_broker_cost(struct gnt_buf *out, const struct gnt_bench_plan *plan,
                               const struct gnt_bench_result *r)
{
    gnt_err err = gnt_text_put(out, "  broker       %.1f %% of a core",
                               100 * per(broker_cpu_s(r), r->measured_s));
    if (!err && r->measured_received)
        err = gnt_text_put(out, ", %.3f us a delivery", broker_cpu_us(r));
    if (!err)
        err = gnt_text_put(out, ", %.1f MiB resident",
                           (double)r->end.broker_rss_bytes / (1024 * 1024));
    if (!err && plan->shape == GNT_BENCH_IDLE)
        err = gnt_text_put(out, ", %.0f bytes a connection", rss_per_client(r));
    return err ? err : gnt_text_put(out, "\n");
}

static gnt_err put_traffic(struct gnt_buf *out, const struct gnt_bench_plan *plan,
                           const struct gnt_bench_result *r)
{
    gnt_err err =
        gnt_text_put(out, "  sent         %.0f msg/s\n  delivered    %.0f msg/s, %.2f MiB/s\n",
                     per((double)r->measured_sent, r->measured_s),
                     per((double)r->measured_received, r->measured_s),
                     per((double)r->measured_received * plan->size, r->measured_s) / (1024 * 1024));
    if (!err)
        err =
            gnt_text_put(out,
                         "  latency, us  p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f%s\n",
                         us(&r->latency_ns, 0.5), us(&r->latency_ns, 0.9), us(&r->latency_ns, 0.99),
                         us(&r->latency_ns, 0.999), (double)r->latency_ns.max / 1e3,
                         plan->rate ? "" : "  (without --rate mostly the time in queues)");
    if (!err)
        err = gnt_text_put(out, "  lost %llu  duplicated %llu  disordered %llu  malformed %llu",
                           (unsigned long long)r->lost, (unsigned long long)r->duplicated,
                           (unsigned long long)r->disordered, (unsigned long long)r->malformed);
    if (!err && r->refused)
        err = gnt_text_put(out, "  not sent %llu (the broker does not keep up)",
                           (unsigned long long)r->refused);
    return err ? err : gnt_text_put(out, "\n");
}

gnt_err gnt_bench_put_summary(struct gnt_buf *out, const struct gnt_bench_plan *plan,
                              const struct gnt_bench_target *target,
                              const struct gnt_bench_result *r)
{
    gnt_err err = put_plan(out, plan);
    if (!err)
        err = gnt_text_put(out, "\n%s (%s), %.1f s\n", target->name, target->url, r->measured_s);
    if (err || r->failure[0])
        return err ? err : gnt_text_put(out, "  failed: %s\n", r->failure);
    err = gnt_text_put(out, "  connected    %u in %.2f s, %u closed\n", r->connected, r->connect_s,
                       r->closed);
    if (!err && plan->publishers)
        err = put_traffic(out, plan, r);
    if (!err && target->pid)
        err = put_broker_cost(out, plan, r);
    return err ? err : gnt_text_put(out, "  bench        %.1f %% of a core\n", self_percent(r));
}

/* ---- JSON */

static gnt_err put_numbers(struct gnt_buf *out, const struct gnt_bench_result *r)
{
    return gnt_text_put(
        out,
        ",\"connected\":%u,\"closed\":%u,\"connect_s\":%.3f,\"sent\":%llu,\"not_sent\":%llu,"
        "\"expected\":%llu,\"received\":%llu,\"lost\":%llu,\"duplicated\":%llu,"
        "\"disordered\":%llu,\"malformed\":%llu,\"seconds\":%.3f,\"sent_per_s\":%.0f,"
        "\"deliveries_per_s\":%.0f,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,"
        "\"p999_us\":%.1f,\"max_us\":%.1f,\"bench_cpu_percent\":%.1f",
        r->connected, r->closed, r->connect_s, (unsigned long long)r->sent,
        (unsigned long long)r->refused, (unsigned long long)r->expected,
        (unsigned long long)r->received, (unsigned long long)r->lost,
        (unsigned long long)r->duplicated, (unsigned long long)r->disordered,
        (unsigned long long)r->malformed, r->measured_s,
        per((double)r->measured_sent, r->measured_s),
        per((double)r->measured_received, r->measured_s), us(&r->latency_ns, 0.5),
        us(&r->latency_ns, 0.9), us(&r->latency_ns, 0.99), us(&r->latency_ns, 0.999),
        (double)r->latency_ns.max / 1e3, self_percent(r));
}

gnt_err gnt_bench_put_json(struct gnt_buf *out, const struct gnt_bench_plan *plan,
                           const struct gnt_bench_target *target, unsigned round,
                           const struct gnt_bench_result *r)
{
    gnt_err err = gnt_text_put(out, "{\"target\":");
    if (!err)
        err = gnt_json_put_text(out, gnt_slice_str(target->name));
    if (!err)
        err = gnt_text_put(out,
                           ",\"round\":%u,\"scenario\":\"%s\",\"publishers\":%u,"
                           "\"subscribers\":%u,\"groups\":%u,\"qos\":%u,\"size\":%u,\"rate\":%llu",
                           round, gnt_bench_shape_name(plan->shape), plan->publishers,
                           plan->subscribers, plan->groups, plan->qos, plan->size,
                           (unsigned long long)plan->rate);
    if (!err && r->failure[0]) {
        err = gnt_text_put(out, ",\"failure\":");
        if (!err)
            err = gnt_json_put_text(out, gnt_slice_str(r->failure));
    } else if (!err) {
        err = put_numbers(out, r);
    }
    if (!err && target->pid)
        err = gnt_text_put(out,
                           ",\"broker_cpu_s\":%.4f,\"broker_cpu_us\":%.3f,"
                           "\"broker_rss_bytes\":%llu,\"broker_rss_bytes_per_client\":%.0f",
                           broker_cpu_s(r), broker_cpu_us(r),
                           (unsigned long long)r->end.broker_rss_bytes, rss_per_client(r));
    return err ? err : gnt_text_put(out, "}");
}

/* ---- Side by side */

struct table {
    const double *figures;
    size_t rounds, targets;
    double *scratch; /* room for as many as there are rounds */
};

static double at(const struct table *t, size_t round, size_t target, size_t figure)
{
    return t->figures[(round * t->targets + target) * GNT_BENCH_FIGURES + figure];
}

static double median_of(const struct table *t, size_t target, size_t figure)
{
    size_t n = 0;
    for (size_t i = 0; i < t->rounds; i++)
        if (at(t, i, target, figure) > 0)
            t->scratch[n++] = at(t, i, target, figure);
    return gnt_median(t->scratch, n);
}

static double ratio_of(const struct table *t, size_t target, size_t figure)
{
    size_t n = 0;
    for (size_t i = 0; i < t->rounds; i++)
        if (at(t, i, target, figure) > 0 && at(t, i, 0, figure) > 0)
            t->scratch[n++] = at(t, i, target, figure) / at(t, i, 0, figure);
    return gnt_median(t->scratch, n);
}

/* Whether some target has the figure at all. */
static bool has_figure(const struct table *t, size_t figure)
{
    for (size_t i = 0; i < t->targets; i++)
        if (median_of(t, i, figure) > 0)
            return true;
    return false;
}

static gnt_err put_row(struct gnt_buf *out, const struct table *t, size_t figure)
{
    gnt_err err = gnt_text_put(out, "  %-24s", figure_names[figure].title);
    for (size_t i = 0; !err && i < t->targets; i++) {
        err = gnt_text_put(out, " %14.*f", figure_names[figure].places, median_of(t, i, figure));
        if (!err && i)
            err = gnt_text_put(out, " %7.3f", ratio_of(t, i, figure));
    }
    return err ? err : gnt_text_put(out, "\n");
}

static gnt_err put_rows(struct gnt_buf *out, const struct table *t,
                        const struct gnt_bench_target *targets)
{
    gnt_err err = gnt_text_put(out, "  %-24s", "");
    for (size_t i = 0; !err && i < t->targets; i++)
        err = gnt_text_put(out, " %14s%s", targets[i].name, i ? "   ratio" : "");
    if (!err)
        err = gnt_text_put(out, "\n");
    for (size_t f = 0; !err && f < GNT_BENCH_FIGURES; f++)
        if (has_figure(t, f))
            err = put_row(out, t, f);
    return err;
}

static gnt_err put_json_rows(struct gnt_buf *out, const struct table *t,
                             const struct gnt_bench_target *targets)
{
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < t->targets; i++) {
        err = gnt_text_put(out, "%s{\"target\":", i ? "," : "");
        if (!err)
            err = gnt_json_put_text(out, gnt_slice_str(targets[i].name));
        for (size_t f = 0; !err && f < GNT_BENCH_FIGURES; f++)
            err = gnt_text_put(out, ",\"%s\":%.3f,\"%s_ratio\":%.4f", figure_names[f].key,
                               median_of(t, i, f), figure_names[f].key, ratio_of(t, i, f));
        if (!err)
            err = gnt_text_put(out, "}");
    }
    return err;
}

gnt_err gnt_bench_put_comparison(struct gnt_buf *out, enum gnt_bench_shape shape,
                                 const struct gnt_bench_target *targets, size_t count,
                                 const double *figures, size_t rounds, bool json)
{
    struct table t = {figures, rounds, count, calloc(rounds ? rounds : 1, sizeof(double))};
    if (!t.scratch)
        return GNT_NOMEM;
    gnt_err err;
    if (json) {
        err = gnt_text_put(out, "{\"scenario\":\"%s\",\"rounds\":%zu,\"medians\":[",
                           gnt_bench_shape_name(shape), rounds);
        if (!err)
            err = put_json_rows(out, &t, targets);
        if (!err)
            err = gnt_text_put(out, "]}");
    } else {
        err = gnt_text_put(out, "%s: medians of %zu rounds; ratio to %s\n",
                           gnt_bench_shape_name(shape), rounds, targets[0].name);
        if (!err)
            err = put_rows(out, &t, targets);
    }
    free(t.scratch);
    return err;
}
