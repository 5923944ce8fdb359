/* XXH3 as it is stored: 64-bit values little-endian, 128-bit values in xxHash's canonical
 * (big-endian) form. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH128_BYTES 16

uint64_t hash64(const void *data, size_t size);
void hash128(const void *data, size_t size, unsigned char digest[HASH128_BYTES]);
void hash128_hexadecimal(const unsigned char digest[HASH128_BYTES],
                         char text[2 * HASH128_BYTES + 1]);

/* The 128-bit hash of several pieces put one behind the other. */
struct hash_state;
struct hash_state *hash_state_new(void); /* NULL: out of memory */
void hash_state_update(struct hash_state *state, const void *data, size_t size);
void hash_state_finish(struct hash_state *state,
                       unsigned char digest[HASH128_BYTES]); /* frees the state */

/* The version of the library behind all this; valid for ever. */
const char *hash_library_version(void);

#endif
