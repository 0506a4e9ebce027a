// TextList: many texts as a host has them: std::string, std::string_view or C strings, one behind the other.
// In: a vector, an array, a span or a braced list of one of these. Out: each text as a std::string_view.
// One type for all of them, so that what takes texts is no template; nothing is copied.
#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// A view of texts, for parameters: valid for the call that it is given to. The texts belong to the caller.
/// A braced list in a function's parameter is no TextList, which could be kept: such functions take it by an overload.
class TextList {
    enum class Form : unsigned char { views, strings, c_strings };
    template <class Element>
    static constexpr bool is_text = std::is_same_v<Element, std::string_view> || std::is_same_v<Element, std::string> ||
                                    std::is_same_v<Element, const char*> || std::is_same_v<Element, char*>;

public:
    using value_type = std::string_view;

    /// One text after the other.
    class iterator {
    public:
        using value_type = std::string_view;
        using difference_type = std::ptrdiff_t;
        using reference = std::string_view;
        using pointer = void;
        using iterator_category = std::input_iterator_tag;  // it gives values, not references

        iterator() = default;
        std::string_view operator*() const noexcept { return list_->operator[](at_); }
        iterator& operator++() noexcept {
            ++at_;
            return *this;
        }
        iterator operator++(int) noexcept {
            iterator before = *this;
            ++at_;
            return before;
        }
        friend bool operator==(const iterator& a, const iterator& b) noexcept { return a.at_ == b.at_; }
        friend difference_type operator-(const iterator& a, const iterator& b) noexcept {
            return static_cast<difference_type>(a.at_) - static_cast<difference_type>(b.at_);
        }

    private:
        friend class TextList;
        iterator(const TextList* list, std::size_t at) noexcept : list_(list), at_(at) {}
        const TextList* list_ = nullptr;
        std::size_t at_ = 0;
    };

    TextList() = default;
    TextList(const std::string_view* texts, std::size_t size) noexcept : texts_(texts), size_(size) {}
    TextList(const std::string* texts, std::size_t size) noexcept : texts_(texts), size_(size), form_(Form::strings) {}
    /// C strings end at their zero; a null pointer is the empty text.
    TextList(const char* const* texts, std::size_t size) noexcept
        : texts_(texts), size_(size), form_(Form::c_strings) {}
    /// Whatever holds such texts side by side: std::vector, std::array, std::span, std::initializer_list, a C array.
    template <class Texts,
              class = std::enable_if_t<
                  is_text<std::remove_cv_t<std::remove_pointer_t<decltype(std::data(std::declval<const Texts&>()))>>>>>
    TextList(const Texts& texts) noexcept : TextList(std::data(texts), std::size(texts)) {}

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    /// Precondition: i < size().
    std::string_view operator[](std::size_t i) const noexcept {
        if (form_ == Form::views) return static_cast<const std::string_view*>(texts_)[i];
        if (form_ == Form::strings) return static_cast<const std::string*>(texts_)[i];
        const char* text = static_cast<const char* const*>(texts_)[i];
        return text == nullptr ? std::string_view() : std::string_view(text);
    }
    /// `count` texts from `first` on. Precondition: they are there.
    TextList subspan(std::size_t first, std::size_t count) const noexcept {
        switch (form_) {
            case Form::views:
                return {static_cast<const std::string_view*>(texts_) + first, count};
            case Form::strings:
                return {static_cast<const std::string*>(texts_) + first, count};
            case Form::c_strings:
                break;
        }
        return {static_cast<const char* const*>(texts_) + first, count};
    }

    iterator begin() const noexcept { return {this, 0}; }
    iterator end() const noexcept { return {this, size_}; }

private:
    const void* texts_ = nullptr;
    std::size_t size_ = 0;
    Form form_ = Form::views;
};

RANKLET_NAMESPACE_END
