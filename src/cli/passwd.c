/* gnatter passwd: users and their passwords, in the file that gnatter broker --users reads. */
#include "auth/users.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/password.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static const char name[] = "passwd";

struct options {
    char *batch;
    bool remove;
    uint32_t iterations;
};

static const struct gnt_option rows[] = {
    {.flag = "delete",
     .letter = 'D',
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct options, remove),
     .help = "Deletes the user."},
    {.flag = "batch",
     .letter = 'b',
     .kind = GNT_OPTION_STRING,
     GNT_OPTION_FIELD(struct options, batch),
     .min = 1,
     .max = GNT_SCRAM_PASSWORD_MAX,
     .metavar = "PASSWORD",
     .help = "Takes this password. Whoever looks at the list of processes meanwhile can see it; "
             "standard input is better."},
    {.flag = "iterations",
     .letter = 'I',
     .kind = GNT_OPTION_INTEGER,
     GNT_OPTION_FIELD(struct options, iterations),
     .fallback = "100000",
     .min = GNT_SCRAM_ITERATIONS_MIN,
     .max = GNT_SCRAM_ITERATIONS_MAX,
     .metavar = "N",
     .help = "How much work one guess at the password is, and one login. A small device that logs "
             "in by SCRAM does that work itself: 4096 is what every SCRAM client bears."},
};

static const struct gnt_args arguments = {
    .usage = "gnatter passwd [OPTION]... FILE USER",
    .about = "Adds USER to FILE, which is made if it is not there, or changes or deletes it. On a "
             "terminal it asks for the password; else it reads the first line of standard input.",
    .footer = "What is kept is not the password but what it takes to check it, in PostgreSQL's\n"
              "form of SCRAM-SHA-256. FILE is replaced in one step; other lines stay as they\n"
              "are. A broker that runs reads it on SIGHUP.\n"
              "\n"
              "Examples:\n"
              "  gnatter passwd users.txt sensor-1\n"
              "  pwgen 20 1 | gnatter passwd users.txt sensor-1\n"
              "  gnatter passwd --delete users.txt sensor-1\n"
              "  gnatter broker --users users.txt --allow-anonymous=false\n"
              "\n"
              "Exit codes: 0 done; else those of sysexits.h: 64 wrong usage, 65 a name or a\n"
              "password that cannot be one, 66 FILE cannot be read, 67 no such user to delete,\n"
              "73 FILE cannot be written.",
    .table = GNT_OPTION_TABLE(struct options, rows),
    .words_min = 2,
    .words_max = 2,
};

/* ---- The file as text */

static int read_file(const char *file, struct gnt_buf *out, struct stat *status)
{
    enum { CHUNK = 64 * 1024 };
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return EX_OK;
    ssize_t n = fd < 0 || fstat(fd, status) < 0 ? -1 : 1;
    while (n > 0) {
        if (gnt_buf_reserve(out, CHUNK)) {
            errno = ENOMEM;
            n = -1;
            break;
        }
        n = read(fd, gnt_buf_tail(out), CHUNK);
        if (n > 0)
            gnt_buf_wrote(out, (size_t)n);
    }
    int number = errno;
    if (fd >= 0)
        close(fd);
    if (n == 0)
        return EX_OK;
    gnt_say(name, "%s: %s", file, strerror(number));
    return EX_NOINPUT;
}

/* Takes the next line off *rest, with its newline. */
static struct gnt_slice take_line(struct gnt_slice *rest)
{
    const uint8_t *newline = memchr(rest->data, '\n', rest->size);
    size_t size = newline ? (size_t)(newline - rest->data) + 1 : rest->size;
    struct gnt_slice line = gnt_slice(rest->data, size);
    *rest = gnt_slice_skip(*rest, size);
    return line;
}

static bool is_of(struct gnt_slice line, const char *user)
{
    struct gnt_slice start = gnt_slice_str(user);
    return gnt_slice_starts(line, start) && line.size > start.size && line.data[start.size] == ':';
}

static gnt_err put_user(struct gnt_buf *to, const char *user, const char *verifier)
{
    const char *const parts[] = {user, ":", verifier, "\n"};
    gnt_err err = GNT_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !err; i++)
        err = gnt_buf_put(to, gnt_slice_str(parts[i]));
    return err;
}

/* TEXT with the line of USER replaced, added, or (VERIFIER is NULL) left out; *found: there was
 * one. */
static gnt_err edit(struct gnt_slice text, const char *user, const char *verifier,
                    struct gnt_buf *out, bool *found)
{
    gnt_err err = GNT_OK;
    *found = false;
    while (text.size && !err) {
        struct gnt_slice line = take_line(&text);
        if (!is_of(line, user)) {
            err = gnt_buf_put(out, line);
            if (!err && line.data[line.size - 1] != '\n')
                err = gnt_buf_put(out, gnt_slice_str("\n"));
            continue;
        }
        if (!*found && verifier)
            err = put_user(out, user, verifier);
        *found = true;
    }
    if (!err && !*found && verifier)
        err = put_user(out, user, verifier);
    return err;
}

/* ---- The file in place */

static bool write_all(int fd, struct gnt_slice text)
{
    while (text.size) {
        ssize_t n = write(fd, text.data, text.size);
        if (n < 0 && errno != EINTR)
            return false;
        text = gnt_slice_skip(text, n < 0 ? 0 : (size_t)n);
    }
    return fsync(fd) == 0;
}

/* A new file is its owner's alone; one that was there keeps its owner, group and mode. */
static bool set_access(int fd, const struct stat *before)
{
    if (before->st_nlink == 0)
        return true; /* mkstemp has made it 0600 */
    bool same = before->st_uid == geteuid() && before->st_gid == getegid();
    return (same || fchown(fd, before->st_uid, before->st_gid) == 0) &&
           fchmod(fd, before->st_mode & 07777) == 0;
}

/* TEXT takes FILE's place in one step: who reads it meanwhile sees the old one or the new one. */
static int replace_file(const char *file, struct gnt_slice text, const struct stat *before)
{
    char real[PATH_MAX], fresh[PATH_MAX + 16];
    if (!realpath(file, real)) /* a link stays one */
        (void)snprintf(real, sizeof real, "%s", file);
    (void)snprintf(fresh, sizeof fresh, "%s.XXXXXX", real);
    int fd = mkstemp(fresh);
    bool done = fd >= 0 && set_access(fd, before) && write_all(fd, text);
    int number = errno;
    if (fd >= 0 && close(fd) < 0 && done) {
        done = false;
        number = errno;
    }
    if (done && rename(fresh, real) < 0) {
        done = false;
        number = errno;
    }
    if (done)
        return EX_OK;
    if (fd >= 0)
        (void)unlink(fresh);
    gnt_say(name, "%s: %s", file, strerror(number));
    return EX_CANTCREAT;
}

/* ---- The command */

static int change(const char *file, const char *user, const char *verifier)
{
    struct gnt_buf before = {NULL, 0, 0, 0}, after = {NULL, 0, 0, 0};
    struct stat status = {.st_nlink = 0};
    char shown[64];
    bool found = false;
    int code = read_file(file, &before, &status);
    if (!code && edit(gnt_buf_slice(&before), user, verifier, &after, &found)) {
        gnt_say(name, "%s", gnt_err_text(GNT_NOMEM));
        code = EX_OSERR;
    }
    gnt_utf8_printable(gnt_slice_str(user), shown, sizeof shown);
    if (!code && !verifier && !found) {
        gnt_say(name, "%s: there is no user '%s'", file, shown);
        code = EX_NOUSER;
    }
    if (!code)
        code = replace_file(file, gnt_buf_slice(&after), &status);
    if (!code)
        printf("%s: %s\n", shown, !verifier ? "deleted" : found ? "changed" : "added");
    gnt_buf_fini(&before);
    gnt_buf_fini(&after);
    return code;
}

static int set(const struct options *o, const char *file, const char *user)
{
    char password[GNT_SCRAM_PASSWORD_MAX + 1], text[GNT_SCRAM_VERIFIER_TEXT];
    struct gnt_scram_verifier verifier;
    int code = EX_OK;
    if (o->batch)
        (void)snprintf(password, sizeof password, "%s", o->batch);
    else
        code = gnt_password_read(name, password, sizeof password);
    struct gnt_slice given = gnt_slice_str(password);
    if (!code && !gnt_scram_text_valid(given, GNT_SCRAM_PASSWORD_MAX)) {
        gnt_say(name, "a password has 1 to %d bytes of UTF-8 without control characters",
                (int)GNT_SCRAM_PASSWORD_MAX);
        code = EX_DATAERR;
    }
    if (!code &&
        gnt_scram_verifier_make(given, o->iterations, &gnt_random_system, &verifier) != GNT_OK) {
        gnt_say(name, "%s", gnt_err_text(GNT_NOMEM));
        code = EX_OSERR;
    }
    gnt_scram_wipe(password, sizeof password);
    if (code)
        return code;
    gnt_scram_verifier_write(&verifier, text);
    gnt_scram_wipe(&verifier, sizeof verifier);
    return change(file, user, text);
}

static int run(const struct options *o, const char *file, const char *user)
{
    if (!gnt_users_name_valid(gnt_slice_str(user))) {
        gnt_say(name, "a user name has 1 to 255 bytes of UTF-8 without control characters and "
                      "colons, and no # in front");
        return EX_DATAERR;
    }
    if (o->remove && o->batch) {
        gnt_say(name, "--delete and --batch exclude each other");
        return EX_USAGE;
    }
    return o->remove ? change(file, user, NULL) : set(o, file, user);
}

int gnt_command_passwd(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    code = run(&options, argv[0], argv[1]);
    if (options.batch)
        gnt_scram_wipe(options.batch, strlen(options.batch));
    gnt_options_fini(&arguments.table, &options);
    return code;
}
