/* The largest shapes that a model may have. model_read_shape refuses others, so that buffers of
 * these sizes may stand on the stack. */
#ifndef MODEL_LIMITS_H
#define MODEL_LIMITS_H

enum {
    LIMIT_BLOCK_TOKENS = 255,
    LIMIT_HEAD_WIDTH = 256,
    LIMIT_HEADS = 4096,
    LIMIT_MEMORY_LAYERS = 64,
    LIMIT_LAYERS = 1024,
    LIMIT_REACH = 1 << 20
};

#endif
