// Kind: how an encoder or a decoder that a model file names is made.
// In: a class of encoders (`read(reader, options)`) or decoders (`read(reader, encoder)`, with `options` behind where it
// looks at them, or `read(source)` where it is made of others) with a `type_name`.
// Out: kind<Class>, an entry of a table of kinds.
#pragma once

#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/decoders/decoder.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/model_file/load.hpp"

RANKLET_NAMESPACE_BEGIN

/// What a decoder is read from.
struct DecoderSource {
    const ModelReader& reader;
    const ItemEncoder& encoder;
    const LoadOptions& options;
    /// The file's decoder of another type, for one that is made of others. Error unsupported for a type that the program
    /// does not read.
    FunctionView<Result<std::shared_ptr<const Decoder>>(std::string_view type)> read_other;
};

/// An entry of a table of kinds.
struct Kind {
    std::string_view type;  ///< the file's `ranklet.encoder.type` or `ranklet.recommender.scoring`
    /// One of the two; null otherwise.
    Result<std::shared_ptr<const ItemEncoder>> (*read_encoder)(const ModelReader&, const LoadOptions&) = nullptr;
    Result<std::shared_ptr<const Decoder>> (*read_decoder)(const DecoderSource&) = nullptr;
};

namespace detail {

// Owned as what the interface is, so that all kinds share one control block's code.
template <class Class>
Result<std::shared_ptr<const ItemEncoder>> read_encoder(const ModelReader& reader, const LoadOptions& options) {
    RANKLET_ASSIGN(auto encoder, Class::read(reader, options));
    return std::shared_ptr<const ItemEncoder>(static_cast<const ItemEncoder*>(new Class(std::move(encoder))));
}
template <class Class>
Result<Class> read_as(const DecoderSource& source) {
    if constexpr (requires { Class::read(source); })
        return Class::read(source);
    else if constexpr (requires { Class::read(source.reader, source.encoder, source.options); })
        return Class::read(source.reader, source.encoder, source.options);
    else
        return Class::read(source.reader, source.encoder);
}
template <class Class>
Result<std::shared_ptr<const Decoder>> read_decoder(const DecoderSource& source) {
    RANKLET_ASSIGN(auto decoder, read_as<Class>(source));
    return std::shared_ptr<const Decoder>(static_cast<const Decoder*>(new Class(std::move(decoder))));
}
template <class Class>
constexpr Kind make_kind() {
    if constexpr (std::is_base_of_v<ItemEncoder, Class>)
        return {Class::type_name, &read_encoder<Class>, nullptr};
    else
        return {Class::type_name, nullptr, &read_decoder<Class>};
}

}  // namespace detail

/// The entry of a class: `&kind<MyEncoder>` in LoadOptions::kinds.
template <class Class>
inline constexpr Kind kind = detail::make_kind<Class>();

RANKLET_NAMESPACE_END
