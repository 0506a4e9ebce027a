// ranklet: text to vectors to ranked items, on a CPU, inside your program. This header includes all of the library.
#pragma once

#include "ranklet/catalog/attributes.hpp"         // Attribute
#include "ranklet/catalog/catalog.hpp"            // Catalog
#include "ranklet/catalog/file.hpp"               // save_catalog, load_catalog
#include "ranklet/catalog/filter.hpp"             // Condition, Filter
#include "ranklet/catalog/update.hpp"             // update_catalog
#include "ranklet/core/buffer.hpp"                // AlignedBuffer
#include "ranklet/core/config.hpp"                // version, abi_tag, dynamic
#include "ranklet/core/matrix.hpp"                // Matrix
#include "ranklet/core/parallel.hpp"              // parallel_for
#include "ranklet/core/result.hpp"                // Result, Error, Exception
#include "ranklet/core/scratch.hpp"               // Scratch
#include "ranklet/core/view.hpp"                  // MatrixView
#include "ranklet/core/weight_block.hpp"          // WeightBlock
#include "ranklet/decoders/gru_scorer.hpp"        // DotProduct, NextEvent, TextGru
#include "ranklet/decoders/user_state.hpp"        // UserState, Event
#include "ranklet/decoders/user_tower.hpp"        // UserTower
#include "ranklet/encoders/bert.hpp"              // Bert
#include "ranklet/encoders/item_table.hpp"        // ItemTable
#include "ranklet/encoders/news_encoder.hpp"      // NewsEncoder
#include "ranklet/encoders/options.hpp"           // BatchOptions, LoadOptions
#include "ranklet/encoders/text_encoder.hpp"      // TextEncoder
#include "ranklet/encoders/word_vectors.hpp"      // WordVectors
#include "ranklet/encoders/word_weights.hpp"      // with_sif, with_tf_idf
#include "ranklet/explain/explain.hpp"            // explain
#include "ranklet/explain/shared_attributes.hpp"  // shared_attributes
#include "ranklet/io/gguf.hpp"                    // GgufFile
#include "ranklet/io/npy.hpp"                     // read_npy, write_npy, read_ids, write_ids
#include "ranklet/layers/attention_pooling.hpp"   // AttentionPooling
#include "ranklet/layers/conv1d.hpp"              // Conv1d
#include "ranklet/layers/gru.hpp"                 // Gru, GruStack
#include "ranklet/layers/head_attention.hpp"      // HeadAttention
#include "ranklet/layers/reset_before_gru.hpp"    // ResetBeforeGru
#include "ranklet/layers/transformer_layer.hpp"   // TransformerLayer, SelfAttention, Linear, LayerNorm
#include "ranklet/ranking/diversity.hpp"          // GroupCap, Diversity
#include "ranklet/ranking/recommendation.hpp"     // Recommendation, RecommendOptions, top_k, softmax
#include "ranklet/ranking/vector_index.hpp"       // VectorIndex
#include "ranklet/recommender.hpp"                // Recommender
#include "ranklet/tasks/keywords.hpp"             // extract_keywords, candidate_phrases, remove_stop_words
#include "ranklet/tasks/label_rating.hpp"         // label_ratings, expected_rating
#include "ranklet/tasks/rerank.hpp"               // rerank, SequenceClassifier, TextPair
#include "ranklet/tasks/text_attributes.hpp"      // TextAttributes, normalize_value
#include "ranklet/tasks/token_classifier.hpp"     // TokenClassifier, TaggedSpan, TagOptions
#include "ranklet/text/word_tokenizer.hpp"        // WordTokenizer
#include "ranklet/text/wordpiece.hpp"             // WordPiece
