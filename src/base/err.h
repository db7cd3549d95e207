/* The one error type.  0 is success, a positive value is a normal "not yet", a negative one is a
 * failure; a call that fails has changed nothing that its caller can see, unless its header says
 * so. The public headers' GNATTER_E* have the same values. */
#ifndef GNT_BASE_ERR_H
#define GNT_BASE_ERR_H

#define GNT_MUST __attribute__((warn_unused_result))

/*    name         value  text */
#define GNT_ERRS(X)                                             \
    X(OK, 0, "success")                                         \
    X(MORE, 1, "more input is needed, or nothing is there yet") \
    X(NOMEM, -1, "out of memory")                               \
    X(INVALID, -2, "invalid argument")                          \
    X(MALFORMED, -3, "malformed packet")                        \
    X(PROTOCOL, -4, "protocol error")                           \
    X(TOOBIG, -5, "too large")                                  \
    X(FULL, -6, "queue full")                                   \
    X(CLOSED, -7, "connection closed")                          \
    X(TIMEOUT, -8, "timed out")                                 \
    X(IO, -9, "input/output error")                             \
    X(NOTFOUND, -10, "not found")                               \
    X(EXISTS, -11, "exists already")                            \
    X(DENIED, -12, "not authorised")                            \
    X(BUSY, -13, "busy")                                        \
    X(STATE, -14, "not possible in this state")                 \
    X(REFUSED, -15, "refused by the peer")                      \
    X(RESOLVE, -16, "host name not found")                      \
    X(UNSUPPORTED, -17, "not supported")

typedef enum gnt_err {
#define GNT_ERR_ENUM(name, value, text) GNT_##name = (value),
    GNT_ERRS(GNT_ERR_ENUM)
#undef GNT_ERR_ENUM
} gnt_err;

/* A short lower-case text for people; never NULL. */
const char *gnt_err_text(gnt_err err);

/* The error for an errno value of a system call: EAGAIN is GNT_MORE, unknown ones are GNT_IO. */
gnt_err gnt_err_from_errno(int error_number);

#endif
