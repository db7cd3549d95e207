/* gnatter bench: load and latency, one broker or several in turns. */
#include "cli/bench_report.h"
#include "cli/bench_target.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

static const char name[] = "bench";

enum { NOT_ALL_WELL = 1 };

struct bench {
    const struct gnt_bench_options *options;
    struct gnt_bench_target *targets;
    size_t target_count;
    struct gnt_tls_context *tls; /* of all targets that have any; NULL: none has */
    double *figures;             /* [scenario][round][target][figure] */
    struct gnt_bench_result *result;
    struct gnt_wait wait;
    struct gnt_buf text, line;
    const char *target_name;
    size_t runs;
    bool terminal, interrupted, failed, not_all_well;
};

static void on_progress(void *context, const struct gnt_bench_progress *p)
{
    struct bench *b = context;
    gnt_buf_clear(&b->line);
    /* Without memory for a line there is none. */
    if (gnt_text_put(&b->line, "%s%s ", b->terminal ? "\r\033[K" : "", b->target_name) ||
        gnt_bench_put_live(&b->line, p) || (!b->terminal && gnt_text_put(&b->line, "\n")))
        return;
    struct gnt_slice text = gnt_buf_slice(&b->line);
    (void)fwrite(text.data, 1, text.size, stderr);
    (void)fflush(stderr);
}

static void end_live_line(const struct bench *b)
{
    if (b->terminal)
        (void)fputs("\r\033[K", stderr);
}

static bool put_out(struct gnt_buf *text)
{
    struct gnt_slice s = gnt_buf_slice(text);
    bool well = s.size == 0 || fwrite(s.data, 1, s.size, stdout) == s.size;
    gnt_buf_clear(text);
    return fflush(stdout) == 0 && well;
}

static bool all_well(const struct gnt_bench_result *r)
{
    return !r->failure[0] &&
           r->lost + r->duplicated + r->disordered + r->malformed + r->refused + r->closed == 0;
}

static gnt_err one_run(struct bench *b, size_t which, unsigned round, size_t target)
{
    struct gnt_bench_plan plan =
        gnt_bench_plan_of(b->options, gnt_bench_scenario(b->options, which));
    const struct gnt_bench_target *t = &b->targets[target];
    bool live = b->terminal || b->options->live;
    b->target_name = t->name;
    gnt_bench_run(&plan, t, b->wait.signals, live ? on_progress : NULL, b, b->result,
                  &b->interrupted);
    end_live_line(b);
    if (b->interrupted && b->result->measured_s == 0)
        return GNT_OK; /* there is nothing to tell */
    b->failed |= b->result->failure[0] != '\0';
    b->not_all_well |= !all_well(b->result);
    size_t row = (which * b->options->rounds + round) * b->target_count + target;
    if (!b->result->failure[0])
        gnt_bench_figures(b->result, b->figures + row * GNT_BENCH_FIGURES);
    const char *before = "";
    if (b->options->json)
        before = b->runs ? ",\n" : "{\"runs\":[\n";
    else if (b->runs)
        before = "\n";
    b->runs++;
    gnt_err err = gnt_text_put(&b->text, "%s", before);
    if (!err)
        err = b->options->json ? gnt_bench_put_json(&b->text, &plan, t, round + 1, b->result)
                               : gnt_bench_put_summary(&b->text, &plan, t, b->result);
    return err;
}

static gnt_err compare(struct bench *b)
{
    gnt_err err = GNT_OK;
    size_t rounds = b->options->rounds;
    if (b->options->json)
        err = gnt_text_put(&b->text, "%s],\n\"comparison\":[", b->runs ? "\n" : "{\"runs\":[");
    bool worth = b->target_count > 1 || rounds > 1;
    for (size_t i = 0; !err && worth && i < gnt_bench_scenario_count(b->options); i++) {
        err = gnt_text_put(&b->text, "%s", !b->options->json ? "\n" : i ? ",\n" : "\n");
        if (!err)
            err = gnt_bench_put_comparison(
                &b->text, gnt_bench_scenario(b->options, i), b->targets, b->target_count,
                b->figures + i * rounds * b->target_count * GNT_BENCH_FIGURES, rounds,
                b->options->json);
    }
    if (!err && b->options->json)
        err = gnt_text_put(&b->text, "]}\n");
    return err;
}

/* In an odd round the targets change places, so that none is always measured first. */
static int run_all(struct bench *b)
{
    gnt_err err = GNT_OK;
    bool written = true;
    for (unsigned round = 0; round < b->options->rounds; round++)
        for (size_t s = 0; s < gnt_bench_scenario_count(b->options); s++)
            for (size_t t = 0; t < b->target_count && !b->interrupted && !err && written; t++) {
                err = one_run(b, s, round, round % 2 ? b->target_count - 1 - t : t);
                written = put_out(&b->text);
            }
    if (!err)
        err = compare(b);
    if (err) {
        gnt_say(name, "%s", gnt_err_text(err));
        return EX_OSERR;
    }
    if (!put_out(&b->text) || !written)
        return EX_IOERR;
    if (b->failed)
        return EX_UNAVAILABLE;
    return b->not_all_well ? NOT_ALL_WELL : EX_OK;
}

static bool make_memory(struct bench *b)
{
    const struct gnt_bench_options *o = b->options;
    b->target_count = gnt_bench_target_count(o);
    b->targets = calloc(b->target_count, sizeof *b->targets);
    b->figures =
        calloc(gnt_bench_scenario_count(o) * b->target_count * o->rounds * GNT_BENCH_FIGURES,
               sizeof *b->figures);
    b->result = calloc(1, sizeof *b->result);
    return b->targets && b->figures && b->result;
}

static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* else it is told when they run out */
    }
}

static int run(const struct gnt_bench_options *o)
{
    struct bench b = {.options = o, .terminal = isatty(STDERR_FILENO) == 1};
    gnt_err err = gnt_wait_init(&b.wait);
    if (err) {
        gnt_say(name, "%s", gnt_err_text(err));
        return EX_OSERR;
    }
    allow_many_files();
    int code = EX_OSERR;
    if (make_memory(&b)) {
        code = gnt_bench_targets_find(o, b.targets, &b.tls);
        if (code == EX_OK)
            code = run_all(&b);
    } else {
        gnt_say(name, "%s", gnt_err_text(GNT_NOMEM));
    }
    gnt_bench_targets_fini(b.targets, b.targets ? b.target_count : 0, &b.tls);
    free(b.targets);
    free(b.figures);
    free(b.result);
    gnt_buf_fini(&b.text);
    gnt_buf_fini(&b.line);
    gnt_wait_fini(&b.wait);
    return code;
}

int gnt_command_bench(int argc, char **argv)
{
    struct gnt_bench_options options;
    int code;
    if (!gnt_say_args(name, &gnt_bench_arguments, argc, argv, &options, &code))
        return code;
    const char *mistake = gnt_bench_mistake(&options);
    if (mistake)
        gnt_say(name, "%s, see --help", mistake);
    code = mistake ? EX_USAGE : run(&options);
    gnt_options_fini(&gnt_bench_arguments.table, &options);
    return code;
}
