#include "pki/index.h"
#include "base/assert.h"
#include "pki/facts.h"
#include "pki/openssl.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/txt_db.h>
#include <stdlib.h>

/* The fields of a line. */
enum { STATE, ENDS, REVOKED, SERIAL, FILE_NAME, SUBJECT, FIELDS };

struct gnt_index {
    TXT_DB *db;
};

const char *const gnt_index_reasons[] = {"unspecified",
                                         "keyCompromise",
                                         "CACompromise",
                                         "affiliationChanged",
                                         "superseded",
                                         "cessationOfOperation",
                                         NULL};

static OPENSSL_STRING *row_at(const struct gnt_index *index, size_t at)
{
    GNT_ASSERT(at < gnt_index_count(index));
    return sk_OPENSSL_PSTRING_value(index->db->data, (int)at);
}

size_t gnt_index_count(const struct gnt_index *index)
{
    return (size_t)sk_OPENSSL_PSTRING_num(index->db->data);
}

struct gnt_index_row gnt_index_row(const struct gnt_index *index, size_t at)
{
    OPENSSL_STRING *row = row_at(index, at);
    return (struct gnt_index_row){row[STATE][0], row[ENDS],      row[REVOKED],
                                  row[SERIAL],   row[FILE_NAME], row[SUBJECT]};
}

/* ---- The file */

static bool is_sound(const struct gnt_index *index)
{
    for (size_t i = 0; i < gnt_index_count(index); i++) {
        OPENSSL_STRING *row = row_at(index, i);
        if (!strchr("VRE", row[STATE][0]) || !row[STATE][0] || row[STATE][1] ||
            (row[STATE][0] == 'R') != (row[REVOKED][0] != '\0') || !row[SERIAL][0])
            return false;
    }
    return true;
}

gnt_err gnt_index_load(const char *file, struct gnt_index **out, struct gnt_pki_why *why)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    struct gnt_index *index = calloc(1, sizeof *index);
    gnt_err err = index ? gnt_files_read(file, &text, why)
                        : gnt_pki_refuse(why, GNT_NOMEM, "%s: %s", file, gnt_err_text(GNT_NOMEM));
    if (err == GNT_NOTFOUND)
        err = GNT_OK;
    size_t size = gnt_buf_size(&text);
    BIO *in = err ? NULL : BIO_new_mem_buf(size ? (const void *)text.data : "", (int)size);
    if (!err) {
        index->db = in ? TXT_DB_read(in, FIELDS) : NULL;
        if (!index->db || !is_sound(index))
            err = gnt_pki_refuse(why, GNT_MALFORMED, "%s: not an index of certificates", file);
    }
    BIO_free(in);
    gnt_buf_fini(&text);
    if (!err)
        *out = index;
    else
        gnt_index_free(index);
    return err;
}

void gnt_index_free(struct gnt_index *index)
{
    if (!index)
        return;
    TXT_DB_free(index->db);
    free(index);
}

gnt_err gnt_index_write(const struct gnt_index *index, struct gnt_buf *out)
{
    BIO *text = BIO_new(BIO_s_mem());
    gnt_err err = GNT_NOMEM;
    if (text && TXT_DB_write(text, index->db) >= 0)
        err = gnt_openssl_take(text, out);
    BIO_free(text);
    ERR_clear_error();
    return err;
}

/* ---- Changes */

static char *copy_time(const ASN1_TIME *time)
{
    return OPENSSL_strndup((const char *)ASN1_STRING_get0_data(time),
                           (size_t)ASN1_STRING_length(time));
}

/* TXT_DB tells rows of its own file from new ones, whose fields are freed one by one, by a NULL
 * behind the fields. */
gnt_err gnt_index_add(struct gnt_index *index, const X509 *certificate, const char *file)
{
    char serial[GNT_FACTS_SERIAL];
    OPENSSL_STRING *row = OPENSSL_zalloc((FIELDS + 1) * sizeof *row);
    bool complete = row;
    if (row) {
        row[STATE] = OPENSSL_strdup("V");
        row[ENDS] = copy_time(X509_get0_notAfter(certificate));
        row[REVOKED] = OPENSSL_strdup("");
        row[SERIAL] = OPENSSL_strdup(gnt_facts_serial(X509_get0_serialNumber(certificate), serial));
        row[FILE_NAME] = OPENSSL_strdup(file);
        row[SUBJECT] = X509_NAME_oneline(X509_get_subject_name(certificate), NULL, 0);
        for (int i = 0; i < FIELDS; i++)
            complete = complete && row[i];
    }
    if (complete && TXT_DB_insert(index->db, row))
        return GNT_OK;
    for (int i = 0; row && i < FIELDS; i++)
        OPENSSL_free(row[i]);
    OPENSSL_free(row);
    ERR_clear_error();
    return GNT_NOMEM;
}

/* A field read from the file lies inside its row; what replaces it does not, and TXT_DB sees that.
 */
static bool is_own(OPENSSL_STRING *row, const char *field)
{
    const char *end = row[FIELDS];
    return !end || field < (const char *)row || field > end;
}

static void set_field(OPENSSL_STRING *row, int field, char *value)
{
    if (is_own(row, row[field]))
        OPENSSL_free(row[field]);
    row[field] = value;
}

gnt_err gnt_index_revoke(struct gnt_index *index, size_t at, const char *reason, int64_t now)
{
    OPENSSL_STRING *row = row_at(index, at);
    if (row[STATE][0] == 'R')
        return GNT_EXISTS;
    ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)now);
    char *date = time ? copy_time(time) : NULL, *state = OPENSSL_strdup("R");
    size_t size = date ? strlen(date) + strlen(reason) + 2 : 0;
    char *revoked = date ? OPENSSL_malloc(size) : NULL;
    gnt_err err = GNT_NOMEM;
    if (revoked && state) {
        (void)snprintf(revoked, size, "%s,%s", date, reason);
        set_field(row, STATE, state);
        set_field(row, REVOKED, revoked);
        state = revoked = NULL;
        err = GNT_OK;
    }
    OPENSSL_free(state);
    OPENSSL_free(revoked);
    OPENSSL_free(date);
    ASN1_TIME_free(time);
    return err;
}

/* ---- Looking for one */

bool gnt_index_find_serial(const struct gnt_index *index, const char *serial, size_t *at)
{
    char wanted[GNT_FACTS_SERIAL];
    size_t size = 0;
    for (; *serial; serial++) {
        if (*serial == ':' || (*serial == '0' && size == 0))
            continue;
        if (!isxdigit((unsigned char)*serial) || size + 1 == sizeof wanted)
            return false;
        wanted[size++] = (char)toupper((unsigned char)*serial);
    }
    wanted[size] = '\0';
    for (size_t i = 0; i < gnt_index_count(index) && size; i++) {
        const char *has = gnt_index_row(index, i).serial;
        if (strcasecmp(has + strspn(has, "0"), wanted) == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

/* "/CN=NAME" as X509_NAME_oneline writes it. */
static char *write_common_name(const char *name)
{
    X509_NAME *subject = X509_NAME_new();
    char *text = NULL;
    if (subject && X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                              (const uint8_t *)name, -1, -1, 0))
        text = X509_NAME_oneline(subject, NULL, 0);
    X509_NAME_free(subject);
    ERR_clear_error();
    return text;
}

size_t gnt_index_find_name(const struct gnt_index *index, const char *name, size_t *at)
{
    char *wanted = write_common_name(name);
    size_t found = 0, size = wanted ? strlen(wanted) : 0;
    for (size_t i = 0; i < gnt_index_count(index) && wanted; i++) {
        struct gnt_index_row row = gnt_index_row(index, i);
        const char *in = row.state == 'V' ? strstr(row.subject, wanted) : NULL;
        if (in && (in[size] == '\0' || in[size] == '/')) {
            *at = i;
            found++;
        }
    }
    OPENSSL_free(wanted);
    return found;
}
