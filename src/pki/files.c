#include "pki/files.h"
#include "base/assert.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Writing */

static gnt_err stage(const char *path, mode_t mode, struct gnt_slice bytes, char *fresh, size_t cap,
                     struct gnt_pki_why *why)
{
    int fd = gnt_file_beside(path, mode, fresh, cap);
    if (fd < 0)
        return gnt_pki_errno_refuse(why, path);
    gnt_err err = gnt_file_write(fd, bytes) ? gnt_pki_errno_refuse(why, path) : GNT_OK;
    if (close(fd) < 0 && !err)
        err = gnt_pki_errno_refuse(why, path);
    if (err)
        (void)unlink(fresh);
    return err;
}

static gnt_err add(struct gnt_files *files, const char *path, mode_t mode, bool replace,
                   struct gnt_slice bytes, struct gnt_pki_why *why)
{
    GNT_ASSERT(files->count < GNT_FILES_SET_MAX);
    char fresh[PATH_MAX];
    struct stat there;
    struct gnt_files_item *item = &files->items[files->count];
    if (strlen(path) + sizeof ".12345678" > sizeof fresh)
        return gnt_pki_refuse(why, GNT_TOOBIG, "%.80s...: %s", path, strerror(ENAMETOOLONG));
    if (!replace && lstat(path, &there) == 0)
        return gnt_pki_refuse(why, GNT_EXISTS, "%s is there already", path);
    gnt_err err = stage(path, mode, bytes, fresh, sizeof fresh, why);
    if (err)
        return err;
    *item = (struct gnt_files_item){strdup(path), strdup(fresh), replace, false};
    if (!item->path || !item->fresh) {
        (void)unlink(fresh);
        free(item->path);
        free(item->fresh);
        return gnt_pki_refuse(why, GNT_NOMEM, "%s: %s", path, gnt_err_text(GNT_NOMEM));
    }
    files->count++;
    return GNT_OK;
}

gnt_err gnt_files_add(struct gnt_files *files, const char *path, mode_t mode,
                      struct gnt_slice bytes, struct gnt_pki_why *why)
{
    return add(files, path, mode, files->replace, bytes, why);
}

gnt_err gnt_files_update(struct gnt_files *files, const char *path, mode_t mode,
                         struct gnt_slice bytes, struct gnt_pki_why *why)
{
    return add(files, path, mode, true, bytes, why);
}

/* ---- In place */

/* A name without replacing what has it: not every file system can do that by renaming. */
static int take_free_name(const char *fresh, const char *path)
{
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    return link(fresh, path) == 0 ? unlink(fresh) : -1;
}

static gnt_err place(struct gnt_files_item *item, struct gnt_pki_why *why)
{
    int moved =
        item->replace ? rename(item->fresh, item->path) : take_free_name(item->fresh, item->path);
    if (moved < 0 && errno == EEXIST)
        return gnt_pki_refuse(why, GNT_EXISTS, "%s is there already", item->path);
    if (moved < 0)
        return gnt_pki_errno_refuse(why, item->path);
    item->placed = true;
    return gnt_file_sync_name(item->path) ? gnt_pki_errno_refuse(why, item->path) : GNT_OK;
}

gnt_err gnt_files_commit(struct gnt_files *files, struct gnt_pki_why *why)
{
    gnt_err err = GNT_OK;
    for (size_t i = 0; i < files->count && !err; i++)
        err = place(&files->items[i], why);
    for (size_t i = 0; i < files->count && err; i++) {
        if (files->items[i].placed && !files->items[i].replace)
            (void)unlink(files->items[i].path);
    }
    return err;
}

void gnt_files_fini(struct gnt_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        if (!files->items[i].placed)
            (void)unlink(files->items[i].fresh);
        free(files->items[i].path);
        free(files->items[i].fresh);
    }
    files->count = 0;
}

/* ---- Reading */

gnt_err gnt_files_read(const char *path, struct gnt_buf *out, struct gnt_pki_why *why)
{
    size_t before = gnt_buf_size(out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return gnt_pki_errno_refuse(why, path);
    gnt_err err = gnt_file_read(fd, GNT_FILES_READ_MAX, out);
    if (err == GNT_NOMEM)
        err = gnt_pki_refuse(why, GNT_NOMEM, "%s: %s", path, gnt_err_text(GNT_NOMEM));
    else if (err)
        err = gnt_pki_errno_refuse(why, path);
    else if (gnt_buf_size(out) - before > GNT_FILES_READ_MAX)
        err = gnt_pki_refuse(why, GNT_TOOBIG, "%s: longer than %d bytes", path,
                             (int)GNT_FILES_READ_MAX);
    close(fd);
    if (err)
        gnt_buf_cut(out, before);
    return err;
}

void gnt_files_wipe(struct gnt_buf *secret)
{
    if (secret->data)
        OPENSSL_cleanse(secret->data, secret->cap);
    gnt_buf_fini(secret);
}

/* ---- Directories */

gnt_err gnt_files_directory(const char *path, struct gnt_pki_why *why)
{
    struct stat there;
    if (mkdir(path, 0700) == 0)
        return GNT_OK;
    if (errno == EEXIST && stat(path, &there) == 0) {
        if (S_ISDIR(there.st_mode))
            return GNT_OK;
        errno = ENOTDIR;
    }
    return gnt_pki_errno_refuse(why, path);
}

gnt_err gnt_files_lock(const char *path, int *fd, struct gnt_pki_why *why)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int locked = *fd < 0 ? -1 : flock(*fd, LOCK_EX);
    if (locked == 0)
        return GNT_OK;
    gnt_err err = gnt_pki_errno_refuse(why, path);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return err;
}
