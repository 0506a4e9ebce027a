// ranklet: text to vectors to ranked items, on a CPU, inside your program. This header includes all of the library.
#pragma once

#include "ranklet/catalog_file.hpp"               // save_catalog, load_catalog
#include "ranklet/catalog_update.hpp"             // update_catalog
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
#include "ranklet/encoders/keywords.hpp"          // extract_keywords, candidate_phrases, remove_stop_words
#include "ranklet/encoders/label_rating.hpp"      // label_ratings, expected_rating
#include "ranklet/encoders/news_encoder.hpp"      // NewsEncoder
#include "ranklet/encoders/options.hpp"           // BatchOptions, LoadOptions
#include "ranklet/encoders/rerank.hpp"            // rerank, SequenceClassifier, TextPair
#include "ranklet/encoders/text_encoder.hpp"      // TextEncoder
#include "ranklet/encoders/token_classifier.hpp"  // TokenClassifier, TaggedSpan, TagOptions
#include "ranklet/encoders/word_vectors.hpp"      // WordVectors
#include "ranklet/encoders/word_weights.hpp"      // with_sif, with_tf_idf
#include "ranklet/explain.hpp"                    // explain
#include "ranklet/io/gguf.hpp"                    // GgufFile
#include "ranklet/io/npy.hpp"                     // read_npy, write_npy, read_ids, write_ids
#include "ranklet/layers/attention_pooling.hpp"   // AttentionPooling
#include "ranklet/layers/conv1d.hpp"              // Conv1d
#include "ranklet/layers/gru.hpp"                 // Gru, GruStack
#include "ranklet/layers/head_attention.hpp"      // HeadAttention
#include "ranklet/layers/reset_before_gru.hpp"    // ResetBeforeGru
#include "ranklet/layers/transformer_layer.hpp"   // TransformerLayer, SelfAttention, Linear, LayerNorm
#include "ranklet/ranking/attributes.hpp"         // Attribute
#include "ranklet/ranking/catalog.hpp"            // Catalog
#include "ranklet/ranking/diversity.hpp"          // GroupCap, Diversity
#include "ranklet/ranking/filter.hpp"             // Condition, Filter
#include "ranklet/ranking/recommendation.hpp"     // Recommendation, RecommendOptions, top_k, softmax
#include "ranklet/ranking/vector_index.hpp"       // VectorIndex
#include "ranklet/recommender.hpp"                // Recommender
#include "ranklet/shared_attributes.hpp"          // shared_attributes
#include "ranklet/text/word_tokenizer.hpp"        // WordTokenizer
#include "ranklet/text/wordpiece.hpp"             // WordPiece
#include "ranklet/text_attributes.hpp"            // TextAttributes, normalize_value
