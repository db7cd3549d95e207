#include "auth/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct gnt_slice without_end(const char *line, size_t size)
{
    while (size && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        size--;
    return gnt_slice(line, size);
}

static gnt_err take(const struct gnt_lines *lines, struct gnt_slice line, const char **why)
{
    if (line.size == 0 || line.data[0] == '#')
        return GNT_OK;
    *why = "too long a line";
    return line.size > lines->line_max ? GNT_MALFORMED : lines->take(lines->self, line, why);
}

static gnt_err read_all(const struct gnt_lines *lines, FILE *from, size_t *bad)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t size;
    gnt_err err = GNT_OK;
    errno = 0;
    for (unsigned number = 1; !err && (size = getline(&line, &cap, from)) >= 0; number++) {
        const char *why = NULL;
        err = take(lines, without_end(line, (size_t)size), &why);
        if (err != GNT_MALFORMED)
            continue;
        lines->report(lines->context, lines->file, number, why);
        ++*bad;
        err = GNT_OK;
    }
    if (!err && !feof(from))
        err = gnt_err_from_errno(errno);
    if (line)
        OPENSSL_cleanse(line, cap);
    free(line);
    return err;
}

gnt_err gnt_lines_read(const struct gnt_lines *lines, size_t *bad)
{
    *bad = 0;
    int fd = open(lines->file, O_RDONLY | O_CLOEXEC);
    FILE *from = fd < 0 ? NULL : fdopen(fd, "r");
    if (!from) {
        gnt_err err = gnt_err_from_errno(errno);
        if (fd >= 0)
            close(fd);
        return err;
    }
    gnt_err err = read_all(lines, from, bad);
    int number = errno;
    fclose(from);
    errno = number;
    return err;
}
