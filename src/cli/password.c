#include "cli/password.h"

#include "auth/scram.h"
#include "cli/say.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

/* Waits for standard input; UNBLOCKED (may be NULL) are the signals that may come meanwhile. */
static bool input_comes(const sigset_t *unblocked)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return ppoll(&input, 1, NULL, unblocked) == 1;
}

/* A line of standard input without its end.  False: there is none, or it is too long; LINE is empty
 * then. */
static bool read_line(const char *command, const sigset_t *unblocked, char *line, size_t cap)
{
    size_t used = 0;
    char c = '\0';
    ssize_t n = -1;
    while (input_comes(unblocked) && (n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
        if (used + 1 == cap) {
            gnt_say(command, "the password is longer than %zu bytes", cap - 1);
            line[0] = '\0';
            return false;
        }
        line[used++] = c;
        n = -1;
    }
    if (n < 0 || (n == 0 && used == 0)) {
        gnt_say(command, "no password: %s", n < 0 ? strerror(errno) : "standard input is empty");
        line[0] = '\0';
        return false;
    }
    if (used && line[used - 1] == '\r')
        used--;
    line[used] = '\0';
    return true;
}

static void on_signal(int number)
{
    (void)number; /* it interrupts the waiting */
}

/* Signals that would leave a terminal behind that shows nothing. */
static const int interrupts[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { INTERRUPTS = sizeof interrupts / sizeof interrupts[0] };

/* A line that is not shown while it is typed; the terminal is as before afterwards, whatever
 * happens. */
static bool ask(const char *command, const char *prompt, char *line, size_t cap)
{
    const struct sigaction interrupt = {.sa_handler = on_signal};
    struct sigaction before[INTERRUPTS];
    sigset_t blocked, unblocked;
    struct termios shown, hidden;
    if (tcgetattr(STDIN_FILENO, &shown) < 0) {
        gnt_say(command, "the terminal: %s", strerror(errno));
        return false;
    }
    sigemptyset(&blocked);
    for (int i = 0; i < INTERRUPTS; i++) {
        sigaddset(&blocked, interrupts[i]);
        (void)sigaction(interrupts[i], &interrupt, &before[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &blocked, &unblocked);
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    fprintf(stderr, "%s", prompt);
    bool read = read_line(command, &unblocked, line, cap);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    (void)sigprocmask(SIG_SETMASK, &unblocked, NULL);
    for (int i = 0; i < INTERRUPTS; i++)
        (void)sigaction(interrupts[i], &before[i], NULL);
    fputc('\n', stderr);
    return read;
}

int gnt_password_read(const char *command, char *password, size_t cap)
{
    char again[GNT_SCRAM_PASSWORD_MAX + 1];
    password[0] = '\0';
    if (!isatty(STDIN_FILENO))
        return read_line(command, NULL, password, cap) ? EX_OK : EX_DATAERR;
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

int gnt_password_ask(const char *command, const char *prompt, char *password, size_t cap)
{
    password[0] = '\0';
    bool read = isatty(STDIN_FILENO) ? ask(command, prompt, password, cap)
                                     : read_line(command, NULL, password, cap);
    return read ? EX_OK : EX_DATAERR;
}
