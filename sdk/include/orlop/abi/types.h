/* Orlop plugin ABI: the words that every other header of this folder speaks in.
 *
 * Plain C11. Nothing else crosses the boundary: bytes with a size, integers, tables of functions. No exception passes a
 * function of this ABI in either direction.
 */
#ifndef ORLOP_ABI_TYPES_H
#define ORLOP_ABI_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ABI's version. A host loads a plugin whose major is its own and whose minor is not above its own; see
 * sdk/README.md, "Versions". */
#define ORLOP_ABI_MAJOR 1u
#define ORLOP_ABI_MINOR 0u

/* Bytes that somebody else owns. `data` may be NULL when `size` is 0. Valid for as long as the function that hands it
 * over says; where it says nothing, until that function returns. */
typedef struct orlop_slice {
  const void* data;
  size_t size;
} orlop_slice;

/* Canonical codes. They never change their number; unknown codes are read as ORLOP_INTERNAL. Each stands for one
 * reason of a Kubernetes Status (see result.hpp). */
typedef int32_t orlop_code;
enum {
  ORLOP_OK = 0,
  ORLOP_BAD_REQUEST = 1,
  ORLOP_UNAUTHORIZED = 2,
  ORLOP_FORBIDDEN = 3,
  ORLOP_NOT_FOUND = 4,
  ORLOP_METHOD_NOT_ALLOWED = 5,
  ORLOP_NOT_ACCEPTABLE = 6,
  ORLOP_ALREADY_EXISTS = 7,
  ORLOP_CONFLICT = 8,
  ORLOP_GONE = 9,
  ORLOP_TOO_LARGE = 10,
  ORLOP_UNSUPPORTED_MEDIA_TYPE = 11,
  ORLOP_INVALID = 12,
  ORLOP_TOO_MANY_REQUESTS = 13,
  ORLOP_INTERNAL = 14,
  ORLOP_UNAVAILABLE = 15,
  ORLOP_TIMEOUT = 16,
  ORLOP_CANCELLED = 17
};

/* Ends a request that was begun earlier. Called exactly once, from any thread, possibly before the function that began
 * it returns. `payload` is the answer when `code` is ORLOP_OK, else an orlop.v1.Status message; valid during the call
 * only. Must return soon: it may run on the kernel's committer. */
typedef void (*orlop_completion)(void* user, orlop_code code, orlop_slice payload);

#ifdef __cplusplus
}
#endif
#endif
