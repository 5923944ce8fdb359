#include "cli/command.h"

const struct command eval_commands[] = {
    {"eval retrieval", command_eval_retrieval, "",
     "how well search ranks the passages that answer questions",
     "Indexes the corpus (BEIR's format) into the collection -c, where what it has already is "
     "kept, "
     "or into a temporary one; asks every question in the modes lexical, landmark and hybrid; "
     "prints "
     "nDCG@10, MRR@10 and recall with their intervals, beside those of other systems' runs."},
    {"eval qa", command_eval_qa, "", "how well ask answers questions, and what its answers rest on",
     "Asks questions with the passages that answer them known, then retrieved among the whole "
     "corpus: "
     "exact match and F1 as SQuAD counts them; how often the most cited block and the top "
     "retrieved "
     "one hold the answer; how often the surest answers are wrong. With --unanswerable the right "
     "passages are removed, and what is answered then is wrong."},
    {"eval passkey", command_eval_passkey, "", "a number hidden in a text of any length",
     "The pass-key test: a number stands somewhere in sentences that repeat (or in --text), and "
     "the "
     "model goes on with \"The pass key is\". Counts how often the block that holds it is ranked "
     "first, how often it is among the blocks read, and how often the number is written, with "
     "landmarks alone and in hybrid mode."},
    {"eval needle", command_eval_needle, "", "a sentence hidden in a text, depth by length",
     "The needle in a haystack: a sentence stands at many depths of texts of many lengths, and a "
     "question asks for it. Counts as eval passkey does; --svg draws the heat map."},
    {"eval perplexity", command_eval_perplexity, "",
     "what seeing more of a text is worth to the model",
     "Reads stretches of the texts of the corpus as documents: with the local context alone; with "
     "k "
     "of the blocks before it, chosen by their landmarks; with a local context that is longer by "
     "as "
     "many blocks; and with all of the model's reach. Prints the perplexity of the same tokens in "
     "each, over all of a stretch and over its second half, with the changes against the first."},
    {"eval ann", command_eval_ann, "", "what the FAISS index of a collection finds, and how fast",
     "Asks questions (JSON lines with text) in mode landmark, comparing every landmark, then with "
     "the "
     "index looking at less and at more than it does otherwise: the share of the exact search's "
     "first 1, 10 and 100 blocks that it finds, and the time that finding candidates takes."},
    {NULL, NULL, NULL, NULL, NULL},
};

enum lmk_status command_eval(const struct arguments *arguments, struct lmk_error *error)
{
    return arguments->word_count ? command_unknown(eval_commands, arguments->words[0], error)
                                 : fail(error, LMK_USAGE, "Which evaluation? See: lmk help eval");
}
