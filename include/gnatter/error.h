/* Errors of all of gnatter's public functions: 0 is success, a positive value a normal "not yet", a
 * negative one a failure.  A call that fails has changed nothing, unless its header says so. */
#ifndef GNATTER_ERROR_H
#define GNATTER_ERROR_H

#include <gnatter/export.h>

GNATTER_BEGIN

enum gnatter_error {
    GNATTER_OK = 0,
    GNATTER_MORE = 1,          /* more input is needed, or nothing is there yet */
    GNATTER_ENOMEM = -1,       /* out of memory */
    GNATTER_EINVALID = -2,     /* invalid argument */
    GNATTER_EMALFORMED = -3,   /* malformed packet, file or saved session */
    GNATTER_EPROTOCOL = -4,    /* the peer broke the protocol */
    GNATTER_ETOOBIG = -5,      /* too large */
    GNATTER_EFULL = -6,        /* queue full */
    GNATTER_ECLOSED = -7,      /* connection closed */
    GNATTER_ETIMEOUT = -8,     /* timed out */
    GNATTER_EIO = -9,          /* input/output error */
    GNATTER_ENOTFOUND = -10,   /* not found */
    GNATTER_EEXISTS = -11,     /* exists already */
    GNATTER_EDENIED = -12,     /* not authorised */
    GNATTER_EBUSY = -13,       /* busy */
    GNATTER_ESTATE = -14,      /* not possible in this state */
    GNATTER_EREFUSED = -15,    /* refused by the peer */
    GNATTER_ERESOLVE = -16,    /* host name not found */
    GNATTER_EUNSUPPORTED = -17 /* not supported */
};

/* A short lower-case text for people, never NULL, not to be freed.  Any thread. */
GNATTER_API const char *gnatter_error_text(int error);

GNATTER_END

#endif
