#include "cli/password.h"

#include "auth/scram.h"
#include "cli/say.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

/* A line of standard input without its end.  False: there is none, or it is too long. */
static bool read_line(const char *command, char *line, size_t cap)
{
    size_t used = 0;
    char c = '\0';
    ssize_t n;
    while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n' && used + 1 < cap)
        line[used++] = c;
    line[used] = '\0';
    if (n == 1 && c != '\n') {
        gnt_say(command, "the password is longer than %zu bytes", cap - 1);
        return false;
    }
    if (n < 0 || (n == 0 && used == 0)) {
        gnt_say(command, "no password: %s", n < 0 ? strerror(errno) : "standard input is empty");
        return false;
    }
    if (used && line[used - 1] == '\r')
        line[used - 1] = '\0';
    return true;
}

static void on_signal(int number)
{
    (void)number; /* it interrupts the reading */
}

/* A line that is not shown while it is typed; the terminal is as before afterwards, whatever
 * happens. */
static bool ask(const char *command, const char *prompt, char *line, size_t cap)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    enum { COUNT = sizeof numbers / sizeof numbers[0] };
    const struct sigaction interrupt = {.sa_handler = on_signal};
    struct sigaction before[COUNT];
    struct termios shown, hidden;
    if (tcgetattr(STDIN_FILENO, &shown) < 0) {
        gnt_say(command, "the terminal: %s", strerror(errno));
        return false;
    }
    for (int i = 0; i < COUNT; i++)
        (void)sigaction(numbers[i], &interrupt, &before[i]);
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    fprintf(stderr, "%s", prompt);
    bool read = read_line(command, line, cap);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    for (int i = 0; i < COUNT; i++)
        (void)sigaction(numbers[i], &before[i], NULL);
    fputc('\n', stderr);
    return read;
}

int gnt_password_read(const char *command, char *password, size_t cap)
{
    char again[GNT_SCRAM_PASSWORD_MAX + 1];
    password[0] = '\0';
    if (!isatty(STDIN_FILENO))
        return read_line(command, password, cap) ? EX_OK : EX_DATAERR;
    int code = EX_DATAERR;
    if (ask(command, "Password: ", password, cap) &&
        ask(command, "Once more: ", again, sizeof again)) {
        code = strcmp(password, again) == 0 ? EX_OK : EX_DATAERR;
        if (code)
            gnt_say(command, "the two are not the same");
    }
    gnt_scram_wipe(again, sizeof again);
    return code;
}
