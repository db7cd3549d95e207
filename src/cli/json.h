/* JSON [RFC 8259] as the commands write it, into a buffer.  Any thread; no state. */
#ifndef GNT_CLI_JSON_H
#define GNT_CLI_JSON_H

#include "base/buf.h"

/* A string in quotes.  TEXT is valid UTF-8. */
GNT_MUST gnt_err gnt_json_put_text(struct gnt_buf *out, struct gnt_slice text);

/* Bytes of any kind: as a string where they are UTF-8 without U+0000, else as an array of their
 * values. */
GNT_MUST gnt_err gnt_json_put_bytes(struct gnt_buf *out, struct gnt_slice bytes);

/* A JSON text of somebody else's, on one line: the white space between its parts is left out, the
 * rest stays as it is, numbers and repeated names too.  GNT_INVALID: it is not JSON. */
GNT_MUST gnt_err gnt_json_put_value(struct gnt_buf *out, struct gnt_slice json);

#endif
