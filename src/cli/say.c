#include "cli/say.h"
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

enum { SAY_MAX = 2048, COLUMNS_LEAST = 40, COLUMNS_USUAL = 80, COLUMNS_MOST = 100 };

void gnt_say(const char *command, const char *format, ...)
{
    char line[SAY_MAX];
    size_t used = (size_t)snprintf(line, sizeof line, "gnatter %s: ", command);
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    if (size > 0)
        used += (size_t)size < sizeof line - used - 1 ? (size_t)size : sizeof line - used - 2;
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0)
        return; /* there is nobody left to tell */
}

void gnt_say_mistakes(const char *command, const struct gnt_diag *diag)
{
    for (size_t i = 0; i < diag->count; i++)
        gnt_say(command, "%s", diag->lines[i]);
    if (diag->mistakes > diag->count)
        gnt_say(command, "and %zu more", diag->mistakes - diag->count);
}

static size_t columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return COLUMNS_USUAL;
    if (size.ws_col < COLUMNS_LEAST)
        return COLUMNS_LEAST;
    return size.ws_col > COLUMNS_MOST ? COLUMNS_MOST : size.ws_col;
}

static int put_stdout(struct gnt_slice text)
{
    size_t written = fwrite(text.data, 1, text.size, stdout);
    return written == text.size && fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

int gnt_say_help(const struct gnt_args *args)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    int code = EX_OSERR;
    if (gnt_args_help(args, columns(), &text) == GNT_OK)
        code = put_stdout(gnt_buf_slice(&text));
    gnt_buf_fini(&text);
    return code;
}

int gnt_say_version(void)
{
    return put_stdout(gnt_slice_str("gnatter " GNATTER_VERSION "\n"));
}

static int read_words(const char *command, const struct gnt_args *args, int argc, char **argv,
                      void *values, struct gnt_args_result *result)
{
    struct gnt_diag diag;
    gnt_diag_init(&diag);
    gnt_err err = gnt_options_init(&args->table, values);
    if (!err)
        err = gnt_args_parse(args, argc, argv, values, result, &diag);
    if (err == GNT_INVALID)
        gnt_say_mistakes(command, &diag);
    else if (err)
        gnt_say(command, "%s", gnt_err_text(err));
    gnt_diag_fini(&diag);
    if (err)
        return err == GNT_INVALID ? EX_USAGE : EX_OSERR;
    return EX_OK;
}

bool gnt_say_args(const char *command, const struct gnt_args *args, int argc, char **argv,
                  void *values, int *code)
{
    struct gnt_args_result result = {.words = argv};
    *code = read_words(command, args, argc, argv, values, &result);
    if (*code == EX_OK && !result.help && !result.version) {
        argv[result.word_count] = NULL;
        return true;
    }
    gnt_options_fini(&args->table, values);
    if (*code == EX_OK)
        *code = result.help ? gnt_say_help(args) : gnt_say_version();
    return false;
}
