/* What the public headers share: what libgnatter exports, and how C++ includes it. */
#ifndef GNATTER_EXPORT_H
#define GNATTER_EXPORT_H

/* Before each public function: libgnatter.so exports nothing else. */
#define GNATTER_API __attribute__((visibility("default")))

/* Around the declarations of a public header. */
#ifdef __cplusplus
#define GNATTER_BEGIN extern "C" {
#define GNATTER_END   }
#else
#define GNATTER_BEGIN
#define GNATTER_END
#endif

#endif
