/* The workload: memory images from seeds, the reference, and a program measured against it. */
#include <stdlib.h>
#include <string.h>

#include "vliw.h"

enum { HEADER = 7, MAX_HEIGHT = 16, MAX_ROUNDS = 4096, MAX_BATCH = 1 << 14 };

uint32_t kf_abi(void) { return KF_ABI; }

uint32_t kf_words(const struct kf_size *size)
{
    if (size->height > MAX_HEIGHT || size->rounds > MAX_ROUNDS || size->batch > MAX_BATCH)
        return 0;
    return HEADER + (UINT32_C(2) << size->height) - 1 + 2 * size->batch;
}

/* splitmix64 (Steele, Lea, Flood 2014; public domain): one word of the stream; its upper 30 bits are used. */
static uint32_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((z ^ z >> 31) >> 34);
}

void kf_image(const struct kf_size *size, uint64_t seed, uint32_t *image)
{
    uint32_t n = (UINT32_C(2) << size->height) - 1, b = size->batch;
    const uint32_t header[HEADER] = {size->rounds, n, b, size->height, HEADER, HEADER + n, HEADER + n + b};
    memcpy(image, header, sizeof header);
    for (uint32_t i = 0; i < n; i++)
        image[HEADER + i] = draw(&seed);
    memset(image + HEADER + n, 0, b * sizeof *image);
    for (uint32_t i = 0; i < b; i++)
        image[HEADER + n + b + i] = draw(&seed);
}

/* Bob Jenkins's 32-bit integer hash in six steps. */
static inline uint32_t step1(uint32_t a) { return (a + 0x7ED55D16u) + (a << 12); }
static inline uint32_t step2(uint32_t a) { return (a ^ 0xC761C23Cu) ^ (a >> 19); }
static inline uint32_t step3(uint32_t a) { return (a + 0x165667B1u) + (a << 5); }
static inline uint32_t step4(uint32_t a) { return (a + 0xD3A2646Cu) ^ (a << 9); }
static inline uint32_t step5(uint32_t a) { return (a + 0xFD7046C5u) + (a << 3); }
static inline uint32_t step6(uint32_t a) { return (a ^ 0xB55A4F09u) ^ (a >> 16); }

void kf_hash(uint32_t value, uint32_t steps[6])
{
    steps[0] = step1(value);
    steps[1] = step2(steps[0]);
    steps[2] = step3(steps[1]);
    steps[3] = step4(steps[2]);
    steps[4] = step5(steps[3]);
    steps[5] = step6(steps[4]);
}

/* indices and values: batch words each. 0, or -1 for an image whose header or indices do not fit it. */
int kf_reference(const uint32_t *image, uint32_t words, uint32_t *indices, uint32_t *values)
{
    if (words < HEADER)
        return -1;
    uint32_t rounds = image[0], n = image[1], b = image[2];
    const uint32_t *tree = image + HEADER;
    if ((uint64_t)HEADER + n + 2 * (uint64_t)b != words || n == 0)
        return -1;
    memcpy(indices, image + HEADER + n, b * sizeof *indices);
    memcpy(values, image + HEADER + n + b, b * sizeof *values);
    for (uint32_t i = 0; i < b; i++)
        if (indices[i] >= n)
            return -1;
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < b; i++)
            values[i] ^= tree[indices[i]];
        for (uint32_t i = 0; i < b; i++) {
            uint32_t v = step6(step5(step4(step3(step2(step1(values[i]))))));
            uint32_t child = 2 * indices[i] + 1 + (v & 1);
            values[i] = v;
            indices[i] = child < n ? child : 0;
        }
    }
    return 0;
}

int kf_measure(const struct kf_program *program, const struct kf_size *size, const uint64_t *seeds, uint32_t inputs,
               uint64_t cycles, struct kf_result *results)
{
    uint32_t words = kf_words(size), batch = size->batch;
    if (words == 0 || inputs == 0)
        return -1;
    uint32_t *block = malloc(((size_t)words * inputs + (size_t)batch * (inputs + 1)) * sizeof *block);
    if (!block)
        return -1;
    uint32_t *expected = block + (size_t)words * inputs, *indices = expected + (size_t)batch * inputs;
    for (uint32_t i = 0; i < inputs; i++) {
        kf_image(size, seeds[i], block + (size_t)words * i);
        kf_reference(block + (size_t)words * i, words, indices, expected + (size_t)batch * i);
    }
    struct kf_job job = {block, NULL, NULL, inputs, words, 0, 0, cycles};
    int failed = kf_run(program, &job, results);
    for (uint32_t i = 0; i < inputs && !failed; i++) {
        const uint32_t *got = block + (size_t)words * (i + 1) - batch;
        for (uint32_t k = 0; k < batch; k++)
            results[i].wrong += got[k] != expected[(size_t)batch * i + k];
    }
    free(block);
    return failed;
}
