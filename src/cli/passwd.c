/* gnatter passwd: users and their passwords, in the file that gnatter broker --users reads. */
#include "auth/field.h"
#include "auth/users.h"
#include "base/file.h"
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
    bool create, batch, remove, upgrade, scram;
    uint32_t iterations, cost;
};

static const struct gnt_option rows[] = {
    {.flag = "create",
     .letter = 'c',
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct options, create),
     .help = "Begins anew: what FILE has is thrown away."},
    {.flag = "batch",
     .letter = 'b',
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct options, batch),
     .help = "Takes PASSWORD from the command line. Whoever looks at the list of processes "
             "meanwhile can see it; standard input is better."},
    {.flag = "delete",
     .letter = 'D',
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct options, remove),
     .help = "Deletes the user."},
    {.flag = "upgrade",
     .letter = 'U',
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct options, upgrade),
     .help = "Takes FILE as lines of USER:PASSWORD, and replaces each password by what it takes to "
             "check it. Lines that have that already stay as they are."},
    {.flag = "scram",
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct options, scram),
     .help = "Keeps what SCRAM-SHA-256 and SCRAM-SHA-512 need, so that the user can log in without "
             "sending the password (MQTT 5 --auth-method, AMQP), and by password too."},
    {.flag = "iterations",
     .letter = 'I',
     .kind = GNT_OPTION_INTEGER,
     GNT_OPTION_FIELD(struct options, iterations),
     .fallback = "100000",
     .min = GNT_SCRAM_ITERATIONS_MIN,
     .max = GNT_SCRAM_ITERATIONS_MAX,
     .metavar = "N",
     .help = "With --scram, how much work one guess at the password is, and one login. A small "
             "device that logs in by SCRAM does that work itself: 4096 is what every SCRAM client "
             "bears."},
    {.flag = "cost",
     .kind = GNT_OPTION_INTEGER,
     GNT_OPTION_FIELD(struct options, cost),
     .fallback = "15",
     .min = GNT_SCRYPT_LOG_N_MIN,
     .max = 17,
     .metavar = "N",
     .help = "Without --scram, the same for scrypt: one more is twice the time and the memory, "
             "which are about 80 ms and 32 MiB at 15."},
};

static const struct gnt_args arguments = {
    .usage = "gnatter passwd [OPTION]... FILE USER\n"
             "gnatter passwd [OPTION]... --batch FILE USER PASSWORD\n"
             "gnatter passwd [OPTION]... --upgrade FILE",
    .about = "Adds USER to FILE, which is made if it is not there, or changes or deletes it. On a "
             "terminal it asks for the password; else it reads the first line of standard input.",
    .footer = "What is kept is not the password but what it takes to check it: a hash by\n"
              "scrypt, or PostgreSQL's form of SCRAM. The broker reads the files of\n"
              "mosquitto_passwd, too; one file may have lines of all kinds. FILE is replaced in\n"
              "one step, and other lines stay as they are. A broker that runs reads it on\n"
              "SIGHUP.\n"
              "\n"
              "Examples:\n"
              "  gnatter passwd users.txt sensor-1\n"
              "  pwgen 20 1 | gnatter passwd --scram users.txt sensor-1\n"
              "  gnatter passwd --delete users.txt sensor-1\n"
              "  gnatter broker --users users.txt --allow-anonymous=false\n"
              "\n"
              "Exit codes: 0 done; else those of sysexits.h: 64 wrong usage, 65 a name or a\n"
              "password that cannot be one, 66 FILE cannot be read, 67 no such user to delete,\n"
              "73 FILE cannot be written.",
    .table = GNT_OPTION_TABLE(struct options, rows),
    .words_min = 1,
    .words_max = 3,
};

/* ---- The file as text */

/* Opens FILE, which will be replaced, so it has to be one: a pipe or a device is none. */
static int open_file(const char *file, struct stat *status)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool good = fd >= 0 && fstat(fd, status) == 0;
    if (good && S_ISREG(status->st_mode))
        return fd;
    int number = !good ? errno : S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
    if (fd >= 0)
        close(fd);
    errno = number;
    return -1;
}

static int read_file(const char *file, struct gnt_buf *out, struct stat *status)
{
    enum { LARGEST = 1 << 30 };
    int fd = open_file(file, status);
    if (fd < 0 && errno == ENOENT)
        return EX_OK;
    gnt_err err = fd < 0 ? GNT_IO : gnt_file_read(fd, LARGEST, out);
    int number = err == GNT_NOMEM ? ENOMEM : errno;
    if (!err && gnt_buf_size(out) > LARGEST) {
        err = GNT_TOOBIG;
        number = EFBIG;
    }
    if (fd >= 0)
        close(fd);
    if (!err)
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

/* A new file is its owner's alone; one that was there keeps its owner, group and mode. */
static bool set_access(int fd, const struct stat *before)
{
    if (before->st_nlink == 0)
        return true; /* it was made 0600 */
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
    int fd = gnt_file_beside(real, 0600, fresh, sizeof fresh);
    bool done = fd >= 0 && set_access(fd, before) && !gnt_file_write(fd, text);
    int number = errno;
    if (fd >= 0 && close(fd) < 0 && done) {
        done = false;
        number = errno;
    }
    if (done && (rename(fresh, real) < 0 || gnt_file_sync_name(real))) {
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

/* ---- One user */

static int fail_for_memory(void)
{
    gnt_say(name, "%s", gnt_err_text(GNT_NOMEM));
    return EX_OSERR;
}

static int change(const struct options *o, const char *file, const char *user, const char *verifier)
{
    struct gnt_buf before = {NULL, 0, 0, 0}, after = {NULL, 0, 0, 0};
    struct stat status = {.st_nlink = 0};
    char shown[64];
    bool found = false;
    int code = read_file(file, &before, &status);
    if (o->create)
        gnt_buf_clear(&before);
    if (!code && edit(gnt_buf_slice(&before), user, verifier, &after, &found))
        code = fail_for_memory();
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

/* What is kept instead of PASSWORD. */
static gnt_err make(const struct options *o, struct gnt_slice password,
                    char text[GNT_VERIFIER_TEXT])
{
    return o->scram ? gnt_verifier_make_scram(password, o->iterations, &gnt_random_system, text)
                    : gnt_verifier_make(password, o->cost, &gnt_random_system, text);
}

static int set(const struct options *o, char **words)
{
    char password[GNT_SCRAM_PASSWORD_MAX + 2], text[GNT_VERIFIER_TEXT];
    int code = EX_OK;
    if (o->batch) /* too long stays too long */
        (void)snprintf(password, sizeof password, "%s", words[2]);
    else
        code = gnt_password_read(name, password, sizeof password - 1);
    struct gnt_slice given = gnt_slice_str(password);
    if (!code && !gnt_scram_text_valid(given, GNT_SCRAM_PASSWORD_MAX)) {
        gnt_say(name, "a password has 1 to %d bytes of UTF-8 without control characters",
                (int)GNT_SCRAM_PASSWORD_MAX);
        code = EX_DATAERR;
    }
    if (!code && make(o, given, text))
        code = fail_for_memory();
    gnt_scram_wipe(password, sizeof password);
    return code ? code : change(o, words[0], words[1], text);
}

/* ---- Passwords that stand there as they are */

/* USER:PASSWORD becomes USER:VERIFIER.  GNT_OK, with *put: the line has been replaced. */
static gnt_err upgrade_line(const struct options *o, struct gnt_slice line, unsigned number,
                            const char *file, struct gnt_buf *out, bool *put)
{
    char text[GNT_VERIFIER_TEXT];
    struct gnt_slice user, rest = line;
    *put = false;
    if (line.size == 0 || line.data[0] == '#')
        return GNT_OK;
    bool good = gnt_field_until(&rest, ':', &user) && gnt_users_name_valid(user);
    if (good && gnt_verifier_looks(rest))
        return GNT_OK;
    if (!good || !gnt_scram_text_valid(rest, GNT_SCRAM_PASSWORD_MAX)) {
        gnt_say(name, "%s:%u: not USER:PASSWORD, left as it is", file, number);
        return GNT_OK;
    }
    gnt_err err = make(o, rest, text);
    if (!err)
        err = gnt_buf_put(out, gnt_slice(user.data, user.size + 1)); /* with the colon */
    if (!err)
        err = gnt_buf_put(out, gnt_slice_str(text));
    *put = !err;
    return err;
}

static gnt_err upgrade_lines(const struct options *o, const char *file, struct gnt_slice text,
                             struct gnt_buf *out, unsigned *count)
{
    gnt_err err = GNT_OK;
    *count = 0;
    for (unsigned number = 1; text.size && !err; number++) {
        struct gnt_slice line = take_line(&text);
        bool put;
        while (line.size && (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
            line.size--;
        err = upgrade_line(o, line, number, file, out, &put);
        *count += put;
        if (!err && !put)
            err = gnt_buf_put(out, line);
        if (!err)
            err = gnt_buf_put(out, gnt_slice_str("\n"));
    }
    return err;
}

static int upgrade(const struct options *o, const char *file)
{
    struct gnt_buf before = {NULL, 0, 0, 0}, after = {NULL, 0, 0, 0};
    struct stat status = {.st_nlink = 0};
    unsigned count = 0;
    int code = read_file(file, &before, &status);
    if (!code && status.st_nlink == 0) {
        gnt_say(name, "%s: %s", file, strerror(ENOENT));
        code = EX_NOINPUT;
    }
    if (!code && upgrade_lines(o, file, gnt_buf_slice(&before), &after, &count))
        code = fail_for_memory();
    if (!code && count)
        code = replace_file(file, gnt_buf_slice(&after), &status);
    if (!code)
        printf("%s: %u upgraded\n", file, count);
    if (before.data)
        gnt_scram_wipe(before.data, before.cap);
    gnt_buf_fini(&before);
    gnt_buf_fini(&after);
    return code;
}

/* ---- The command */

/* NULL, or what is wrong with the choice of options and words. */
static const char *objection(const struct options *o, int words)
{
    if (o->upgrade + o->remove + o->batch > 1 || (o->create && (o->upgrade || o->remove)))
        return "of --batch, --delete and --upgrade there can be one, and --create only with "
               "--batch";
    if (o->upgrade)
        return words == 1 ? NULL : "--upgrade wants FILE and nothing else";
    if (o->batch)
        return words == 3 ? NULL : "--batch wants FILE, USER and PASSWORD";
    return words == 2 ? NULL : "expected FILE and USER";
}

static int run(const struct options *o, char **words)
{
    int count = 0;
    while (words[count])
        count++;
    const char *why = objection(o, count);
    if (why) {
        gnt_say(name, "%s", why);
        return EX_USAGE;
    }
    if (o->upgrade)
        return upgrade(o, words[0]);
    if (!gnt_users_name_valid(gnt_slice_str(words[1]))) {
        gnt_say(name, "a user name has 1 to 255 bytes of UTF-8 without control characters and "
                      "colons, and no # in front");
        return EX_DATAERR;
    }
    int code = o->remove ? change(o, words[0], words[1], NULL) : set(o, words);
    if (o->batch)
        gnt_scram_wipe(words[2], strlen(words[2]));
    return code;
}

int gnt_command_passwd(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    code = run(&options, argv);
    gnt_options_fini(&arguments.table, &options);
    return code;
}
