#include "base/err.h"

#include <errno.h>

const char *gnt_err_text(gnt_err err)
{
    switch (err) {
#define GNT_ERR_TEXT(name, value, text) \
    case GNT_##name: return text;
        GNT_ERRS(GNT_ERR_TEXT)
#undef GNT_ERR_TEXT
    }
    return "unknown error";
}

gnt_err gnt_err_from_errno(int error_number)
{
    static const struct {
        int number;
        gnt_err err;
    } rows[] = {
        {EAGAIN, GNT_MORE},       {EINPROGRESS, GNT_MORE},     {EINTR, GNT_MORE},
        {ENOMEM, GNT_NOMEM},      {ENOBUFS, GNT_NOMEM},        {EINVAL, GNT_INVALID},
        {ECONNRESET, GNT_CLOSED}, {EPIPE, GNT_CLOSED},         {ECONNABORTED, GNT_CLOSED},
        {ENOTCONN, GNT_CLOSED},   {ECONNREFUSED, GNT_REFUSED}, {ETIMEDOUT, GNT_TIMEOUT},
        {ENOENT, GNT_NOTFOUND},   {EEXIST, GNT_EXISTS},        {EACCES, GNT_DENIED},
        {EPERM, GNT_DENIED},      {EBUSY, GNT_BUSY},           {EADDRINUSE, GNT_BUSY},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].number == error_number)
            return rows[i].err;
    return GNT_IO;
}
