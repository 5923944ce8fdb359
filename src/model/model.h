/* A landmark model: a GGUF file, checked, with its shape, weights (still in the map) and tokenizer.
 *
 * Letters used for shapes all over src/model and index:
 *   L layers, M memory layers, D width, H query heads, G key/value heads, W head width, F
 * feed-forward width, V vocabulary, N ordinary tokens of a block (63), B rows of a block (N + 1,
 * its last row is the landmark).
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "src/base/hash.h"
#include "src/model/gguf.h"
#include "src/text/tokenizer.h"

enum position_mapping { POSITIONS_SLOT, POSITIONS_STINGY };

struct model_shape {
    uint32_t layers, width, heads, kv_heads, head_width, feed_forward, vocabulary;
    float norm_epsilon, rope_base;
    uint32_t block_tokens; /* N */
    uint32_t block_rows;   /* B = N + 1 */
    uint32_t landmark_id, bos_id, eos_id, padding_id, newline_id;
    uint32_t memory_layer_count; /* M */
    uint32_t memory_layers[64];  /* ascending */
    uint32_t window;             /* local layers */
    uint32_t near_blocks;        /* slot only, else 0 */
    uint32_t reach;
    enum position_mapping positions;
};

/* A matrix [rows][columns] that maps `columns` inputs to `rows` outputs, in the map. */
struct weight {
    enum tensor_type type;
    uint32_t rows, columns;
    const void *data;
};

struct layer_weights {
    const float *attention_norm, *feed_forward_norm; /* [D], owned by the model */
    struct weight query, key, value, output;         /* [H*W][D], [G*W][D], [G*W][D], [D][H*W] */
    struct weight gate, up, down;                    /* [F][D], [F][D], [D][F] */
};

/* What the ranking adds up (index/ranking.h): landmark.rank.* of the file. */
struct rank_weights {
    float landmark, lexical;   /* of the two z-scores in mode hybrid; 1 where the file has none */
    float neighbourhood;       /* of BM25 with the neighbours, in mode hybrid; 0 */
    float landmark_alone;      /* of the landmarks' in mode landmark; 1 */
    float *attention;          /* [M][H] in mode hybrid; NULL: attention does not rank */
    float *attention_landmark; /* [M][H] in mode landmark; NULL: the same */
};

#define MOST_ANSWER_TEXTS 16

struct lmk_model {
    struct gguf *file;
    struct model_shape shape;
    char *name;            /* general.name */
    char *question_prompt; /* landmark.prompt.question, holds "{question}" */
    bool can_answer;
    float answer_threshold; /* landmark.answer.threshold, 0 to 1; NaN: the file has none */
    uint32_t answer_texts;  /* landmark.answer.texts, 1 to MOST_ANSWER_TEXTS: read again to answer
                               (index/reread.h); 0: the file has none */
    struct rank_weights rank;
    struct weight embedding, output; /* [V][D]; the same data where they are tied */
    float *output_norm;              /* [D] */
    struct layer_weights *layers;    /* [L] */
    struct tokenizer *tokenizer;
    struct kept_weights *kept;                /* indexer_weights.h */
    unsigned char fingerprint[HASH128_BYTES]; /* design section 4 */
};
/* lmk_model_open and lmk_model_close of lmk.h are defined in model.c. */

bool model_is_memory_layer(const struct model_shape *shape, uint32_t layer);
uint32_t model_top_memory_layer(const struct model_shape *shape);

/* M*G*W: floats of one block's joint landmark key; a block has N times as many key values, and
 * value values. */
size_t model_landmark_width(const struct model_shape *shape);

/* The ids of a question in its prompt (landmark.prompt.question), appended to `ids` (uint32_t). The
 * text before and after "{question}" and the line feed are encoded as the trainer does: each line
 * of the prompt by itself, with its own prefix space, line feeds as the newline piece: "Question:
 * ...\n Answer:" is encode("Question: ...") + [newline]
 * + encode("Answer:"). With `verbatim` the question is all of the
 * prompt, lines as they are. */
enum lmk_status model_encode_question(const struct lmk_model *model, const char *question,
                                      bool verbatim, struct buffer *ids, struct lmk_error *error);

#endif
