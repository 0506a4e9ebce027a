// ranklet: text to vectors to ranked items, on a CPU, inside your program. This header includes all that hosts use;
// whoever builds models of layers includes ranklet/layers/layers.hpp beside it.
#pragma once

// Macros of other headers stay outside of all of it: first and last.
// clang-format off
#include "ranklet/core/macros_aside.hpp"
// clang-format on

#include "ranklet/catalog/attributes.hpp"          // Attribute
#include "ranklet/catalog/catalog.hpp"             // Catalog
#include "ranklet/catalog/file.hpp"                // save_catalog, load_catalog
#include "ranklet/catalog/filter.hpp"              // Condition, Filter
#include "ranklet/catalog/item.hpp"                // Item
#include "ranklet/catalog/update.hpp"              // CatalogChanges
#include "ranklet/core/config.hpp"                 // version, abi_tag, dynamic
#include "ranklet/core/execution.hpp"              // Threads, StopToken, Deadline
#include "ranklet/core/matrix.hpp"                 // Matrix
#include "ranklet/core/published.hpp"              // Published
#include "ranklet/core/result.hpp"                 // Result, Error, Exception
#include "ranklet/core/thread_pool.hpp"            // ThreadPool
#include "ranklet/core/view.hpp"                   // MatrixView
#include "ranklet/counting/popularity.hpp"         // Popularity
#include "ranklet/counting/transition_counts.hpp"  // TransitionCounts
#include "ranklet/counting/transitions.hpp"        // Transitions
#include "ranklet/counting/transitions_file.hpp"   // save_transitions, load_transitions
#include "ranklet/decoders/decoder.hpp"            // Decoder
#include "ranklet/decoders/user_state.hpp"         // UserState, Event
#include "ranklet/encoders/bert.hpp"               // Bert
#include "ranklet/encoders/item_encoder.hpp"       // ItemEncoder
#include "ranklet/encoders/item_table.hpp"         // ItemTable
#include "ranklet/encoders/news_encoder.hpp"       // NewsEncoder
#include "ranklet/encoders/options.hpp"            // BatchOptions
#include "ranklet/encoders/word_vectors.hpp"       // WordVectors
#include "ranklet/encoders/word_weights.hpp"       // with_sif, with_tf_idf
#include "ranklet/explain/explain.hpp"             // explain
#include "ranklet/explain/shared_attributes.hpp"   // shared_attributes
#include "ranklet/io/gguf.hpp"                     // GgufFile
#include "ranklet/io/npy.hpp"                      // read_npy, write_npy, read_ids, write_ids
#include "ranklet/model_file/load.hpp"             // LoadOptions
#include "ranklet/ranking/diversity.hpp"           // GroupCap, Diversity
#include "ranklet/ranking/recommendation.hpp"      // Recommendation, RecommendOptions
#include "ranklet/ranking/softmax.hpp"             // softmax
#include "ranklet/ranking/top_k.hpp"               // top_k
#include "ranklet/ranking/vector_index.hpp"        // VectorIndex
#include "ranklet/recommender.hpp"                 // Recommender, update_catalog
#include "ranklet/tasks/hybrid_encoder.hpp"        // HybridEncoder, lexical_score, late_interaction_score
#include "ranklet/tasks/keywords.hpp"              // extract_keywords, candidate_phrases, remove_stop_words
#include "ranklet/tasks/label_rating.hpp"          // label_ratings, expected_rating
#include "ranklet/tasks/rerank.hpp"                // rerank, SequenceClassifier, TextPair
#include "ranklet/tasks/text_attributes.hpp"       // TextAttributes, normalize_value
#include "ranklet/tasks/token_classifier.hpp"      // TokenClassifier, TaggedSpan, TagOptions
#include "ranklet/text/tokenizer.hpp"              // Tokenizer
#include "ranklet/text/word_tokenizer.hpp"         // WordTokenizer
#include "ranklet/text/wordpiece.hpp"              // WordPiece

// clang-format off
#include "ranklet/core/macros_back.hpp"
// clang-format on
