#include "store/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MODE = 0600,
    LEAST_MAP = 1 << 20,
    TOUCHED_MAX = 16 << 20, /* bytes of the map that may be resident, about */
};

static const char *const names[GNT_LMDB_DATABASES] = {
    [GNT_LMDB_META] = "meta", [GNT_LMDB_TABLES] = "tables",     [GNT_LMDB_ENTRIES] = "entries",
    [GNT_LMDB_LOGS] = "logs", [GNT_LMDB_PAYLOADS] = "payloads",
};

gnt_err gnt_lmdb_err(int rc)
{
    switch (rc) {
    case 0: return GNT_OK;
    case MDB_NOTFOUND: return GNT_NOTFOUND;
    case MDB_MAP_FULL: return GNT_TOOBIG;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return GNT_FULL;
    case ENOMEM: return GNT_NOMEM;
    case EACCES:
    case EPERM:
    case EROFS: return GNT_DENIED;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL: /* these it calls internal errors: its pages are not as it left them */
    case MDB_PAGE_FULL:
    case MDB_BAD_TXN: /* it went on after one of these */
    case MDB_INCOMPATIBLE:
    case MDB_BAD_VALSIZE: return GNT_MALFORMED;
    case MDB_VERSION_MISMATCH: return GNT_UNSUPPORTED;
    default: return GNT_IO;
    }
}

gnt_err gnt_lmdb_why(char why[GNT_LMDB_WHY_MAX], gnt_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, GNT_LMDB_WHY_MAX, format, args);
    va_end(args);
    return err;
}

char *gnt_lmdb_file_name(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *file = malloc(size);
    if (file)
        snprintf(file, size, "%s/%s", dir, name);
    return file;
}

/* One try; the map may be too large for the address space that is left. */
static int try_open(struct gnt_lmdb_file *f, const char *path, unsigned flags, size_t map_size)
{
    int rc = mdb_env_create(&f->env);
    if (rc)
        return rc;
    rc = mdb_env_set_maxdbs(f->env, GNT_LMDB_DATABASES);
    if (!rc)
        rc = mdb_env_set_mapsize(f->env, map_size);
    if (!rc)
        rc = mdb_env_open(f->env, path, flags | MDB_NOTLS, MODE);
    if (rc) {
        mdb_env_close(f->env);
        f->env = NULL;
    }
    return rc;
}

gnt_err gnt_lmdb_file_open(struct gnt_lmdb_file *f, const char *path, unsigned flags,
                           size_t map_size, char why[GNT_LMDB_WHY_MAX])
{
    atomic_init(&f->touched, 0);
    int rc;
    while ((rc = try_open(f, path, flags, map_size)) == ENOMEM && map_size > LEAST_MAP)
        map_size /= 2;
    return rc ? gnt_lmdb_why(why, gnt_lmdb_err(rc), "cannot open data.mdb in %s: %s", path,
                             mdb_strerror(rc))
              : GNT_OK;
}

void gnt_lmdb_file_close(struct gnt_lmdb_file *f)
{
    if (f->env)
        mdb_env_close(f->env);
    f->env = NULL;
}

gnt_err gnt_lmdb_file_databases(struct gnt_lmdb_file *f, MDB_txn *txn, unsigned flags)
{
    int rc = 0;
    for (int i = 0; i < GNT_LMDB_DATABASES && !rc; i++)
        rc = mdb_dbi_open(txn, names[i], flags, &f->db[i]);
    return gnt_lmdb_err(rc);
}

gnt_err gnt_lmdb_file_find_databases(struct gnt_lmdb_file *f)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(f->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return gnt_lmdb_err(rc);
    gnt_err err = gnt_lmdb_file_databases(f, txn, 0);
    if (!err)
        return gnt_lmdb_err(mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return err;
}

static gnt_err make_databases(struct gnt_lmdb_file *f, uint32_t format)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(f->env, NULL, 0, &txn);
    if (rc)
        return gnt_lmdb_err(rc);
    gnt_err err = gnt_lmdb_file_databases(f, txn, MDB_CREATE);
    if (!err)
        err = gnt_lmdb_format_put(f, txn, format);
    if (!err)
        err = gnt_lmdb_mark_put(f, txn, &(struct gnt_lmdb_mark){.next_payload = 1});
    if (!err)
        return gnt_lmdb_err(mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return err;
}

gnt_err gnt_lmdb_file_make(const char *file, uint32_t format, char why[GNT_LMDB_WHY_MAX])
{
    struct gnt_lmdb_file f = {0};
    if (unlink(file) != 0 && errno != ENOENT)
        return gnt_lmdb_why(why, gnt_err_from_errno(errno), "cannot replace %s: %s", file,
                            strerror(errno));
    gnt_err err = gnt_lmdb_file_open(&f, file, MDB_NOSUBDIR | MDB_NOLOCK, LEAST_MAP, why);
    if (err)
        return err;
    err = make_databases(&f, format);
    gnt_lmdb_file_close(&f);
    if (!err)
        return GNT_OK;
    unlink(file);
    return gnt_lmdb_why(why, err, "cannot make %s: %s", file, gnt_err_text(err));
}

static gnt_err sync_directory(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    gnt_err err = fd < 0 || fsync(fd) != 0 ? gnt_err_from_errno(errno) : GNT_OK;
    if (fd >= 0)
        close(fd);
    return err;
}

gnt_err gnt_lmdb_file_rename(const char *dir, const char *from, const char *to)
{
    char *old = gnt_lmdb_file_name(dir, from), *fresh = gnt_lmdb_file_name(dir, to);
    gnt_err err = old && fresh ? GNT_OK : GNT_NOMEM;
    if (!err && rename(old, fresh) != 0)
        err = gnt_err_from_errno(errno);
    if (!err)
        err = sync_directory(dir);
    free(old);
    free(fresh);
    return err;
}

/* LMDB does not say where it has mapped the file: the system does. */
void gnt_lmdb_file_locate(struct gnt_lmdb_file *f, const void *inside)
{
    char line[512];
    uintptr_t at = (uintptr_t)inside;
    FILE *maps = fopen("/proc/self/maps", "re");
    f->map = NULL;
    while (maps && fgets(line, sizeof line, maps)) {
        uintmax_t start, end;
        if (sscanf(line, "%jx-%jx", &start, &end) != 2 || at < start || at >= end)
            continue;
        f->map = (uint8_t *)(uintptr_t)start;
        f->map_size = (size_t)(end - start);
        break;
    }
    if (maps)
        fclose(maps);
}

/* Bytes of the map that have pages in the file. */
static size_t used(const struct gnt_lmdb_file *f)
{
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(f->env, &info) || mdb_env_stat(f->env, &stat))
        return 0;
    size_t size = (info.me_last_pgno + 1) * stat.ms_psize;
    return size < f->map_size ? size : f->map_size;
}

void gnt_lmdb_file_touched(struct gnt_lmdb_file *f, size_t bytes)
{
    size_t before = atomic_fetch_add_explicit(&f->touched, bytes, memory_order_relaxed);
    if (before + bytes < TOUCHED_MAX || !f->map)
        return;
    atomic_store_explicit(&f->touched, 0, memory_order_relaxed);
    /* The map is shared and read-only: what is dropped here comes back from the page cache. */
    madvise(f->map, used(f), MADV_DONTNEED);
}

bool gnt_lmdb_file_holds(const struct gnt_lmdb_file *f, const MDB_val *value)
{
    enum { SMALL = 2048 }; /* what is larger than half a page gets pages of its own */
    uintptr_t at = (uintptr_t)value->mv_data, map = (uintptr_t)f->map;
    if (!f->map)
        return value->mv_size <= INT32_MAX;
    if (at < map || at - map >= f->map_size) /* a page that this transaction has changed */
        return value->mv_size <= SMALL;
    size_t most = used(f);
    return at - map <= most && value->mv_size <= most - (at - map);
}
