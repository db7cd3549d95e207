#include "pki/why.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

gnt_err gnt_pki_refuse(struct gnt_pki_why *why, gnt_err err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    ERR_clear_error();
    return err;
}

gnt_err gnt_pki_openssl_refuse(struct gnt_pki_why *why, gnt_err err, const char *format, ...)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof why->text)
        (void)snprintf(why->text + used, sizeof why->text - (size_t)used, ": %s",
                       reason ? reason : gnt_err_text(GNT_NOMEM));
    ERR_clear_error();
    return err;
}

gnt_err gnt_pki_errno_refuse(struct gnt_pki_why *why, const char *path)
{
    int number = errno;
    gnt_err err = gnt_err_from_errno(number);
    return gnt_pki_refuse(why, err < 0 ? err : GNT_IO, "%s: %s", path, strerror(number));
}

char *gnt_pki_date(int64_t seconds, char out[GNT_PKI_DATE])
{
    time_t at = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&at, &tm) || !strftime(out, GNT_PKI_DATE, "%Y-%m-%d %H:%M:%S UTC", &tm))
        (void)snprintf(out, GNT_PKI_DATE, "%lld s", (long long)seconds);
    return out;
}
