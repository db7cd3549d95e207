#include "cli/run.h"
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { TEXT_MAX = 2048, GOES_ON = -1 };

int gnt_run_init(struct gnt_run *run)
{
    atomic_store(&run->code, GOES_ON);
    gnt_err err = gnt_wait_init(&run->wait);
    if (err)
        gnt_say(run->command, "%s", gnt_err_text(err));
    return err ? EX_OSERR : EX_OK;
}

void gnt_run_fini(struct gnt_run *run)
{
    gnt_wait_fini(&run->wait);
}

void gnt_run_end(struct gnt_run *run, int code)
{
    int none = GOES_ON;
    (void)atomic_compare_exchange_strong(&run->code, &none, code);
    gnt_wait_wake(&run->wait);
}

bool gnt_run_goes_on(const struct gnt_run *run)
{
    return atomic_load(&run->code) == GOES_ON;
}

int gnt_run_code(const struct gnt_run *run)
{
    int code = atomic_load(&run->code);
    return code == GOES_ON ? EX_OK : code;
}

bool gnt_run_wait(struct gnt_run *run, uint64_t until, int file, short events, bool *ready)
{
    int number = 0;
    *ready = false;
    if (!gnt_run_goes_on(run))
        return false;
    enum gnt_wait_reason reason = gnt_wait(&run->wait, until, file, events, &number);
    if (reason == GNT_WAIT_SIGNAL) {
        gnt_run_debug(run, "SIG%s", sigabbrev_np(number));
        gnt_run_end(run, EX_OK);
    }
    *ready = reason == GNT_WAIT_FILE;
    return gnt_run_goes_on(run);
}

__attribute__((format(printf, 2, 0))) static void say(const struct gnt_run *run, const char *format,
                                                      va_list arguments)
{
    char text[TEXT_MAX];
    (void)vsnprintf(text, sizeof text, format, arguments);
    gnt_say(run->command, "%s", text);
}

void gnt_run_debug(const struct gnt_run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (run->is_loud)
        say(run, format, arguments);
    va_end(arguments);
}

void gnt_run_say(const struct gnt_run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!run->is_mute)
        say(run, format, arguments);
    va_end(arguments);
}
