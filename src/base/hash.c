#define XXH_INLINE_ALL
#include "src/base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

struct hash_state {
    XXH3_state_t state;
};

uint64_t hash64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

static void canonical(XXH128_hash_t hash, unsigned char digest[HASH128_BYTES])
{
    XXH128_canonicalFromHash((XXH128_canonical_t *)digest, hash);
}

void hash128(const void *data, size_t size, unsigned char digest[HASH128_BYTES])
{
    canonical(XXH3_128bits(data, size), digest);
}

void hash128_hexadecimal(const unsigned char digest[HASH128_BYTES],
                         char text[2 * HASH128_BYTES + 1])
{
    for (size_t i = 0; i < HASH128_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

struct hash_state *hash_state_new(void)
{
    struct hash_state *state = aligned_alloc(64, (sizeof(struct hash_state) + 63) / 64 * 64);
    if (state)
        XXH3_128bits_reset(&state->state);
    return state;
}

void hash_state_update(struct hash_state *state, const void *data, size_t size)
{
    XXH3_128bits_update(&state->state, data, size);
}

void hash_state_finish(struct hash_state *state, unsigned char digest[HASH128_BYTES])
{
    canonical(XXH3_128bits_digest(&state->state), digest);
    free(state);
}

#define TEXT(number) #number
#define VERSION(major, minor, release) TEXT(major) "." TEXT(minor) "." TEXT(release)

const char *hash_library_version(void)
{
    /* inlined from the header, so its version is the one that runs */
    return VERSION(XXH_VERSION_MAJOR, XXH_VERSION_MINOR, XXH_VERSION_RELEASE);
}
